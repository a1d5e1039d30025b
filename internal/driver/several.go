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
	if f.changed != "" {
		if targets, err = a.changedSince(ctx, p, f.changed, targets); err != nil {
			return err
		}
	}
	order, err := inOrder(targets, cmd.Name() == "destroy")
	if err != nil {
		return coded(exitConfig, err)
	}
	a.runAll(ctx, f, order, do)
	codes := map[int]bool{}
	var failures []string
	for _, n := range order {
		a.report.Stacks = append(a.report.Stacks, n.report)
		codes[n.report.ExitCode] = true
		if !n.report.OK {
			failures = append(failures, n.stack.Name)
		}
	}
	a.overview(order)
	if len(order) == 0 {
		codes[exitDone] = true
	}
	var result error
	if code := severity[slices.IndexFunc(severity, func(code int) bool { return codes[code] })]; code != exitDone {
		result = &codedError{
			error: fmt.Errorf("stacks that failed: %s", strings.Join(failures, ", ")),
			code:  code, silent: code == exitPending,
		}
	}
	a.report.end(ctx, result)
	result = a.deliver(ctx, f, result)
	return errors.Join(result, a.summarize(f, a.report.Stacks...),
		a.writeFindings(f, a.report.Stacks...))
}

// node is one of several stacks.
type node struct {
	target
	// after are the stacks that must come before it.
	after []*node
	// done closes when the report is complete.
	done   chan struct{}
	report *report
}

// runAll does the work on the stacks.
func (a *app) runAll(ctx context.Context, f *stackFlags, order []*node, do work) {
	width := widest(order)
	slots := make(chan struct{}, f.parallelStacks)
	lines := &sync.Mutex{}
	var all sync.WaitGroup
	for _, n := range order {
		all.Go(func() {
			defer close(n.done)
			n.report = a.newReport(a.report.Command, n.stack.Name)
			t := a.taskAmong(f, n, lines, width)
			for _, before := range n.after {
				<-before.done
				if !before.report.OK {
					reason := "skipped, because of stack " + before.stack.Name
					n.report.Skipped = true
					n.report.end(ctx, coded(exitTrouble, fmt.Errorf("stack %s: %s", n.stack.Name, reason)))
					fmt.Fprintln(t.err, reason)
					return
				}
			}
			slots <- struct{}{}
			defer func() { <-slots }()
			n.report.started = time.Now()
			n.report.end(ctx, do(t, ctx))
			for _, fault := range n.report.Faults {
				fmt.Fprintf(t.err, "error: %s\n", fault)
			}
		})
	}
	all.Wait()
}

// widest is the length of the longest name.
func widest(order []*node) int {
	width := 0
	for _, n := range order {
		width = max(width, len(n.stack.Name))
	}
	return width
}

// taskAmong returns the work on one of several stacks. The stack's name is put before each line.
func (a *app) taskAmong(f *stackFlags, n *node, mu *sync.Mutex, width int) *task {
	t := a.newTask(f, n.target, n.report)
	prefix := fmt.Sprintf("%-*s | ", width, n.stack.Name)
	t.err = a.hiding(&prefixed{to: a.stderr, mu: mu, prefix: prefix})
	if a.asJSON {
		t.progress.Out = t.err
	} else {
		t.out = a.hiding(&prefixed{to: a.stdout, mu: mu, prefix: prefix})
		t.progress.Out = t.out
	}
	// Lines of several stacks cannot be redrawn, and a person cannot answer several questions at once.
	t.progress.Live, t.asks = false, false
	return t
}

// overview prints one line for each stack.
func (a *app) overview(order []*node) {
	if a.asJSON || len(order) == 0 {
		return
	}
	fmt.Fprintln(a.stdout)
	for _, n := range order {
		fmt.Fprintf(a.stdout, "%-*s  %s, %.1fs\n", widest(order), n.stack.Name, n.report.outcome(), n.report.Seconds)
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
	case r.Healed:
		return "healed"
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
func inOrder(targets []target, backwards bool) (order []*node, err error) {
	nodes := make([]*node, 0, len(targets))
	for _, t := range targets {
		nodes = append(nodes, &node{target: t, done: make(chan struct{})})
	}
	for _, n := range nodes {
		for _, name := range n.stack.References() {
			at := slices.IndexFunc(nodes, func(o *node) bool { return o != n && isStack(name, o.target) })
			if at < 0 {
				continue
			}
			before, after := nodes[at], n
			if backwards {
				before, after = after, before
			}
			if !slices.Contains(after.after, before) {
				after.after = append(after.after, before)
			}
		}
	}
	var visit func(n *node, way []*node) error
	visit = func(n *node, way []*node) error {
		if at := slices.Index(way, n); at >= 0 {
			var names []string
			for _, n := range append(way[at:], n) {
				names = append(names, n.stack.Name)
			}
			return fmt.Errorf("stacks refer to each other in a circle: %s", strings.Join(names, " → "))
		}
		if slices.Contains(order, n) {
			return nil
		}
		for _, before := range n.after {
			if err := visit(before, append(way, n)); err != nil {
				return err
			}
		}
		order = append(order, n)
		return nil
	}
	for _, n := range nodes {
		if err := visit(n, nil); err != nil {
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
