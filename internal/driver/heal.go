package driver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"

	"dbtier/internal/engine"
	"dbtier/internal/guard"
	"dbtier/internal/progress"
	"dbtier/internal/text"
)

// mayHeal reports whether the stack's file lets drift be healed, and notes if it does not.
func (t *task) mayHeal() (bool, error) {
	stack, err := t.stack.Config()
	if err != nil {
		return false, coded(exitConfig, err)
	}
	if !stack.Drift.Heal {
		t.note(fmt.Sprintf("stack %s is not healed: %s does not set dbtier:drift.heal to true", t.stack.Name,
			t.stack.Values.File))
	}
	return stack.Drift.Heal, nil
}

// heal repairs drift with an update. It refuses one that would deploy something else, delete or replace a resource, or
// lose data.
func (t *task) heal(ctx context.Context) error {
	started := time.Now()
	run, done, err := t.openRun(ctx, operation{command: "drift", program: true})
	if err != nil {
		return err
	}
	defer done()
	options := t.options()
	options.Progress.Quiet = true
	// Compared with the state that the last up left, the program must have nothing to change: then everything that an
	// update would do after a refresh is the repair.
	undeployed := options
	undeployed.AsRecorded = true
	result, err := run.Preview(ctx, undeployed)
	t.settle(ctx, run.Reader, &result)
	if err != nil {
		return err
	}
	if result.Changed() {
		return t.unhealed(fmt.Sprintf("it would also deploy what is not deployed yet (%s): run `dbtier up --stack %s`",
			result.Summary(true, time.Since(started)), t.stack.Name))
	}
	// The update does only what the preview shows, also if something changes in between.
	dir, err := os.MkdirTemp("", "dbtier-heal-")
	if err != nil {
		return fmt.Errorf("making a folder for the plan: %w", err)
	}
	defer os.RemoveAll(dir)
	options.Refresh, options.Plan = true, filepath.Join(dir, "plan")
	if result, err = run.Preview(ctx, options); err != nil {
		return t.advise(ctx, &result, err)
	}
	t.settle(ctx, run.Reader, &result)
	if err := t.mayRepair(ctx, run, &result); err != nil {
		return err
	}
	result, err = run.Up(ctx, options)
	err = t.advise(ctx, &result, err)
	t.settle(ctx, run.Reader, &result)
	if err != nil {
		return err
	}
	t.report.Healed = true
	t.say("stack %s: healed: %s", t.stack.Name, result.Summary(false, time.Since(started)))
	return nil
}

// mayRepair returns an error if an update would do more than create and update.
func (t *task) mayRepair(ctx context.Context, run *engine.Run, result *progress.Result) error {
	err := t.guardData(ctx, run, result)
	if refused := guard.Refused(t.report.DataLoss); err != nil && len(refused) > 0 {
		return t.unhealed(guard.Unhealed(t.stack.Name, refused))
	}
	if err != nil {
		return err
	}
	harmless := []apitype.OpType{
		apitype.OpSame, apitype.OpCreate, apitype.OpUpdate, apitype.OpRead, apitype.OpRefresh,
	}
	var others []string
	for _, step := range result.Steps {
		if !slices.Contains(harmless, step.Op) {
			others = append(others, fmt.Sprintf("%s %s", progress.Verb(step.Op, true), progress.Subject(step.URN)))
		}
	}
	if len(others) > 0 {
		return t.unhealed(fmt.Sprintf("it would do more than create and update (%s: %s): check `dbtier preview "+
			"--stack %s --refresh`, then run `dbtier up --stack %s --refresh`",
			text.Count(len(others), "operation", "operations"), strings.Join(others, ", "), t.stack.Name, t.stack.Name))
	}
	return nil
}

func (t *task) unhealed(why string) error {
	return coded(exitRefused, errors.New("stack "+t.stack.Name+" was not healed, and nothing was changed: "+why))
}
