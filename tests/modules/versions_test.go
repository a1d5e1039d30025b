// Package modules tests consistency between the modules of this repository.
package modules

import (
	"encoding/json"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const root = "../.."

// apart lists modules with independent versions, with the reason.
var apart = map[string]string{
	// Its controller-runtime requires Kubernetes 0.33, and the operator is built as released.
	"localcloud/build/external-secrets": "as released",
	// It compares the policies with the newest Kubernetes, and imports nothing of the other modules.
	"tests/podsecurity": "newest",
}

// TestModulesShareVersions keeps the first build short: shared packages are compiled once only if two binaries use the
// same version of them and of everything that they import. This affects a third of all compilation.
func TestModulesShareVersions(t *testing.T) {
	t.Parallel()
	versions := map[string]map[string][]string{} // module → version → folders that require it
	for _, dir := range folders(t) {
		if apart[dir] != "" {
			continue
		}
		for module, version := range required(t, dir) {
			if versions[module] == nil {
				versions[module] = map[string][]string{}
			}
			versions[module][version] = append(versions[module][version], dir)
		}
	}
	for module, takers := range versions {
		assert.Len(t, takers, 1,
			"modules use different versions of %s: upgrade all to the newest with `go get %s@VERSION && go mod tidy`",
			module, module)
	}
}

// TestBuildsShareFlags requires the same compiler flags in all places that start a build.
func TestBuildsShareFlags(t *testing.T) {
	t.Parallel()
	for _, file := range []string{
		"Makefile", "localcloud/internal/artifacts/binaries.go", "internal/pulumicli/find.go",
		"tests/engine/s3_test.go",
	} {
		text, err := os.ReadFile(filepath.Join(root, file))
		require.NoError(t, err)
		assert.Regexp(t, "GOFLAGS ?:?=.*-buildvcs=false -gcflags=all=-dwarf=false", string(text), file)
		assert.NotContains(t, string(text), `-trimpath`, file)
		assert.Contains(t, string(text), "CGO_ENABLED", file)
	}
}

func TestFoldersApartExist(t *testing.T) {
	t.Parallel()
	all := folders(t)
	for dir := range apart {
		assert.Contains(t, all, dir)
	}
}

// folders returns the folders with a go.mod, relative to the root.
func folders(t *testing.T) []string {
	t.Helper()
	var found []string
	require.NoError(t, filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && path != root && (strings.HasPrefix(entry.Name(), ".") || entry.Name() == "testdata" ||
			entry.Name() == "bin"):
			return filepath.SkipDir
		case entry.Name() == "go.mod":
			dir, err := filepath.Rel(root, filepath.Dir(path))
			found = append(found, filepath.ToSlash(dir))
			return err
		default:
			return nil
		}
	}))
	require.Greater(t, len(found), 5, "the modules were not found")
	return slices.Sorted(slices.Values(found))
}

// required returns the versions that a module's go.mod requires, after its replacements.
func required(t *testing.T, dir string) map[string]string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "mod", "edit", "-json",
		filepath.Join(root, filepath.FromSlash(dir), "go.mod")).Output()
	require.NoError(t, err, dir)
	var file struct {
		Require []struct{ Path, Version string }
		Replace []struct {
			Old, New struct{ Path, Version string }
		}
	}
	require.NoError(t, json.Unmarshal(out, &file))
	versions := map[string]string{}
	for _, r := range file.Require {
		versions[r.Path] = r.Version
	}
	for _, r := range file.Replace {
		if _, taken := versions[r.Old.Path]; taken && r.New.Path == r.Old.Path {
			versions[r.Old.Path] = r.New.Version
		}
	}
	return versions
}
