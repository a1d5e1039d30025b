package driver

import (
	"context"
	"slices"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/spf13/cobra"

	"dbtier/internal/engine"
	"dbtier/internal/guard"
	"dbtier/internal/progress"
)

func (a *app) preview() *cobra.Command {
	var f stackFlags
	var offline, inputs bool
	do := func(t *task, ctx context.Context) error { return t.runPreview(ctx, offline, inputs) }
	cmd := a.onStacks(&f, do, &cobra.Command{
		Use:   "preview --stack <stack>",
		Short: "Show what up would change",
		Long: `Shows what up would change.

With --offline it needs no credentials, no cluster and no network: it shows every resource of the stack,
as if the stack were created from nothing. It works on an empty state and never touches the stack's state.
With --inputs it also shows the inputs of each resource, and the policies that wait for values. Values that
only AWS can decide are shown as known after the update. Without --offline it also lists the objects that up
would create and that the cluster has already, each with its owner and the setting that solves it.

It compares the program with the state. With --refresh it reads the real resources first. The signs mean:
+ create, ~ update, ± replace, - delete, . remove from the state only, = import, ! warning.

Exit codes: 0, or with --detailed-exitcode 2 if something would change; 3 a mandatory policy is violated,
4 config, 5 failed.`,
		Example: `  dbtier preview --stack local
  dbtier preview --stack prod --offline
  dbtier preview --stacks '*' --changed origin/main --summary preview.md
  dbtier preview --stack prod --detailed-exitcode --summary summary.md
  dbtier preview --stack prod --sarif findings.sarif --junit findings.xml
  dbtier preview --stack prod --offline --json | jq '.resources[] | select(.type | test("rds/instance")) | .inputs'`,
	}, onSeveral, withEngine, withProgram, withTargets, withSummary)
	cmd.Flags().BoolVar(&offline, "offline", false,
		"preview from an empty state, without credentials, cluster or network")
	cmd.Flags().BoolVar(&inputs, "inputs", false, "show each resource's inputs")
	cmd.Flags().StringVar(&f.plan, "plan", "", "write a plan to this file, for up --plan")
	cmd.PreRunE = func(cmd *cobra.Command, _ []string) error {
		if offline && f.plan != "" {
			return usage(cmd, "--plan: a plan of --offline begins with an empty state and fits no stack: leave out "+
				"one of them")
		}
		return nil
	}
	findingsFlags(cmd, &f.sarif, &f.junit)
	cmd.Flags().BoolVar(&f.detailedExitCode, "detailed-exitcode", false, "exit with code 2 if something would change")
	return cmd
}

func (t *task) runPreview(ctx context.Context, offline, inputs bool) error {
	started := time.Now()
	t.report.Offline = offline
	reader, done, err := t.openReader(ctx, operation{command: "preview", offline: offline, program: true})
	if err != nil {
		return err
	}
	defer done()
	options := t.options()
	options.Progress.Inputs = inputs
	options.Plan, t.report.Plan = t.flags.plan, t.flags.plan
	result, err := reader.Preview(ctx, options)
	err = t.advise(ctx, &result, err)
	t.settle(ctx, reader, &result)
	t.report.take(&result, true)
	t.report.rules = t.checked()
	t.report.DataLoss, t.report.Kept = guard.Losses(result.Steps, nil), guard.Keeps(result.Steps)
	if err == nil && !offline {
		err = t.addGone(ctx, reader, result.Steps)
	}
	if err == nil {
		err = t.allMatched(ctx, reader, result.Steps)
	}
	if err == nil && t.flags.plan != "" {
		err = t.markPlan(ctx, reader)
	}
	if err != nil {
		return err
	}
	title := "preview of stack " + t.stack.Name
	if offline {
		title = "offline " + title
	}
	t.finish(title, result, true, started)
	if !offline {
		t.findConflicts(ctx, reader, result.Steps)
		t.sayConflicts()
	}
	for _, loss := range t.report.DataLoss {
		t.say("  ! data would be lost: %s (up needs --allow-data-loss %s)", loss, loss.Name)
	}
	t.sayKept()
	t.sayPending()
	if result.Changed() && (t.flags.detailedExitCode || t.flags.expectNoChanges) {
		return errPending
	}
	return nil
}

// addGone reports what is gone, and up would create again, empty.
func (t *task) addGone(ctx context.Context, reader *engine.Reader, steps []progress.Step) error {
	if !slices.ContainsFunc(steps, func(s progress.Step) bool { return s.Op == apitype.OpCreate }) {
		return nil
	}
	state, err := reader.State(ctx)
	if err != nil {
		return err
	}
	t.report.DataLoss = append(t.report.DataLoss, guard.Gone(steps, state, nil)...)
	return nil
}
