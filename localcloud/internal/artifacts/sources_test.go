package artifacts

import (
	"bytes"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/tools/txtar"
)

// ownSources is the builder of a project with sources of its own.
func ownSources(project string, out io.Writer) *Builder {
	b := New(project, out)
	b.sources = project
	return b
}

func TestTheEmbeddedSourcesAreThoseOfTheCheckout(t *testing.T) {
	var all txtar.Archive
	for _, dir := range sourceDirs {
		require.NoError(t, filepath.WalkDir(filepath.Join(checkout, dir), func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() || !isSource(path) {
				return err
			}
			content, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			name, err := filepath.Rel(checkout, path)
			all.Files = append(all.Files, txtar.File{Name: filepath.ToSlash(name), Data: content})
			return err
		}))
	}
	text := txtar.Format(&all)
	require.Equal(t, all.Files, txtar.Parse(text).Files, "the archive cannot hold these files: each must end with a newline")
	if os.Getenv("UPDATE_SOURCES") != "" {
		require.NoError(t, os.WriteFile("sources.txtar", text, 0o644))
		return
	}
	if !bytes.Equal(text, embedded) {
		t.Error("sources.txtar is out of date: run make generate")
	}
}

// A project without a checkout builds the same artefacts.
func TestAProjectWithoutACheckoutHasTheSameInputs(t *testing.T) {
	apart, here := New(t.TempDir(), io.Discard), New(checkout, io.Discard)
	require.NoError(t, apart.unpack())
	require.NoError(t, apart.unpack(), "again")
	assert.NotEqual(t, apart.project, apart.sources)
	assert.Equal(t, checkout, here.sources)
	keys := func(b *Builder) map[string]string {
		all := map[string]string{}
		for _, lanes := range b.phases() {
			for _, lane := range lanes {
				for _, s := range lane {
					key, err := s.key(t.Context())
					require.NoError(t, err, s.name)
					all[s.name] = key
				}
			}
		}
		return all
	}
	here.Cache = apart.Cache // Images depend on what is built.
	require.NoError(t, os.MkdirAll(filepath.Join(apart.Cache, "stamps"), 0o755))
	for _, program := range []string{"myshop-api", "pgbench"} {
		require.NoError(t, os.WriteFile(apart.stamp(step{name: program}), []byte(program), 0o600))
	}
	for range 20 { // Maps have another order each time.
		require.Equal(t, keys(here), keys(apart))
	}
	left, err := filepath.Glob(filepath.Join(apart.Cache, "sources", ".partial-*"))
	require.NoError(t, err)
	assert.Empty(t, left)
}
