package driver

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"dbtier/config"
	"dbtier/internal/engine"
	"dbtier/internal/guard"
	"dbtier/internal/progress"
	"dbtier/internal/project"
)

// target is a stack that a command works on.
type target struct {
	project *project.Project
	stack   *project.Stack
}

// task is a command's work on one stack.
type task struct {
	*app
	flags *stackFlags
	target
	report *report
	// out receives messages for a person, err notes.
	out, err io.Writer
	progress progress.Options
	policies []string
	asks     bool
	// refused are the messages about objects that the API server refused to update in the last run, by URN.
	refused map[string]string
}

// say prints a line for a person. With --json it is discarded.
func (t *task) say(format string, args ...any) { fmt.Fprintf(t.out, format+"\n", args...) }

// note prints and reports what was repaired, or is worth knowing.
func (t *task) note(text string) {
	fmt.Fprintf(t.err, "note: %s\n", text)
	t.report.Notes = append(t.report.Notes, text)
}

// newTask returns the work on one stack, the only one or one of several.
func (a *app) newTask(f *stackFlags, at target, r *report) *task {
	t := &task{app: a, flags: f, target: at, report: r, out: a.stdout, err: a.stderr, asks: a.asks}
	t.progress = progress.Options{Out: a.stdout, Live: a.terminal, Width: a.width, Secrets: a.secrets}
	if a.asJSON {
		t.out, t.asks = io.Discard, false
		t.progress = progress.Options{Out: a.stderr, Quiet: true, Secrets: a.secrets}
	}
	// The warnings of a preview are not printed again by the update after it.
	t.progress.Told = map[string]bool{}
	t.refused = map[string]string{}
	t.progress.Explain = func(urn, message string) string {
		if guard.Refuses(urn, message) {
			t.refused[urn] = message
		}
		return guard.Explain(urn, message, t.stack.Name)
	}
	return t
}

// work is what a command does on one stack.
type work func(*task, context.Context) error

// onStacks adds the flags to a command and makes it do its work on the selected stacks.
func (a *app) onStacks(f *stackFlags, do work, cmd *cobra.Command, groups ...flagGroup) *cobra.Command {
	if cmd.Args == nil {
		cmd.Args = cobra.NoArgs
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := f.check(cmd); err != nil {
			return err
		}
		if f.stacks != "" {
			return a.onSeveral(cmd, f, do)
		}
		p, err := a.findProject()
		if err != nil {
			return err
		}
		s, err := p.Stack(f.stack)
		if f.stack == "" {
			return usage(cmd, "%w", err)
		}
		if err != nil {
			return coded(exitConfig, err)
		}
		a.report.Stack = s.Name
		done := a.screen.Doing("%s of stack %s", cmd.Name(), s.Name)
		defer done()
		err = do(a.newTask(f, target{p, s}, a.report), cmd.Context())
		a.report.end(cmd.Context(), err)
		err = a.deliver(cmd.Context(), f, err)
		return errors.Join(err, a.summarize(f, a.report), a.writeFindings(f, a.report))
	}
	f.add(cmd, a, groups...)
	return cmd
}

// needsConsent reports whether a person must be asked before the command changes the stack. It returns an error when
// one must be asked and cannot be.
func (t *task) needsConsent(command string) (ask bool, err error) {
	ask = t.stack.Cloud != config.Local && !t.flags.yes
	if ask && !t.asks {
		return false, &usageError{
			error: fmt.Errorf("stack %s is not on the local cloud, and this run cannot ask for confirmation: check "+
				"`dbtier preview --stack %s`, then add --yes", t.stack.Name, t.stack.Name),
			command: "dbtier " + command,
		}
	}
	return ask, nil
}

// confirm asks the person to type the stack's name.
func (t *task) confirm(ctx context.Context) error {
	fmt.Fprintf(t.out, "type the stack's name to go ahead: ")
	answer := make(chan string, 1)
	go func() {
		line, _ := bufio.NewReader(t.stdin).ReadString('\n')
		answer <- strings.TrimSpace(line)
	}()
	select {
	case <-ctx.Done():
		return engine.ErrCancelled
	case text := <-answer:
		if text != t.stack.Name {
			return errors.New("not confirmed: nothing was changed")
		}
		return nil
	}
}

// change opens a run that changes the stack and passes it to do, after the checks have passed. If a person must be
// asked, it prints the question before, a format for the stack's name and its backend.
func (t *task) change(
	ctx context.Context, op operation, question string, do func(*engine.Run) error, checks ...func(*engine.Run) error,
) error {
	ask, err := t.needsConsent(op.command)
	if err != nil {
		return err
	}
	run, done, err := t.openRun(ctx, op)
	if err != nil {
		return err
	}
	defer done()
	for _, check := range checks {
		if err := check(run); err != nil {
			return err
		}
	}
	if ask {
		t.say(question, t.stack.Name, run.Backend())
		if err := t.confirm(ctx); err != nil {
			return err
		}
	}
	return do(run)
}

// ended reports the end of a run that changes the stack.
func (t *task) ended(started time.Time, title string, result progress.Result, err error) error {
	t.report.take(&result, false)
	if err != nil {
		if result.Done > 0 {
			t.say("done until then: %s", result.Summary(false, time.Since(started)))
		}
		return err
	}
	t.finish(title, result, false, started)
	t.report.Kept = guard.Keeps(result.Steps)
	t.sayKept()
	t.sayPending()
	return nil
}

// sayKept says what stays when its resource leaves the stack, and how to remove it.
func (t *task) sayKept() {
	for _, kept := range t.report.Kept {
		t.say("  kept: %s", kept)
	}
}

// finish prints the connections if the run changes them, and the last line about the run.
func (t *task) finish(title string, result progress.Result, planning bool, started time.Time) {
	if c := t.report.Connections; c != nil && c.Changed {
		t.say("%s", c)
	}
	t.say("%s: %s", title, result.Summary(planning, time.Since(started)))
}
