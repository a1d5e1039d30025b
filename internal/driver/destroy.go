package driver

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"dbtier/internal/engine"
	"dbtier/internal/guard"
	"dbtier/internal/progress"
)

func (a *app) destroy() *cobra.Command {
	var f stackFlags
	var remove bool
	do := func(t *task, ctx context.Context) error { return t.runDestroy(ctx, remove) }
	cmd := a.onStacks(&f, do, &cobra.Command{
		Use:   "destroy --stack <stack>",
		Short: "Delete every resource of a stack",
		Long: `Deletes every resource of a stack. If something stands in the way, nothing is deleted, and each obstacle
is listed with its fix: deletion protection, a resource that a person has protected, or an operator that
other stacks of the cluster still need.

What holds data for later is kept: in production the final snapshot, the backups, the key that encrypts
them, and the logs. destroy names each with the command that removes it for good. The CRDs of External
Secrets are kept too: deleting them would delete the secrets of every team.

With --remove the stack itself goes too, with its history: it is no longer in the backend. Its file stays.

To delete a local stack completely, with its database, use: dbtier local stop --purge`,
		Example: `  dbtier destroy --stack local
  dbtier destroy --stack dev --yes --remove`,
	}, onSeveral, withEngine, withTargets, withSummary, withConsent)
	cmd.Flags().BoolVar(&f.refresh, "refresh", false, "refresh the state from the real resources first")
	cmd.Flags().BoolVar(&remove, "remove", false, "then remove the empty stack from the backend")
	cmd.PreRunE = func(cmd *cobra.Command, _ []string) error {
		if remove && len(f.targets) > 0 {
			return usage(cmd, "--remove and --target: a stack with resources cannot be removed")
		}
		return nil
	}
	return cmd
}

func (t *task) runDestroy(ctx context.Context, remove bool) error {
	started := time.Now()
	return t.change(ctx, operation{command: "destroy"},
		"destroy deletes every resource of stack %s, whose state is in %s",
		func(run *engine.Run) error {
			t.say("destroy of stack %s", t.stack.Name)
			options := t.options()
			// The obstacles have been checked, and a person has been asked.
			options.IgnoreProtect = true
			result, err := run.Destroy(ctx, options)
			if err = t.ended(started, "stack "+t.stack.Name, result, err); err != nil || !remove {
				return err
			}
			if err := run.Remove(ctx); err != nil {
				return err
			}
			t.say("stack %s is no longer in the backend; %s stays", t.stack.Name, t.stack.Values.File)
			return nil
		},
		func(run *engine.Run) error { return t.checkProtection(ctx, run) })
}

// checkProtection returns an error if a resource is protected: a stack must not be deleted by half. It says what the
// destroy keeps, before a person is asked.
func (t *task) checkProtection(ctx context.Context, run *engine.Run) error {
	state, err := run.State(ctx)
	if err != nil {
		return err
	}
	if err := t.unmatched(state, nil); err != nil {
		return err
	}
	obstacles := guard.Obstacles(state, t.stack.Name, t.flags.targets)
	obstacles = append(obstacles, t.operatorInUse(ctx, guard.Deletions(state, t.flags.targets))...)
	if err := t.refuse("deleted", obstacles); err != nil {
		return err
	}
	if ask, err := t.needsConsent("destroy"); ask || err != nil {
		t.report.Kept = guard.Keeps(guard.Deletions(state, t.flags.targets))
		t.sayKept()
		return err
	}
	return nil
}

// operatorInUse returns an obstacle if the deletions include the operator and other stacks of the cluster use it. If
// the cluster does not answer, it prints a note and returns nothing, because the cluster may have been deleted.
func (t *task) operatorInUse(ctx context.Context, deletions []progress.Step) []guard.Obstacle {
	if !guard.DeletesOperator(deletions) {
		return nil
	}
	var inCluster struct{ Items []guard.Object }
	client, _, err := t.cluster(ctx, t.clusterOf(clusterAccess{}))
	if err == nil {
		ctx, cancel := context.WithTimeout(ctx, existingTimeout)
		defer cancel()
		err = client.All(ctx, &inCluster, guard.ExternalSecrets)
	}
	if err != nil && ctx.Err() == nil {
		t.note(fmt.Sprintf("whether other stacks of the cluster need the operator of stack %s was not checked: %v",
			t.stack.Name, err))
	}
	return guard.OperatorInUse(deletions, inCluster.Items)
}

// refuse returns an error that lists the obstacles, if there are any. Done is what was not done because of them.
func (t *task) refuse(done string, obstacles []guard.Obstacle) error {
	t.report.Obstacles = obstacles
	if len(obstacles) == 0 {
		return nil
	}
	lines := []string{fmt.Sprintf("stack %s: nothing was %s, because of these obstacles:", t.stack.Name, done)}
	for _, obstacle := range obstacles {
		lines = append(lines, "  "+obstacle.String())
	}
	return coded(exitRefused, errors.New(strings.Join(lines, "\n")))
}
