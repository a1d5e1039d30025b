package driver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"dbtier/config"
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

func (t *task) runSet(given []string) error { return t.changeSettings(given, false) }

// changeSettings gives settings new values, each as <key>=<value>. A setting that the file does not have is a fault,
// unless adds is true.
func (t *task) changeSettings(given []string, adds bool) error {
	info, err := os.Stat(t.stack.File)
	if err != nil {
		return fmt.Errorf("reading the stack's file: %w", err)
	}
	before, err := os.ReadFile(t.stack.File)
	if err != nil {
		return fmt.Errorf("reading the stack's file: %w", err)
	}
	text, changes := string(before), []string(nil)
	// Trial is the text with the settings that the file does not have. Nobody should write lines that are refused then.
	trial := text
	var faults, missing []error
	for _, each := range given {
		setting, value, ok := strings.Cut(strings.TrimPrefix(each, "dbtier:"), "=")
		if !ok || setting == "" {
			return &usageError{error: fmt.Errorf("%s: want <key>=<value>", keyOf(each)), command: "dbtier set"}
		}
		changed, was, err := stackfile.Set(text, setting, value)
		if err != nil {
			fault := fmt.Errorf("%s: config.dbtier:%s: %w", t.stack.Values.File, setting, err)
			var lines *stackfile.MissingError
			if adds && errors.As(err, &lines) {
				text, trial = lines.Text, lines.Text
				changes = append(changes, fmt.Sprintf("%s: %s, which the file did not have", setting, value))
				continue
			}
			if _, _, err := stackfile.Set(trial, setting, value); errors.As(err, &lines) {
				trial, missing = lines.Text, append(missing, fault)
				continue
			}
			faults = append(faults, fault)
			continue
		}
		if tried, _, err := stackfile.Set(trial, setting, value); err == nil {
			trial = tried
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
	switch {
	case len(missing) > 0:
		old := map[string]string{"Pulumi.yaml": string(whole), filepath.Base(t.stack.File): string(before)}
		files[filepath.Base(t.stack.File)] = trial
		// A file that is not complete yet has faults of its own.
		if wrong := newFaults(tryConfig(t.stack.Name, old), tryConfig(t.stack.Name, files)); wrong != nil {
			missing = []error{wrong}
		}
		faults = append(faults, missing...)
	case text != string(before):
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

// newFaults returns the lines of an error that another one before it does not have, nil if there are none.
func newFaults(before, after error) error {
	if after == nil {
		return nil
	}
	var old []string
	if before != nil {
		old = strings.Split(before.Error(), "\n")
	}
	left := slices.DeleteFunc(strings.Split(after.Error(), "\n"), func(line string) bool {
		return slices.Contains(old, line)
	})
	if invalid, ok := errors.AsType[*config.InvalidError](after); len(left) == 0 || ok && len(left) == 1 &&
		left[0] == strings.Split(invalid.Error(), "\n")[0] {
		return nil
	}
	return errors.New(strings.Join(left, "\n"))
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
