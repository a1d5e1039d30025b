package driver

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"dbtier/internal/engine"
)

func (a *app) refresh() *cobra.Command {
	var adopt, forget []string
	ids := map[string]string{}
	do := func(t *task, ctx context.Context) error { return t.runRefresh(ctx, ids, forget) }
	cmd := a.onStacks(&stackFlags{}, do, &cobra.Command{
		Use:   "refresh --stack <stack>",
		Short: "Update the state from the real resources",
		Long: `Reads each resource and writes what it finds into the state; no resource is changed. The next up then
restores what differs from the program.

A run that was killed may leave creations whose outcome is unknown. up settles the resources that it can
find by name and asks about the others: --adopt-pending gives the id of a resource that exists,
--forget-pending names one that does not.`,
		Example: `  dbtier refresh --stack prod --yes
  dbtier refresh --stack prod --yes --adopt-pending database-key=1234abcd-12ab-34cd-56ef-1234567890ab
  dbtier refresh --stack prod --yes --forget-pending database-security-group`,
	}, onSeveral, withEngine, withTargets, withSummary, withConsent)
	cmd.Flags().StringArrayVar(&adopt, "adopt-pending", nil,
		"an unfinished creation of a resource that exists, as `resource=id` (resource: name or URN)")
	cmd.Flags().StringArrayVar(&forget, "forget-pending", nil,
		"an unfinished creation of a `resource` that does not exist (name or URN)")
	cmd.PreRunE = func(cmd *cobra.Command, _ []string) error {
		for _, given := range adopt {
			resource, id, ok := strings.Cut(given, "=")
			if !ok || resource == "" || id == "" {
				return usage(cmd, "--adopt-pending %s: want resource=id", given)
			}
			ids[resource] = id
		}
		return nil
	}
	return cmd
}

func (t *task) runRefresh(ctx context.Context, adopt map[string]string, forget []string) error {
	started := time.Now()
	return t.change(ctx, operation{command: "refresh", existing: true, adopt: adopt, forget: forget},
		"refresh writes the real resources into the state of stack %s, in %s; no resource is changed",
		func(run *engine.Run) error {
			t.say("refresh of stack %s", t.stack.Name)
			result, err := run.Refresh(ctx, t.options())
			return t.ended(started, "refresh of stack "+t.stack.Name, result, err)
		})
}
