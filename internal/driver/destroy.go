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
)

func (a *app) destroy() *cobra.Command {
	var f stackFlags
	cmd := a.onStacks(&f, (*task).runDestroy, &cobra.Command{
		Use:   "destroy --stack <stack>",
		Short: "Delete every resource of a stack",
		Long: `Deletes every resource of a stack. If something is protected, nothing is deleted, and each obstacle is
listed with its fix. The CRDs of External Secrets are retained: deleting them would delete the secrets of
every team.

To delete a local stack completely, with its database, use: dbtier local stop --purge`,
		Example: `  dbtier destroy --stack local
  dbtier destroy --stack dev --yes`,
	}, onSeveral, withEngine, withTargets, withSummary, withConsent)
	cmd.Flags().BoolVar(&f.refresh, "refresh", false, "refresh the state from the real resources first")
	return cmd
}

func (t *task) runDestroy(ctx context.Context) error {
	started := time.Now()
	return t.change(ctx, operation{command: "destroy"},
		"destroy deletes every resource of stack %s, whose state is in %s",
		func(run *engine.Run) error {
			t.say("destroy of stack %s", t.stack.Name)
			result, err := run.Destroy(ctx, t.options())
			return t.ended(started, "stack "+t.stack.Name, result, err)
		},
		func(run *engine.Run) error { return t.checkProtection(ctx, run) })
}

// checkProtection returns an error if a resource is protected: a stack must not be deleted by half.
func (t *task) checkProtection(ctx context.Context, run *engine.Run) error {
	state, err := run.State(ctx)
	if err != nil {
		return err
	}
	t.report.Obstacles = guard.Obstacles(state, t.stack.Name, t.flags.targets)
	if len(t.report.Obstacles) == 0 {
		return nil
	}
	lines := []string{fmt.Sprintf("stack %s: nothing was deleted, because of these obstacles:", t.stack.Name)}
	for _, obstacle := range t.report.Obstacles {
		lines = append(lines, "  "+obstacle.String())
	}
	return coded(exitRefused, errors.New(strings.Join(lines, "\n")))
}
