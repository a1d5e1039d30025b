package driver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"dbtier/internal/engine"
)

func (a *app) history() *cobra.Command {
	var f stackFlags
	var limit int
	cmd := &cobra.Command{
		Use:   "history --stack <stack>",
		Short: "Show what changed a stack, and when",
		Long:  "Shows the last updates of a stack, the newest first. The local cloud's stacks remember five.",
		Example: `  dbtier history --stack prod
  dbtier history --stack prod --limit 3 --json | jq '.history[0].result'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if limit < 1 {
				return &usageError{
					error:   fmt.Errorf("--limit %d: at least one update is shown", limit),
					command: cmd.CommandPath(),
				}
			}
			return a.onStacks(cmd, &f, func(ctx context.Context, t *task) error {
				config, err := t.asking(ctx)
				if err != nil {
					return err
				}
				updates, err := engine.History(ctx, config, limit)
				if err != nil {
					return err
				}
				t.report.History = updates
				t.printHistory(updates)
				return nil
			})
		},
	}
	f.add(cmd, a, onSeveral)
	cmd.Flags().IntVar(&limit, "limit", 10, "how many updates to show")
	return cmd
}

func (t *task) printHistory(updates []engine.Update) {
	if len(updates) == 0 {
		t.say("stack %s was never changed", t.stack.Name)
	}
	for _, u := range updates {
		took := u.EndTime.Sub(u.StartTime).Round(time.Second)
		commit := u.Commit
		if len(commit) > 8 {
			commit = commit[:8]
		}
		t.say("%s  %-8s %-11s %6s  %-8s  %s", u.StartTime.Local().Format(time.DateTime), u.Kind, u.Result, took, commit,
			firstLine(u.Message))
	}
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}

func (a *app) cancel() *cobra.Command {
	var f stackFlags
	cmd := &cobra.Command{
		Use:   "cancel --stack <stack>",
		Short: "Take the lock of an update that is gone off a stack",
		Long: `Takes the lock of an update that is gone for good off a stack: one of another machine that has died. A lock of a process of this machine
that has died needs no cancel, the next up takes it off; one of a process that lives is refused, because two updates at once would
damage the state. In Pulumi Cloud it ends the update that runs.

Make sure first that the update really is gone. What it had begun the next up settles.`,
		Example: `  dbtier cancel --stack prod --yes`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.onStacks(cmd, &f, func(ctx context.Context, t *task) error { return t.cancelUpdate(ctx) })
		},
	}
	f.add(cmd, a, withConsent)
	return cmd
}

func (t *task) cancelUpdate(ctx context.Context) error {
	ask, err := t.mayAsk("cancel")
	if err != nil {
		return err
	}
	if ask {
		t.say("cancel takes the lock off stack %s, whose state is in %s: the update that holds it must be gone for "+
			"good", t.stack.Name, t.backend())
		if goAhead, err := t.agree(ctx); err != nil || !goAhead {
			return err
		}
	}
	config, err := t.asking(ctx)
	if err != nil {
		return err
	}
	config.Command = "cancel"
	locks, err := engine.Cancel(ctx, config)
	if err != nil {
		return err
	}
	t.report.Locks = locks
	for _, lock := range locks {
		t.say("took off the lock of %s", lock)
	}
	if len(locks) == 0 {
		t.say("stack %s: no lock is left", t.stack.Name)
	}
	return nil
}

func (a *app) export() *cobra.Command {
	var f stackFlags
	var file string
	cmd := &cobra.Command{
		Use:   "export --stack <stack>",
		Short: "Write a stack's state as JSON",
		Long: `Writes a stack's state as JSON: to a file, readable only for its owner, or to standard output. Secrets are encrypted in it, with the
stack's own passphrase or key.`,
		Example: `  dbtier export --stack prod --file prod.json
  dbtier export --stack prod | jq -r '.deployment.resources[].urn'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := absolute(&file); err != nil {
				return err
			}
			return a.onStacks(cmd, &f, func(ctx context.Context, t *task) error { return t.exportState(ctx, file) })
		},
	}
	f.add(cmd, a)
	cmd.Flags().StringVarP(&file, "file", "f", "", "write to this file")
	return cmd
}

func (t *task) exportState(ctx context.Context, file string) error {
	config, err := t.asking(ctx)
	if err != nil {
		return err
	}
	state, err := engine.Export(ctx, config)
	if err != nil {
		return err
	}
	if file == "" {
		t.report.Deployment = state
		t.say("%s", strings.TrimSpace(string(state)))
		return nil
	}
	if err := os.WriteFile(file, state, 0o600); err != nil {
		return fmt.Errorf("writing the state: %w", err)
	}
	t.say("stack %s: its state is in %s", t.stack.Name, file)
	return nil
}

func (a *app) importing() *cobra.Command {
	var f stackFlags
	var file, parent, provider string
	cmd := &cobra.Command{
		Use:   "import --stack <stack> (--file <state> | <type> <name> <id>)",
		Short: "Take a state, or a resource that is there, into a stack",
		Long: `With --file replaces a stack's state by one that export wrote; the present one is kept below .dbtier/backups.

With a type, a name and an id takes a resource that is there into the state, as the program's resource of that name: give the URN of its
component with --parent, and that of the stack's provider with --provider where it has several, as preview --json shows them. The next up
then finds it and makes no second one.`,
		Example: `  dbtier import --stack prod --file prod.json --yes
  dbtier import --stack prod aws:rds/instance:Instance database-instance myshop-prod --yes`,
		Args: func(_ *cobra.Command, args []string) error {
			if file == "" && len(args) != 3 || file != "" && len(args) != 0 {
				return errors.New("give either --file, or a type, a name and an id")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := absolute(&file); err != nil {
				return err
			}
			return a.onStacks(cmd, &f, func(ctx context.Context, t *task) error {
				if file != "" {
					return t.importState(ctx, file)
				}
				return t.importResource(ctx, engine.Existing{
					Type: args[0], Name: args[1], ID: args[2], Parent: parent, Provider: provider,
				})
			})
		},
	}
	f.add(cmd, a, withEngine, withConsent)
	cmd.Flags().StringVarP(&file, "file", "f", "", "the state to import")
	cmd.Flags().StringVar(&parent, "parent", "", "URN of the resource's component")
	cmd.Flags().StringVar(&provider, "provider", "", "URN of the resource's provider")
	return cmd
}

func (t *task) importState(ctx context.Context, file string) error {
	if _, err := os.Stat(file); err != nil {
		return fmt.Errorf("--file: %s: %w", file, errors.Unwrap(err))
	}
	session, done, err := t.changing(ctx, "import", "import replaces the state of stack %s in %s by that in "+file)
	if err != nil || session == nil {
		return err
	}
	defer done()
	backup := t.project.Own("backups", fmt.Sprintf("%s-%s.json", t.stack.Name,
		time.Now().UTC().Format("20060102T150405Z")))
	if err := session.ImportState(ctx, file, backup); err != nil {
		return failed(err)
	}
	t.report.Backup = backup
	short, err := filepath.Rel(t.project.Dir, backup)
	if err != nil {
		short = backup
	}
	t.say("stack %s has the state of %s; the one before is in %s", t.stack.Name, file, short)
	return nil
}

func (t *task) importResource(ctx context.Context, existing engine.Existing) error {
	session, done, err := t.changing(ctx, "import",
		"import takes "+existing.Type+" "+existing.ID+" into the state of stack %s in %s")
	if err != nil || session == nil {
		return err
	}
	defer done()
	if err := session.ImportResource(ctx, existing, engine.Options{Progress: t.progress}); err != nil {
		return failed(err)
	}
	t.say("stack %s has taken in %s %s as %s", t.stack.Name, existing.Type, existing.ID, existing.Name)
	return nil
}

// changing opens the stack for a change of its state, after asking where that is due; no session where the person
// declined.
func (t *task) changing(ctx context.Context, command, question string) (*engine.Session, func(), error) {
	ask, err := t.mayAsk(command)
	if err != nil {
		return nil, nil, err
	}
	session, done, err := t.open(ctx, operation{command: command, changes: true})
	if err != nil {
		return nil, nil, err
	}
	if ask {
		t.say(question, t.stack.Name, session.Backend())
		if goAhead, err := t.agree(ctx); err != nil || !goAhead {
			done()
			return nil, nil, err
		}
	}
	return session, done, nil
}
