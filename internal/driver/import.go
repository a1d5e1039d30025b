package driver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"dbtier/internal/engine"
	"dbtier/internal/stackstate"
)

func (a *app) importing() *cobra.Command {
	var file string
	var existing engine.Existing
	do := func(t *task, ctx context.Context) error {
		if file != "" {
			return t.runImportState(ctx, file)
		}
		return t.runImport(ctx, existing)
	}
	cmd := a.onStacks(&stackFlags{}, do, &cobra.Command{
		Use:   "import --stack <stack> (--file <state> | <type> <name> <id>)",
		Short: "Import a state, or an existing resource",
		Long: `With --file, replaces a stack's state by one that export wrote. The present state is kept below
.dbtier/backups.

With a type, a name and an id, adds an existing resource to the state as the program's resource of that
name. Give the URN of its component with --parent, and with --provider that of the stack's provider if
there are several; preview --json shows them. The next up then finds the resource and does not create a
second one.`,
		Example: `  dbtier import --stack prod --file prod.json --yes
  dbtier import --stack prod aws:rds/instance:Instance database-instance myshop-prod --yes`,
		Args: func(_ *cobra.Command, args []string) error {
			if file == "" && len(args) != 3 || file != "" && len(args) != 0 {
				return errors.New("give either --file, or a type, a name and an id")
			}
			return nil
		},
		PreRunE: func(_ *cobra.Command, args []string) error {
			if file == "" {
				existing.Type, existing.Name, existing.ID = args[0], args[1], args[2]
			}
			return absolute(&file)
		},
	}, withEngine, withConsent)
	cmd.Flags().StringVarP(&file, "file", "f", "", "the state to import")
	cmd.Flags().StringVar(&existing.Parent, "parent", "", "URN of the resource's component")
	cmd.Flags().StringVar(&existing.Provider, "provider", "", "URN of the resource's provider")
	return cmd
}

func (t *task) runImportState(ctx context.Context, file string) error {
	isState := func(*engine.Run) error {
		content, err := os.ReadFile(file)
		if err != nil {
			return fmt.Errorf("--file: %s: %w", file, errors.Unwrap(err))
		}
		if err := stackstate.CheckExport(content); err != nil {
			return fmt.Errorf("--file: %s: %w: write one with `dbtier export --stack %s --file FILE`", file, err,
				t.stack.Name)
		}
		return nil
	}
	return t.change(ctx, operation{command: "import"}, "import replaces the state of stack %s in %s by that in "+file,
		func(run *engine.Run) error {
			backup := t.project.Own("backups", fmt.Sprintf("%s-%s.json", t.stack.Name,
				time.Now().UTC().Format("20060102T150405Z")))
			if err := run.ImportState(ctx, file, backup); err != nil {
				return err
			}
			t.report.Backup = backup
			short, err := filepath.Rel(t.project.Dir, backup)
			if err != nil {
				short = backup
			}
			t.say("stack %s has the state of %s; the previous one is in %s", t.stack.Name, file, short)
			return nil
		}, isState)
}

func (t *task) runImport(ctx context.Context, existing engine.Existing) error {
	return t.change(ctx, operation{command: "import"},
		"import adds "+existing.Type+" "+existing.ID+" to the state of stack %s in %s",
		func(run *engine.Run) error {
			if err := run.Import(ctx, existing, engine.Options{Progress: t.progress}); err != nil {
				return err
			}
			t.say("stack %s has imported %s %s as %s", t.stack.Name, existing.Type, existing.ID, existing.Name)
			return nil
		})
}
