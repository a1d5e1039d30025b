package driver

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
)

// The preview before each update finds what would lose data, and takes as long as an update without changes. It finds
// nothing new when the same program already brought the same state up with the same config. The seal records that: it
// is written after a complete update, beside the locks, and no longer matches once anything else has written the state.

// sealed reports whether the last update of the stack was the same as this one.
func (t *task) sealed() bool {
	own, ok := t.fingerprint()
	if !ok {
		return false
	}
	before, err := os.ReadFile(t.sealFile())
	return err == nil && string(before) == own
}

// seal records this update as the stack's last one, if possible.
func (t *task) seal() {
	own, ok := t.fingerprint()
	if !ok {
		_ = os.Remove(t.sealFile())
		return
	}
	// Without a seal, the only cost is a preview before the next update.
	_ = os.WriteFile(t.sealFile(), []byte(own), 0o600)
}

func (t *task) sealFile() string { return t.project.Own("locks", t.stack.Name+".seal") }

// fingerprint is a hash of everything that an update depends on; false if it depends on more than files of this
// machine.
func (t *task) fingerprint() (string, bool) {
	f := t.flags
	if len(f.targets)+len(f.replaces) > 0 || f.refresh || f.plan != "" || len(t.stack.References()) > 0 {
		return "", false
	}
	reader := t.reader()
	defer reader.Close()
	state, ok, err := reader.StateFile()
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
	for _, key := range slices.Sorted(maps.Keys(t.stack.Values.Keys)) {
		text := t.stack.Values.Keys[key].Text
		var value any
		if json.Unmarshal([]byte(text), &value) != nil {
			value = text
		}
		stampPaths(sum, t.project.Dir, value)
	}
	return hex.EncodeToString(sum.Sum(nil)), true
}

// stamp adds the size and the modification time of a file, or of all files in a folder.
func stamp(sum hash.Hash, path string) {
	_ = filepath.WalkDir(path, func(at string, entry fs.DirEntry, err error) error {
		var info fs.FileInfo
		if err == nil {
			info, err = entry.Info()
		}
		if err == nil {
			fmt.Fprintf(sum, "\n%s %d %d", at, info.Size(), info.ModTime().UnixNano())
		} else {
			// A file that cannot be read must differ from one that can.
			fmt.Fprintf(sum, "\n%s %s", at, err)
		}
		return nil
	})
}

// stampPaths adds a stamp for every file that the config names, such as a chart or a bundle of certificates.
func stampPaths(sum hash.Hash, dir string, value any) {
	switch v := value.(type) {
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
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
