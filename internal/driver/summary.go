package driver

import (
	"errors"
	"fmt"
	"os"

	"dbtier/internal/summary"
)

// stepSummary is the variable with the file that GitHub Actions shows on the job's page.
const stepSummary = "GITHUB_STEP_SUMMARY"

// room is left free in a comment for the mark by which a pipeline finds its comment again, in characters.
const room = 256

// summarize writes the summary to the file of --summary and to the job's page of GitHub Actions.
func (a *app) summarize(f *stackFlags, reports ...*report) error {
	job := os.Getenv(stepSummary)
	if !f.summarizes || f.summary == "" && job == "" {
		return nil
	}
	stacks := make([]summary.Stack, 0, len(reports))
	for _, r := range reports {
		stacks = append(stacks, r.summary())
	}
	text := summary.Markdown(stacks, a.secrets, summary.Limit-room)
	if s := a.report.Selection; s != nil {
		var left []string
		for _, each := range s.Stacks {
			if !each.Taken {
				left = append(left, each.Stack)
			}
		}
		if len(stacks) == 0 {
			text = "## ✅ dbtier " + a.report.Command + ": nothing to do\n\n"
		}
		text += quietLines(nil, left)
	}
	var problems []error
	if f.summary != "" {
		problems = append(problems, write(f.summary, os.O_TRUNC, text))
	}
	if job != "" {
		// The job's other steps append to the same file.
		problems = append(problems, write(job, os.O_APPEND, text+"\n"))
	}
	return errors.Join(problems...)
}

func write(path string, mode int, text string) error {
	file, err := os.OpenFile(path, mode|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("writing the summary: %w", err)
	}
	_, err = file.WriteString(text)
	if err := errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("writing the summary: %w", err)
	}
	return nil
}

func (r *report) summary() summary.Stack {
	s := summary.Stack{
		Name: r.Stack, Command: r.Command, Outcome: r.outcome(), OK: r.OK, Planning: r.planning, Seconds: r.Seconds,
		Changes: r.Changes, Steps: r.steps, Losses: r.DataLoss, Obstacles: r.Obstacles, Conflicts: r.Conflicts,
		Findings: r.Policies, Faults: r.Faults, Warnings: r.Warnings, Notes: r.Notes,
	}
	if r.Offline {
		s.Command = "offline " + s.Command
	}
	if r.Connections != nil {
		s.Connections, s.ConnectionLimit = r.Connections.Planned, r.Connections.Limit
		s.ConnectionPlan, s.ConnectionsBefore = r.Connections.Plan, r.Connections.Was
	}
	return s
}
