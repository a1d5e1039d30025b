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
	var file, undo string
	var existing engine.Existing
	do := func(t *task, ctx context.Context) error {
		switch {
		case file != "":
			return t.runImportState(ctx, file)
		case undo != "":
			return t.runForget(ctx, undo)
		}
		return t.runImport(ctx, existing)
	}
	cmd := a.onStacks(&stackFlags{}, do, &cobra.Command{
		Use:   "import --stack <stack> (--file <state> | --undo <name> | <type> <name> <id>)",
		Short: "Import a state, or an existing resource",
		Long: `With --file, replaces a stack's state by one that export wrote. The present state is kept below
.dbtier/backups.

With a type, a name and an id, adds an existing resource to the state as the program's resource of that
name, below the component and with the provider that the program gives it. The next up then finds the
resource and does not create a second one. A resource that the state has already, or that the program
does not declare, is refused. Check preview before the next up.

With --undo, removes an imported resource from the state again. The real one is left alone.`,
		Example: `  dbtier import --stack prod --file prod.json --yes
  dbtier import --stack prod aws:rds/instance:Instance database-instance myshop-prod --yes
  dbtier import --stack prod --undo database-instance --yes`,
		Args: func(_ *cobra.Command, args []string) error {
			alone := file != "" || undo != ""
			if !alone && len(args) != 3 || alone && len(args) != 0 || file != "" && undo != "" {
				return errors.New("give either --file, or --undo, or a type, a name and an id")
			}
			return nil
		},
		PreRunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 3 {
				existing.Type, existing.Name, existing.ID = args[0], args[1], args[2]
			}
			return absolute(&file)
		},
	}, withEngine, withConsent)
	cmd.Flags().StringVarP(&file, "file", "f", "", "the state to import")
	cmd.Flags().StringVar(&existing.Parent, "parent", "",
		"URN of the resource's component, if the program does not declare it")
	cmd.Flags().StringVar(&undo, "undo", "", "an imported resource to remove from the state (name or URN)")
	cmd.Flags().StringVar(&existing.Provider, "provider", "", "URN of the resource's provider")
	return cmd
}

func (t *task) runImportState(ctx context.Context, file string) error {
	// Before the run, which would create the stack.
	content, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("--file: %s: %w", file, errors.Unwrap(err))
	}
	if err := stackstate.CheckExport(content, t.project.Name, t.stack.Name); err != nil {
		return fmt.Errorf("--file: %s: %w: write one with `dbtier export --stack %s --file FILE`", file, err,
			t.stack.Name)
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
		})
}

func (t *task) runImport(ctx context.Context, existing engine.Existing) error {
	return t.change(ctx, operation{command: "import"},
		"import adds "+existing.Type+" "+existing.ID+" to the state of stack %s in %s",
		func(run *engine.Run) error {
			if err := run.Import(ctx, existing, engine.Options{Progress: t.progress}); err != nil {
				return err
			}
			t.say("stack %s has imported %s %s as %s\n"+
				"  check what the next up would change: dbtier preview --stack %s\n"+
				"  undo: dbtier import --stack %s --undo %s", t.stack.Name, existing.Type, existing.ID, existing.Name,
				t.stack.Name, t.stack.Name, existing.Name)
			return nil
		})
}

func (t *task) runForget(ctx context.Context, name string) error {
	return t.change(ctx, operation{command: "import", existing: true},
		"import removes "+name+" from the state of stack %s in %s; the real resource is left alone",
		func(run *engine.Run) error {
			urn, err := run.Forget(ctx, name)
			if err != nil {
				return err
			}
			t.say("stack %s no longer has %s", t.stack.Name, urn)
			return nil
		})
}
