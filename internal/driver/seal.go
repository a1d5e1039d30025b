package driver

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"dbtier/internal/engine"
)

// A preview before each update finds what would lose data, and takes as long as an update with nothing to do. It finds
// nothing where the very same program has brought the very same state from the very same config before: that is what a
// seal tells. It is written after an update of everything, beside the locks, and no state that anything else has
// written since matches it.

// sealed reports whether the last update of the stack was this one.
func (t *task) sealed() bool {
	own, ok := t.seal()
	if !ok {
		return false
	}
	before, err := os.ReadFile(t.sealFile())
	return err == nil && string(before) == own
}

// setSeal seals the stack as it is now, if it can be sealed at all.
func (t *task) setSeal() {
	own, ok := t.seal()
	if !ok {
		_ = os.Remove(t.sealFile())
		return
	}
	// Without it the next update is previewed, and that is all.
	_ = os.WriteFile(t.sealFile(), []byte(own), 0o600)
}

func (t *task) sealFile() string { return t.project.Own("locks", t.stack.Name+".seal") }

// seal is a hash of everything that an update is made of; false where it is made of more than this machine's files.
func (t *task) seal() (string, bool) {
	f := t.flags
	if len(f.targets)+len(f.replaces) > 0 || f.refresh || f.plan != "" || len(references(t.stack.Config)) > 0 {
		return "", false
	}
	state, ok, err := engine.FileState(t.project, t.stack, t.backend())
	if !ok || err != nil || len(state) == 0 {
		return "", false
	}
	sum := sha256.New()
	sum.Write(state)
	for _, file := range []string{filepath.Join(t.project.Dir, "Pulumi.yaml"), t.stack.File} {
		text, err := os.ReadFile(file)
		if err != nil {
			return "", false
		}
		fmt.Fprintf(sum, "\n%s %d\n%s", file, len(text), text)
	}
	overrides, err := f.overrides()
	if err != nil {
		return "", false
	}
	how, err := json.Marshal([]any{version, f.backend, f.kubernetesProvider, overrides, t.policies, f.policyConfigs})
	if err != nil {
		return "", false
	}
	sum.Write(how)
	for _, file := range slices.Concat([]string{t.self, filepath.Join(t.beside, "localcloud")}, t.policies,
		f.policyConfigs) {
		stamp(sum, file)
	}
	stampPaths(sum, t.project.Dir, t.stack.Config)
	return hex.EncodeToString(sum.Sum(nil)), true
}

// stamp adds which file stands at a path: its size and its time, and those of all below it.
func stamp(sum hash.Hash, path string) {
	_ = filepath.WalkDir(path, func(at string, entry fs.DirEntry, err error) error {
		var info fs.FileInfo
		if err == nil {
			info, err = entry.Info()
		}
		if err == nil {
			fmt.Fprintf(sum, "\n%s %d %d", at, info.Size(), info.ModTime().UnixNano())
		} else {
			// What cannot be seen is told apart from what can.
			fmt.Fprintf(sum, "\n%s %s", at, err)
		}
		return nil
	})
}

// stampPaths does so for every file that the config names: a chart, a bundle of certificates.
func stampPaths(sum hash.Hash, dir string, value any) {
	switch v := value.(type) {
	case map[string]any:
		keys := make([]string, 0, len(v))
		for key := range v {
			keys = append(keys, key)
		}
		slices.Sort(keys)
		for _, key := range keys {
			stampPaths(sum, dir, v[key])
		}
	case []any:
		for _, inner := range v {
			stampPaths(sum, dir, inner)
		}
	case string:
		if v == "" || v == "." || v == "/" {
			return
		}
		path := v
		if !filepath.IsAbs(path) {
			path = filepath.Join(dir, v)
		}
		if _, err := os.Lstat(path); err == nil {
			stamp(sum, path)
		}
	}
}
