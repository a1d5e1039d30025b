package driver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"dbtier/internal/engine"
	"dbtier/internal/project"
	"dbtier/internal/stackfile"
)

func (a *app) set() *cobra.Command {
	var given []string
	do := func(t *task, _ context.Context) error { return t.runSet(given) }
	cmd := a.onStacks(&stackFlags{}, do, &cobra.Command{
		Use:   "set --stack <stack> <key>=<value>...",
		Short: "Change settings in a stack's file",
		Long: `Changes settings in Pulumi.<stack>.yaml: a pipeline sets a new image, commits the file, and every later
run uses it. Each setting must be in the file already. Comments and everything else stay. The values are
YAML on one line. If the config would have faults, nothing is written.`,
		Example: `  dbtier set --stack prod consumer.image=registry.example.com/shop@sha256:…
  dbtier set --stack prod consumer.name=shop-api consumer.env.LOG_LEVEL=debug`,
		Args: cobra.MinimumNArgs(1),
	})
	cmd.PreRun = func(_ *cobra.Command, args []string) { given = args }
	return cmd
}

func (t *task) runSet(given []string) error {
	info, err := os.Stat(t.stack.File)
	if err != nil {
		return fmt.Errorf("reading the stack's file: %w", err)
	}
	before, err := os.ReadFile(t.stack.File)
	if err != nil {
		return fmt.Errorf("reading the stack's file: %w", err)
	}
	text, changes := string(before), []string(nil)
	var faults []error
	for _, each := range given {
		setting, value, ok := strings.Cut(strings.TrimPrefix(each, "dbtier:"), "=")
		if !ok || setting == "" {
			return &usageError{error: fmt.Errorf("%s: want <key>=<value>", keyOf(each)), command: "dbtier set"}
		}
		changed, was, err := stackfile.Set(text, setting, value)
		if err != nil {
			faults = append(faults, fmt.Errorf("%s: config.dbtier:%s: %w", t.stack.Values.File, setting, err))
			continue
		}
		if changed != text {
			changes = append(changes, fmt.Sprintf("%s: %s → %s", setting, was, value))
		}
		text = changed
	}
	whole, err := os.ReadFile(filepath.Join(t.project.Dir, "Pulumi.yaml"))
	if err != nil {
		return fmt.Errorf("reading the project file: %w", err)
	}
	files := map[string]string{"Pulumi.yaml": string(whole), filepath.Base(t.stack.File): text}
	if text != string(before) {
		faults = append(faults, tryConfig(t.stack.Name, files))
	}
	if err := errors.Join(faults...); err != nil {
		return coded(exitConfig, err)
	}
	if err := engine.WriteFile(t.stack.File, []byte(text), info.Mode().Perm()); err != nil {
		return fmt.Errorf("writing the stack's file: %w", err)
	}
	for _, change := range changes {
		t.say("%s: %s", t.stack.Values.File, change)
	}
	if len(changes) == 0 {
		t.say("%s: no change", t.stack.Values.File)
	}
	return nil
}

// tryConfig returns the faults that a stack's config would have in a project of the given files.
func tryConfig(stack string, files map[string]string) error {
	dir, err := os.MkdirTemp("", "dbtier-config-")
	if err != nil {
		return fmt.Errorf("making a folder for the new config: %w", err)
	}
	defer os.RemoveAll(dir)
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			return fmt.Errorf("trying the new config: %w", err)
		}
	}
	trial, err := (&project.Project{Dir: dir}).Stack(stack)
	if err != nil {
		return err
	}
	_, err = trial.Config()
	return err
}
