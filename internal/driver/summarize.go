package driver

import (
	"errors"
	"fmt"
	"os"

	"dbtier/internal/redact"
	"dbtier/internal/summary"
)

// stepSummary is where GitHub Actions shows a job's Markdown.
const stepSummary = "GITHUB_STEP_SUMMARY"

// room is left of a comment's size, for the mark by which a pipeline finds its comment again.
const room = 256

// summarize writes the summary where the person, and GitHub Actions, want it.
func (a *app) summarize(f *stackFlags, reports ...*report) error {
	if !f.summarizes {
		return nil
	}
	job := os.Getenv(stepSummary)
	if f.summary == "" && job == "" {
		return nil
	}
	stacks := make([]summary.Stack, 0, len(reports))
	for _, r := range reports {
		stacks = append(stacks, r.summary())
	}
	secrets := redact.Environment(os.Environ())
	text := []byte(summary.Markdown(stacks, secrets, summary.Limit-room))
	var problems []error
	if f.summary != "" {
		if err := os.WriteFile(f.summary, text, 0o600); err != nil {
			problems = append(problems, fmt.Errorf("writing the summary: %w", err))
		}
	}
	if job != "" {
		problems = append(problems, appendTo(job, text))
	}
	return errors.Join(problems...)
}

// appendTo adds to the job's summary, to which its other steps add too.
func appendTo(path string, text []byte) error {
	file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("writing the job's summary: %w", err)
	}
	_, err = file.Write(append(text, '\n'))
	if err := errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("writing the job's summary: %w", err)
	}
	return nil
}

func (r *report) summary() summary.Stack {
	s := summary.Stack{
		Name: r.Stack, Command: r.Command, Outcome: r.outcome(), OK: r.OK, Planning: r.planning, Seconds: r.Seconds,
		Changes: r.Changes,
		Steps:   r.steps, Losses: r.DataLoss, Obstacles: r.Obstacles, Findings: r.Policies, Faults: r.Faults,
		Warnings: r.Warnings, Notes: r.Notes,
	}
	if r.Offline {
		s.Command = "offline " + s.Command
	}
	if r.Connections != nil {
		s.Connections, s.ConnectionLimit = r.Connections.Planned, r.Connections.Limit
	}
	return s
}
