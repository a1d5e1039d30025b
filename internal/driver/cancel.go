package driver

import (
	"context"

	"github.com/spf13/cobra"

	"dbtier/internal/engine"
)

func (a *app) cancel() *cobra.Command {
	return a.onStacks(&stackFlags{}, (*task).runCancel, &cobra.Command{
		Use:   "cancel --stack <stack>",
		Short: "Remove the lock of an update that is gone",
		Long: `Removes the lock of an update that has ended without removing it, for example on another machine that has
died. If the process was on this machine, cancel is not needed: the next up removes the lock. The lock of
a running process on this machine is never removed, because two updates at once would damage the state.
In Pulumi Cloud, cancel ends the running update.

Make sure first that the update has really ended. The next up settles what it had begun.`,
		Example: `  dbtier cancel --stack prod --yes`,
	}, withConsent)
}

func (t *task) runCancel(ctx context.Context) error {
	ask, err := t.needsConsent("cancel")
	if err != nil {
		return err
	}
	reader := engine.NewReader(t.config(operation{command: "cancel"}))
	defer reader.Close()
	if ask {
		t.say("cancel removes the lock of stack %s, whose state is in %s: the update that holds it must really "+
			"have ended", t.stack.Name, reader.Backend())
		if err := t.confirm(ctx); err != nil {
			return err
		}
	}
	locks, err := reader.Cancel(ctx)
	if err != nil {
		return err
	}
	t.report.Locks = locks
	for _, lock := range locks {
		t.say("removed the lock of %s", lock)
	}
	if len(locks) == 0 {
		t.say("stack %s: no lock is left", t.stack.Name)
	}
	return nil
}
