package driver

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"dbtier/internal/engine"
	"dbtier/internal/guard"
	"dbtier/internal/progress"
)

func (a *app) up() *cobra.Command {
	var f stackFlags
	cmd := a.onStacks(&f, (*task).runUp, &cobra.Command{
		Use:   "up --stack <stack>",
		Short: "Create or update a stack",
		Long: `Creates or updates a stack's resources as the program and Pulumi.<stack>.yaml declare them.

For a stack on the local cloud, up starts that cloud if it is not running, and does not ask. For any
other stack it shows what would change and asks first; --yes skips the question. ^C lets running
operations finish and records them; a second ^C stops at once.

An update that would delete or replace a database, its key, its secret, a custom resource definition or
the pool in use stops before anything is changed, even with --yes, unless --allow-data-loss names the
resource. So does one that would create an object that the cluster has already: the error names the setting
that solves it. An update replaces generated passwords that were lost with their Secrets. With --plan, an
update that would do anything that is not in the plan fails. It fails before it changes anything if the
stack has been changed since the plan was made, or if the plan was made with other settings. A plan replaces
no lost passwords.

Exit codes: 0 done, 3 a policy is violated, data would be lost or an object exists already, 4 config,
5 failed, 6 another update works on the stack, 130 interrupted.`,
		Example: `  dbtier up --stack local
  dbtier up --stack prod
  dbtier up --stacks 'cluster,orders,billing' --yes --json
  dbtier up --stacks '*' --changed HEAD^ --yes
  dbtier preview --stack prod --plan prod.plan && dbtier up --stack prod --plan prod.plan --yes
  dbtier up --stack dev --yes --config consumer.image=example.com/myshop-api:1.5.0`,
	}, onSeveral, withEngine, withProgram, withTargets, withSummary, withConsent)
	cmd.Flags().StringVar(&f.plan, "plan", "", "do only what this plan of preview --plan contains; anything else fails")
	cmd.Flags().StringArrayVar(&f.allowDataLoss, "allow-data-loss", nil,
		"the `resource` (name or URN) whose data may be lost")
	return cmd
}

func (t *task) runUp(ctx context.Context) error {
	started := time.Now()
	ask, err := t.needsConsent("up")
	if err != nil {
		return err
	}
	if t.flags.plan != "" {
		if _, err := readPlan(t.flags.plan); err != nil {
			return fmt.Errorf("--plan: %s: %w: write one with `dbtier preview --stack %s --plan FILE`", t.flags.plan,
				err, t.stack.Name)
		}
	}
	run, done, err := t.openRun(ctx, operation{command: "up", starts: true, program: true, recovers: true})
	if err != nil {
		return err
	}
	defer done()
	if t.flags.plan != "" {
		if err := t.checkPlan(ctx, run.Reader); err != nil {
			return err
		}
	}
	if ask || t.flags.expectNoChanges || run.NeedsRefresh() || !t.sealed() {
		goAhead, err := t.previewUp(ctx, run, ask)
		if err != nil || !goAhead {
			return err
		}
	}
	t.say("up of stack %s", t.stack.Name)
	options := t.options()
	options.Plan = t.flags.plan
	// The engine's own protection stays on, unless a person has named what is protected.
	options.IgnoreProtect = slices.ContainsFunc(t.report.DataLoss, func(l guard.Loss) bool { return l.Protected })
	result, err := run.Up(ctx, options)
	err = t.advise(ctx, &result, err)
	t.settle(ctx, run.Reader, &result)
	if err = t.ended(started, "stack "+t.stack.Name, result, err); err == nil {
		t.seal()
		if result.Changed() {
			t.retrySecrets(ctx, run.Reader)
		}
	}
	return err
}

// previewUp previews an update and returns an error if it would lose data, or create what exists already. A person who
// must be asked sees the preview.
func (t *task) previewUp(ctx context.Context, run *engine.Run, ask bool) (goAhead bool, err error) {
	started := time.Now()
	options := t.options()
	options.Progress.Quiet = options.Progress.Quiet || !ask
	options.Progress.Live = options.Progress.Live && ask
	result, err := run.Preview(ctx, options)
	err = t.advise(ctx, &result, err)
	t.settle(ctx, run.Reader, &result)
	t.report.take(&result, true)
	if err != nil {
		return false, err
	}
	if ask {
		t.finish("preview of stack "+t.stack.Name, result, true, started)
		t.sayPending()
	}
	if err := t.guardData(ctx, run, &result); err != nil {
		return false, err
	}
	t.findConflicts(ctx, run.Reader, result.Steps)
	if err := t.refuseConflicts(); err != nil {
		return false, err
	}
	switch changed := result.Changed(); {
	case changed && t.flags.expectNoChanges:
		return false, coded(exitPending, fmt.Errorf("stack %s: changes are pending with --expect-no-changes, and "+
			"nothing was changed: %s", t.stack.Name, result.Summary(true, time.Since(started))))
	case changed && ask:
		return true, t.confirm(ctx)
	default:
		return changed || !ask, nil
	}
}

// guardData returns an error if the run would lose data without a flag that allows it.
func (t *task) guardData(ctx context.Context, run *engine.Run, result *progress.Result) error {
	state, err := run.State(ctx)
	if err != nil {
		return err
	}
	t.report.DataLoss = slices.Concat(guard.Losses(result.Steps, t.flags.allowDataLoss),
		guard.Gone(result.Steps, state, t.flags.allowDataLoss))
	if err := t.unmatched(state, result.Steps); err != nil {
		return err
	}
	if refused := guard.Refused(t.report.DataLoss); len(refused) > 0 {
		return coded(exitRefused, errors.New(guard.Refusal(t.stack.Name, refused)))
	}
	if err := t.refuse("changed", guard.Blocked(t.report.DataLoss, result.Steps, t.stack.Name)); err != nil {
		return err
	}
	for _, loss := range t.report.DataLoss {
		t.note("allowed: " + loss.String())
	}
	return nil
}
