package driver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"dbtier/internal/changed"
	"dbtier/internal/project"
	"dbtier/internal/text"
)

// selection says which of several stacks a command with --changed works on.
type selection struct {
	// Since is the revision as it was given, Commit its hash.
	Since  string     `json:"since"`
	Commit string     `json:"commit"`
	Stacks []selected `json:"stacks"`
}

// selected is a stack that a command with --changed works on or leaves out.
type selected struct {
	Stack string `json:"stack"`
	Taken bool   `json:"taken"`
	// Because are the reasons why the stack was taken.
	Because []string `json:"because,omitempty"`
}

// policyProgram is the main package of the policy pack, below that of dbtier.
const policyProgram = "policy"

// engineFiles are the files of dbtier's checkout that name the version of the engine.
var engineFiles = []string{"tools/pulumi/go.mod", "tools/pulumi/go.sum"}

// changedSince keeps those of the targets that changed since the revision of --changed, and those that refer to them,
// also through stacks that are not among the targets.
func (a *app) changedSince(
	ctx context.Context, p *project.Project, revision string, targets []target,
) ([]target, error) {
	files, err := changed.Since(ctx, p.Dir, revision)
	if err != nil {
		return nil, fmt.Errorf("--changed: %w", err)
	}
	shared, err := a.sharedChanges(p, files)
	if err != nil {
		return nil, fmt.Errorf("--changed: %w", err)
	}
	all := slices.Clone(targets)
	for _, name := range p.Stacks() {
		if slices.ContainsFunc(all, func(t target) bool { return t.stack.Name == name }) {
			continue
		}
		// A fault in the file of a stack that nobody asked for is no fault of this run.
		if s, err := p.Stack(name); err == nil {
			all = append(all, target{p, s})
		}
	}
	because := map[string][]string{}
	for _, t := range all {
		if reasons := slices.Concat(ownChanges(t, files), shared); len(reasons) > 0 {
			because[t.stack.Name] = reasons
		}
	}
	addReferring(all, because)
	said := &selection{Since: revision, Commit: files.Commit}
	var taken []target
	for _, t := range targets {
		reasons := because[t.stack.Name]
		said.Stacks = append(said.Stacks, selected{t.stack.Name, len(reasons) > 0, reasons})
		if len(reasons) > 0 {
			taken = append(taken, t)
		}
	}
	a.report.Selection = said
	if !a.asJSON {
		fmt.Fprintln(a.stdout, said)
	}
	return taken, nil
}

// String lists the stacks for people.
func (s *selection) String() string {
	since := fmt.Sprintf("since %s (%.8s)", s.Since, s.Commit)
	width, taken := 0, false
	var names []string
	for _, each := range s.Stacks {
		width, taken, names = max(width, len(each.Stack)), taken || each.Taken, append(names, each.Stack)
	}
	if !taken {
		return "nothing to do: nothing that " + strings.Join(names, ", ") + " depends on has changed " + since
	}
	lines := []string{"changed " + since + ":"}
	for _, each := range s.Stacks {
		why := "left out, nothing has changed"
		if each.Taken {
			why = "taken: " + strings.Join(each.Because, "; ")
		}
		lines = append(lines, fmt.Sprintf("  %-*s  %s", width, each.Stack, why))
	}
	return strings.Join(lines, "\n")
}

// sharedChanges returns the reasons that hold for every stack of the project.
func (a *app) sharedChanges(p *project.Project, files *changed.Files) ([]string, error) {
	reasons := files.At(filepath.Join(p.Dir, "Pulumi.yaml"))
	dir, err := filepath.EvalSymlinks(p.Dir)
	if err != nil {
		return nil, fmt.Errorf("the project's folder: %w", err)
	}
	sources, err := changed.SourcesOf(a.program, dir, files.Root)
	if errors.Is(err, changed.ErrNoSources) {
		// The project has only config, and dbtier comes from elsewhere.
		return reasons, nil
	}
	if err == nil {
		err = sources.Add(a.program + "/" + policyProgram)
	}
	if err != nil {
		return nil, err
	}
	var ofProgram []string
	for _, file := range files.Paths {
		if sources.Has(filepath.Join(files.Root, filepath.FromSlash(file))) {
			ofProgram = append(ofProgram, file)
		}
	}
	if len(ofProgram) > 0 {
		reasons = append(reasons, "the program: "+some(ofProgram))
	}
	var ofEngine []string
	for _, name := range engineFiles {
		ofEngine = append(ofEngine, files.At(filepath.Join(p.Checkout(), filepath.FromSlash(name)))...)
	}
	if len(ofEngine) > 0 {
		reasons = append(reasons, "the engine: "+some(ofEngine))
	}
	return reasons, nil
}

// ownChanges returns the files that only this stack depends on and that have changed: its own, and those that its
// config names.
func ownChanges(t target, files *changed.Files) []string {
	found := files.At(t.stack.File)
	var visit func(value any)
	visit = func(value any) {
		switch v := value.(type) {
		case map[string]any:
			for _, inner := range v {
				visit(inner)
			}
		case []any:
			for _, inner := range v {
				visit(inner)
			}
		case string:
			if path := filepath.Clean(v); path != "." && path != string(filepath.Separator) {
				if !filepath.IsAbs(path) {
					path = filepath.Join(t.project.Dir, path)
				}
				found = append(found, files.At(path)...)
			}
		}
	}
	for _, given := range t.stack.Values.Keys {
		var value any
		if json.Unmarshal([]byte(given.Text), &value) != nil {
			value = given.Text
		}
		visit(value)
	}
	slices.Sort(found)
	return slices.Compact(found)
}

// addReferring adds the stacks that refer to one that has a reason.
func addReferring(all []target, because map[string][]string) {
	for found := true; found; {
		found = false
		for _, t := range all {
			for _, reference := range t.stack.References() {
				at := slices.IndexFunc(all, func(o target) bool { return isStack(reference, o) })
				if at < 0 || all[at].stack.Name == t.stack.Name || len(because[all[at].stack.Name]) == 0 {
					continue
				}
				reason := "it refers to stack " + all[at].stack.Name
				if !slices.Contains(because[t.stack.Name], reason) {
					because[t.stack.Name], found = append(because[t.stack.Name], reason), true
				}
			}
		}
	}
}

// some names the first of the files and counts the others.
func some(files []string) string {
	const shown = 3
	if len(files) <= shown {
		return strings.Join(files, ", ")
	}
	return strings.Join(files[:shown], ", ") + " and " + text.Count(len(files)-shown, "more file", "more files")
}
