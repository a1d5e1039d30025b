package driver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"dbtier/internal/project"
)

// onSeveral does a command's work on each of several stacks: on each after the stacks that it refers to, and on up to
// --parallel-stacks at the same time. Stacks that refer to a failed stack are skipped; the others continue.
func (a *app) onSeveral(cmd *cobra.Command, f *stackFlags, do work) error {
	ctx := cmd.Context()
	p, err := a.findProject()
	if err != nil {
		return err
	}
	names, err := matching(p, f.stacks)
	if err != nil {
		return usage(cmd, "%w", err)
	}
	targets := make([]target, 0, len(names))
	var broken []error
	for _, name := range names {
		s, err := p.Stack(name)
		if err != nil {
			broken = append(broken, err)
			continue
		}
		targets = append(targets, target{p, s})
	}
	if len(broken) > 0 {
		return coded(exitConfig, errors.Join(broken...))
	}
	order, err := inOrder(targets, cmd.Name() == "destroy")
	if err != nil {
		return coded(exitConfig, err)
	}
	results := a.runAll(ctx, f, order, do)
	codes := map[int]bool{}
	var failures []string
	for _, n := range order {
		r := results[n.stack.Name]
		a.report.Stacks = append(a.report.Stacks, r)
		codes[r.ExitCode] = true
		if !r.OK {
			failures = append(failures, n.stack.Name)
		}
	}
	a.overview(order, results)
	var result error
	for _, code := range severity {
		if codes[code] {
			if code != exitDone {
				result = &codedError{
					error: fmt.Errorf("stacks that failed: %s", strings.Join(failures, ", ")),
					code:  code, silent: code == exitPending,
				}
			}
			break
		}
	}
	a.report.end(ctx, result)
	return errors.Join(result, a.summarize(f, a.report.Stacks...))
}

// node is one of several stacks, with the names of those that must come before it.
type node struct {
	target
	after []string
}

// runAll runs the work on the stacks and returns their reports.
func (a *app) runAll(ctx context.Context, f *stackFlags, order []node, do work) map[string]*report {
	var mu sync.Mutex
	reports := map[string]*report{}
	done := map[string]chan struct{}{}
	for _, n := range order {
		done[n.stack.Name] = make(chan struct{})
	}
	width := widest(order)
	slots := make(chan struct{}, f.parallelStacks)
	lines := &sync.Mutex{}
	var all sync.WaitGroup
	for _, n := range order {
		all.Go(func() {
			name := n.stack.Name
			defer close(done[name])
			r := newReport(a.report.Command, name)
			defer func() {
				mu.Lock()
				reports[name] = r
				mu.Unlock()
			}()
			for _, before := range n.after {
				<-done[before]
				mu.Lock()
				failed := !reports[before].OK
				mu.Unlock()
				if failed {
					r.Skipped = true
					r.end(ctx, coded(exitTrouble, fmt.Errorf("stack %s: skipped, because of stack %s", name, before)))
					fmt.Fprintf(a.stderr, "%-*s | skipped, because of stack %s\n", width, name, before)
					return
				}
			}
			slots <- struct{}{}
			defer func() { <-slots }()
			r.started = time.Now()
			t := a.taskAmong(f, n.target, r, lines, width)
			r.end(ctx, do(t, ctx))
			for _, fault := range r.Faults {
				fmt.Fprintf(t.err, "error: %s\n", fault)
			}
		})
	}
	all.Wait()
	return reports
}

// widest is the length of the longest name.
func widest(order []node) int {
	width := 0
	for _, n := range order {
		width = max(width, len(n.stack.Name))
	}
	return width
}

// taskAmong returns the work on one of several stacks. The stack's name is put before each line.
func (a *app) taskAmong(f *stackFlags, at target, r *report, mu *sync.Mutex, width int) *task {
	t := a.newTask(f, at, r)
	prefix := fmt.Sprintf("%-*s | ", width, at.stack.Name)
	t.err = &prefixed{to: a.stderr, mu: mu, prefix: prefix}
	if a.asJSON {
		t.progress.Out = t.err
	} else {
		t.out = &prefixed{to: a.stdout, mu: mu, prefix: prefix}
		t.progress.Out = t.out
	}
	// Lines of several stacks cannot be redrawn, and a person cannot answer several questions at once.
	t.progress.Live, t.asks = false, false
	return t
}

// overview prints one line for each stack.
func (a *app) overview(order []node, results map[string]*report) {
	if a.asJSON {
		return
	}
	fmt.Fprintln(a.stdout)
	for _, n := range order {
		r := results[n.stack.Name]
		fmt.Fprintf(a.stdout, "%-*s  %s, %.1fs\n", widest(order), n.stack.Name, r.outcome(), r.Seconds)
	}
}

// outcome describes in a few words how the command on a stack ended.
func (r *report) outcome() string {
	switch {
	case r.Skipped:
		return "skipped"
	case r.ExitCode == exitCancelled:
		return "cancelled"
	case r.ExitCode == exitRefused:
		return "refused"
	case r.ExitCode == exitConfig:
		return "has errors in its config"
	case r.ExitCode == exitConflict:
		return "is locked by another update"
	case !r.OK:
		return "failed"
	case r.Command == "drift" && r.Changed != nil && *r.Changed:
		return "drifted"
	case r.Command == "drift":
		return "no drift"
	case r.Changed != nil && *r.Changed && r.planning:
		return "would change"
	case r.Changed != nil && *r.Changed:
		return "changed"
	case r.Changed != nil:
		return "unchanged"
	default:
		return "done"
	}
}

// prefixed writes whole lines with a prefix.
type prefixed struct {
	to     io.Writer
	mu     *sync.Mutex
	prefix string
	rest   []byte
}

func (p *prefixed) Write(text []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rest = append(p.rest, text...)
	for {
		at := bytes.IndexByte(p.rest, '\n')
		if at < 0 {
			return len(text), nil
		}
		if _, err := fmt.Fprintf(p.to, "%s%s", p.prefix, p.rest[:at+1]); err != nil {
			return len(text), err
		}
		p.rest = p.rest[at+1:]
	}
}

// matching returns the project's stacks that match the names and patterns, each once. It returns an error for a pattern
// that matches none.
func matching(p *project.Project, patterns string) ([]string, error) {
	var names []string
	for pattern := range strings.SplitSeq(patterns, ",") {
		pattern = strings.TrimSpace(pattern)
		if pattern == "" {
			continue
		}
		found := false
		for _, name := range p.Stacks() {
			matches, err := path.Match(pattern, name)
			if err != nil {
				return nil, fmt.Errorf("--stacks %s: not a pattern (*, ?, [a-z]): %w", pattern, err)
			}
			if matches {
				found = true
				if !slices.Contains(names, name) {
					names = append(names, name)
				}
			}
		}
		if !found {
			return nil, fmt.Errorf("--stacks %s: no such stack; %s", pattern, p.Have())
		}
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("--stacks %q: names no stack; %s", patterns, p.Have())
	}
	return names, nil
}

// inOrder sorts stacks so that each comes after the stacks that it refers to, or before them if backwards.
func inOrder(targets []target, backwards bool) ([]node, error) {
	refers := map[string][]string{}
	for _, t := range targets {
		for _, name := range t.stack.References() {
			other := slices.IndexFunc(targets, func(o target) bool {
				return o.stack.Name != t.stack.Name && isStack(name, o)
			})
			if other < 0 {
				continue
			}
			before, after := targets[other].stack.Name, t.stack.Name
			if backwards {
				before, after = after, before
			}
			if !slices.Contains(refers[after], before) {
				refers[after] = append(refers[after], before)
			}
		}
	}
	var order []node
	state := map[string]int{}
	var visit func(t target, way []string) error
	visit = func(t target, way []string) error {
		name := t.stack.Name
		switch state[name] {
		case 1:
			return fmt.Errorf("stacks refer to each other in a circle: %s",
				strings.Join(append(way[slices.Index(way, name):], name), " → "))
		case 2:
			return nil
		}
		state[name] = 1
		for _, before := range refers[name] {
			at := slices.IndexFunc(targets, func(o target) bool { return o.stack.Name == before })
			if err := visit(targets[at], append(way, name)); err != nil {
				return err
			}
		}
		state[name] = 2
		order = append(order, node{target: t, after: refers[name]})
		return nil
	}
	for _, t := range targets {
		if err := visit(t, nil); err != nil {
			return nil, err
		}
	}
	return order, nil
}

// isStack reports whether a reference, <organization>/<project>/<stack>, names the stack.
func isStack(reference string, t target) bool {
	parts := strings.Split(reference, "/")
	if parts[len(parts)-1] != t.stack.Name {
		return false
	}
	return len(parts) < 3 || parts[len(parts)-2] == t.project.Name
}
