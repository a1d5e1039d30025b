package driver

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"dbtier/internal/text"
)

func (a *app) history() *cobra.Command {
	var limit int
	do := func(t *task, ctx context.Context) error { return t.runHistory(ctx, limit) }
	cmd := a.onStacks(&stackFlags{}, do, &cobra.Command{
		Use:   "history --stack <stack>",
		Short: "Show the last updates of a stack",
		Long: "Shows the last updates of a stack, the newest first. The history of a local stack has the last " +
			"five.",
		Example: `  dbtier history --stack prod
  dbtier history --stack prod --limit 3 --json | jq '.history[0].result'`,
	}, onSeveral)
	cmd.Flags().IntVar(&limit, "limit", 10, "the number of updates to show")
	cmd.PreRunE = func(cmd *cobra.Command, _ []string) error {
		if limit < 1 {
			return usage(cmd, "--limit %d: must be at least 1", limit)
		}
		return nil
	}
	return cmd
}

func (t *task) runHistory(ctx context.Context, limit int) error {
	reader := t.reader()
	defer reader.Close()
	updates, err := reader.History(ctx, limit)
	if err != nil {
		return err
	}
	t.report.History = updates
	if len(updates) == 0 {
		t.say("stack %s was never changed", t.stack.Name)
	}
	for _, u := range updates {
		took := u.EndTime.Sub(u.StartTime).Round(time.Second)
		t.say("%s  %-8s %-11s %6s  %-8.8s  %s", u.StartTime.Local().Format(time.DateTime), u.Kind, u.Result, took,
			u.Commit, text.FirstLine(u.Message))
	}
	return nil
}
