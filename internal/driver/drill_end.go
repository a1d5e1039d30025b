package driver

import (
	"context"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

func (a *app) drillEnd() *cobra.Command {
	var f stackFlags
	var d drillFlags
	do := func(t *task, ctx context.Context) error { return t.runDrillEnd(ctx, &d) }
	cmd := a.onStacks(&f, do, &cobra.Command{
		Use:   "end --stack <stack>",
		Short: "End a drill that was interrupted",
		Long: `Ends what a drill has begun whose process is gone: it starts again what was stopped, and removes the
load. After a drill that restores the database, it deletes the instance and the snapshot that the drill has made.
After a drill that updates the stack, it brings the stack to what its file says. It asks first on AWS.
On the local cloud it also ends all faults that are in force. It does nothing if there is no such drill. Exit
code 6 means that the drill still runs.`,
		Example: `  dbtier drill end --stack local`,
	}, withEngine, withConsent)
	d.access.add(cmd)
	return cmd
}

// runDrillEnd ends a drill whose process is gone.
func (t *task) runDrillEnd(ctx context.Context, d *drillFlags) error {
	ask, err := t.needsConsent("drill end")
	if err != nil {
		return err
	}
	if ask {
		t.say("drill end on stack %s: starts what a drill has stopped, deletes the instance and the snapshot that it "+
			"has made, and updates the stack if the drill did", t.stack.Name)
		if err := t.confirm(ctx); err != nil {
			return err
		}
	}
	// The record of a drill that keeps the API server from answering cannot be read before that has ended.
	faults, err := t.localFaults(ctx)
	if err != nil {
		return err
	}
	if slices.Contains(faults, "api-server") {
		t.say("ending the faults of the local cloud: %s", strings.Join(faults, ", "))
		if err := t.fault(ctx, "end"); err != nil {
			return err
		}
		faults = nil
	}
	runner, err := t.drillRunner(ctx, d)
	if err != nil {
		return err
	}
	if err := runner.Clear(ctx); err != nil {
		return drillError(err)
	}
	if len(faults) > 0 {
		t.say("ending the faults of the local cloud: %s", strings.Join(faults, ", "))
		return t.fault(ctx, "end")
	}
	return nil
}
