package driver

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"dbtier/internal/engine"
	"dbtier/internal/guard"
	"dbtier/internal/progress"
)

// advise adds to the error of a run what people have added to each object that the API server refused to update, and
// the command that takes it out. The API server names only a field of the merged object, which is often the program's.
func (t *task) advise(ctx context.Context, result *progress.Result, err error) error {
	var failure *engine.FailureError
	messages := maps.Clone(t.refused)
	clear(t.refused)
	if len(messages) == 0 || !errors.As(err, &failure) {
		return err
	}
	watched := guard.WatchedIn(result.Steps, slices.Collect(maps.Keys(messages)))
	existing, asked := t.existing(ctx, watched)
	t.report.Additions = guard.InTheWay(watched, existing, messages)
	for i, fault := range failure.Faults {
		for _, w := range watched {
			if strings.HasPrefix(fault, progress.Subject(w.URN)+": ") {
				failure.Faults[i] += t.advice(w.URN, asked)
			}
		}
	}
	return err
}

// advice are the lines below an error about an object. The error is that of the search, if not all objects were found.
func (t *task) advice(urn string, err error) string {
	var said, fixes []string
	for _, a := range t.report.Additions {
		if a.URN != urn {
			continue
		}
		said = append(said, fmt.Sprintf("\n%s was added by %s, %s", a.Path, a.By, a.Time))
		// Elements of one list can have one command.
		if fix := "\nfix, then run this again: " + t.typed(a.Fix); len(fixes) == 0 || fixes[len(fixes)-1] != fix {
			fixes = append(fixes, fix)
		}
	}
	switch {
	case len(said) > 0:
		return strings.Join(said, "") + "; no update removes what others have written" + strings.Join(fixes, "")
	case err != nil:
		return fmt.Sprintf("\nif a person has added a field to it, no update removes that, and "+
			"`dbtier drift --stack %s` names it: the cluster was not asked (%v)", t.stack.Name, err)
	default:
		return ""
	}
}
