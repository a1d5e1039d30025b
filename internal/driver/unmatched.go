package driver

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"dbtier/internal/engine"
	"dbtier/internal/progress"
	"dbtier/internal/stackstate"
	"dbtier/internal/suggest"
)

// unmatched returns an error for each name of --target and --replace that no resource has, neither in the state nor in
// the steps of a preview. Without this, a name with a typo does nothing. A name of --allow-data-loss is only noted: the
// same command must work again after the resource is gone. In a run over several stacks, a name can be that of another
// stack's resource. Names with * are for the engine.
func (t *task) unmatched(state *stackstate.State, steps []progress.Step) error {
	if t.flags.stacks != "" {
		return nil
	}
	var urns []string
	for i := range state.Resources {
		urns = append(urns, state.Resources[i].URN)
	}
	for i := range steps {
		urns = append(urns, steps[i].URN)
	}
	var faults []error
	note := func(err error) { t.note(err.Error()) }
	fault := func(err error) { faults = append(faults, err) }
	for _, given := range []struct {
		flag  string
		names []string
		tell  func(error)
	}{
		{"--target", t.flags.targets, fault},
		{"--replace", t.flags.replaces, fault},
		{"--allow-data-loss", t.flags.allowDataLoss, note},
	} {
		for _, name := range given.names {
			if !strings.Contains(name, "*") && !slices.ContainsFunc(urns, func(urn string) bool {
				return progress.Matches(urn, name)
			}) {
				given.tell(fmt.Errorf("%s %s: stack %s has no such resource%s", given.flag, name, t.stack.Name,
					didYouMean(name, urns)))
			}
		}
	}
	if len(faults) == 0 {
		return nil
	}
	return coded(exitConfig, errors.Join(faults...))
}

// allMatched does so with the state that a reader has. An offline preview has none.
func (t *task) allMatched(ctx context.Context, reader *engine.Reader, steps []progress.Step) error {
	if len(t.flags.targets)+len(t.flags.replaces) == 0 {
		return nil
	}
	state := &stackstate.State{}
	if !t.report.Offline {
		var err error
		if state, err = reader.State(ctx); err != nil {
			return err
		}
	}
	return t.unmatched(state, steps)
}

// didYouMean suggests the resource whose name is nearest.
func didYouMean(name string, urns []string) string {
	var names []string
	for _, urn := range urns {
		names = append(names, progress.Name(urn))
	}
	if near := suggest.Nearest(name, names); near != "" {
		return "; did you mean " + near + "?"
	}
	return ""
}
