package engine

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"dbtier/internal/progress"
	"dbtier/internal/project"
)

// The engine writes the salt of a passphrase into the stack's file. Local stacks, whose passphrase differs on each
// machine, and offline previews must not change that file: they run on copies of the two project files.

// copying selects what a copy of the project files changes.
type copying struct {
	// offline replaces encrypted config values by placeholders. encryption keeps the settings that decrypt them.
	offline, encryption bool
	// overrides are config values for this run only.
	overrides map[string]any
	// salts is the folder that has the stack's salt. Default: the copy's own.
	salts string
}

// copyProject copies Pulumi.yaml and the stack's file into dir. Without encryption, the copy has the salt that an
// earlier run left in dir.
func copyProject(p *project.Project, s *project.Stack, dir string, how copying) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("making a work folder for stack %s: %w", s.Name, err)
	}
	settings, err := readYAML(filepath.Join(p.Dir, "Pulumi.yaml"))
	if err != nil {
		return err
	}
	for _, key := range []string{"backend", "main", "stackConfigDir"} {
		delete(settings, key)
	}
	if err := writeYAML(filepath.Join(dir, "Pulumi.yaml"), settings); err != nil {
		return err
	}
	stack, err := readYAML(s.File)
	if err != nil {
		return err
	}
	target := filepath.Join(dir, filepath.Base(s.File))
	if !how.encryption {
		for _, key := range []string{"encryptionsalt", "secretsprovider", "encryptedkey"} {
			delete(stack, key)
		}
		before, err := readYAML(filepath.Join(cmp.Or(how.salts, dir), filepath.Base(s.File)))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if salt, ok := before["encryptionsalt"]; ok {
			stack["encryptionsalt"] = salt
		}
	}
	if how.offline {
		stack["config"] = progress.Replace(stack["config"], func(value any) (any, bool) {
			object, _ := value.(map[string]any)
			_, encrypted := object["secure"].(string)
			return placeholder, encrypted && len(object) == 1
		})
	}
	if err := override(stack, how.overrides); err != nil {
		return err
	}
	return writeYAML(target, stack)
}

// keepSalt keeps the salt that the engine has written into a run's copy of the stack's file, if none is kept yet. It
// does nothing without a folder to keep it in.
func keepSalt(from, to string, s *project.Stack) error {
	if to == "" {
		return nil
	}
	run, err := readYAML(filepath.Join(from, filepath.Base(s.File)))
	if err != nil {
		return err
	}
	kept, err := readYAML(filepath.Join(to, filepath.Base(s.File)))
	if err != nil {
		return err
	}
	salt, ok := run["encryptionsalt"]
	if !ok || kept["encryptionsalt"] != nil {
		return nil
	}
	kept["encryptionsalt"] = salt
	return writeYAML(filepath.Join(to, filepath.Base(s.File)), kept)
}

// override sets values in the stack's config, at a key or at a path below it.
func override(stack, values map[string]any) error {
	config, ok := stack["config"].(map[string]any)
	if !ok && len(values) > 0 {
		config = map[string]any{}
		stack["config"] = config
	}
	for _, path := range slices.Sorted(maps.Keys(values)) {
		parts := strings.Split(path, ".")
		at := config
		for i, part := range parts[:len(parts)-1] {
			inner, ok := at[part].(map[string]any)
			if _, there := at[part]; there && !ok {
				return fmt.Errorf("--config %s: %s is a value and has no keys below it", path,
					strings.Join(parts[:i+1], "."))
			}
			if !ok {
				inner = map[string]any{}
				at[part] = inner
			}
			at = inner
		}
		at[parts[len(parts)-1]] = values[path]
	}
	return nil
}

// placeholder replaces a config value that only the stack's key can decrypt.
const placeholder = "encrypted-and-not-read-offline"

func readYAML(file string) (map[string]any, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading a project file: %w", err)
	}
	settings := map[string]any{}
	if err := yaml.Unmarshal(text, &settings); err != nil {
		return nil, fmt.Errorf("%s is not valid YAML: %w", file, err)
	}
	return settings, nil
}

func writeYAML(file string, settings map[string]any) error {
	text, err := yaml.Marshal(settings)
	if err == nil {
		err = WriteFile(file, text, 0o600)
	}
	if err != nil {
		return fmt.Errorf("writing %s: %w", filepath.Base(file), err)
	}
	return nil
}
