package artifacts

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// mirrored is a project with the real root.sh, and a mirror that serves what the test puts into a folder.
type mirrored struct {
	t       *testing.T
	project string
	served  string
	url     string
}

func newMirror(t *testing.T) *mirrored {
	t.Helper()
	m := &mirrored{t: t, project: t.TempDir(), served: t.TempDir()}
	server := httptest.NewServer(http.FileServer(http.Dir(m.served)))
	t.Cleanup(server.Close)
	m.url = server.URL
	return m
}

// deb puts a package on the mirror and returns its line of a lock.
func (m *mirrored) deb(name, version string, files map[string]string) string {
	m.t.Helper()
	tree := m.t.TempDir()
	for file, text := range files {
		require.NoError(m.t, os.MkdirAll(filepath.Join(tree, filepath.Dir(file)), 0o755))
		require.NoError(m.t, os.WriteFile(filepath.Join(tree, file), []byte(text), 0o755|os.ModeSetuid))
	}
	require.NoError(m.t, os.MkdirAll(filepath.Join(tree, "DEBIAN"), 0o755))
	control := fmt.Sprintf("Package: %s\nVersion: %s\nArchitecture: all\nMaintainer: a <a@b.c>\nDescription: d\n", name,
		version)
	require.NoError(m.t, os.WriteFile(filepath.Join(tree, "DEBIAN", "control"), []byte(control), 0o644))
	file := fmt.Sprintf("%s_%s_all.deb", name, version)
	require.NoError(m.t, os.MkdirAll(filepath.Join(m.served, "pool"), 0o755))
	out, err := exec.CommandContext(m.t.Context(), "dpkg-deb", "--root-owner-group", "--build", tree,
		filepath.Join(m.served, "pool", file)).CombinedOutput()
	require.NoError(m.t, err, string(out))
	content, err := os.ReadFile(filepath.Join(m.served, "pool", file))
	require.NoError(m.t, err)
	return fmt.Sprintf("%x  pool/%s\n", sha256.Sum256(content), file)
}

// root runs root.sh for a lock with the given lines.
func (m *mirrored) root(lines string, mirrors ...string) (root, gone string, err error) {
	m.t.Helper()
	script, err := filepath.Abs(filepath.Join(checkout, imagesDir, "root.sh"))
	require.NoError(m.t, err)
	lock := filepath.Join(m.project, "lock")
	require.NoError(m.t, os.WriteFile(lock, []byte("# a lock\n"+lines), 0o600))
	root = filepath.Join(m.t.TempDir(), "root")
	args := append([]string{script, lock, root, filepath.Join(m.project, "debs")}, mirrors...)
	b := New(m.project, &bytes.Buffer{})
	_, err = b.output(m.t.Context(), m.project, "sh", args...)
	return root, packagesGone(err), err
}

func TestARootFileSystemHasTheLockedPackagesOnly(t *testing.T) {
	m := newMirror(t)
	lines := m.deb("one", "1", map[string]string{"usr/bin/one": "1", "usr/share/man/one.1": "m"}) +
		m.deb("two", "2", map[string]string{"usr/lib/postgresql/18/bin/psql": "p", "usr/share/doc/two/copyright": "c"})
	m.deb("three", "3", map[string]string{"usr/bin/three": "3"})

	// The first mirror does not answer.
	root, _, err := m.root(lines, "http://127.0.0.1:1", m.url)
	require.NoError(t, err)
	for file, want := range map[string]string{
		"usr/bin/one": "1", "usr/lib/postgresql/18/bin/psql": "p", "usr/share/doc/two/copyright": "c",
	} {
		text, err := os.ReadFile(filepath.Join(root, file))
		require.NoError(t, err)
		assert.Equal(t, want, string(text))
	}
	link, err := os.Readlink(filepath.Join(root, "usr", "bin", "psql"))
	require.NoError(t, err)
	assert.Equal(t, "/usr/lib/postgresql/18/bin/psql", link)
	assert.NoDirExists(t, filepath.Join(root, "usr", "share", "man"))
	assert.NoFileExists(t, filepath.Join(root, "usr", "bin", "three"))
	assert.FileExists(t, filepath.Join(root, "var", "lib", "dpkg", "status.d", "two"), "scanners find the versions here")
	info, err := os.Stat(filepath.Join(root, "usr", "bin", "one"))
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o755), info.Mode(), "no program changes its user")

	again, _, err := m.root(lines)
	require.NoError(t, err, "the cache has every file")
	assert.Equal(t, digestOf(t, root), digestOf(t, again))
}

func TestAPackageThatIsGoneOrChangedIsNamed(t *testing.T) {
	m := newMirror(t)
	kept, gone := m.deb("kept", "1", map[string]string{"usr/bin/kept": "1"}), m.deb("gone", "1", nil)
	require.NoError(t, os.Remove(filepath.Join(m.served, "pool", "gone_1_all.deb")))
	root, said, err := m.root(kept+gone, m.url)
	require.Error(t, err)
	assert.Contains(t, said, "has these packages")
	assert.Contains(t, said, "\n  gone_1_all.deb\n")
	assert.NotContains(t, said, "  kept_1_all.deb")
	assert.NoFileExists(t, filepath.Join(root, "usr", "bin", "kept"), "nothing is unpacked")

	// The same name with other content is not the package of the lock.
	m.deb("gone", "1", map[string]string{"usr/bin/evil": "1"})
	_, said, err = m.root(kept+gone, m.url)
	require.Error(t, err)
	assert.Contains(t, said, "\n  gone_1_all.deb\n")

	// So is one in the cache.
	require.NoError(t, os.WriteFile(filepath.Join(m.project, "debs", "kept_1_all.deb"), []byte("changed"), 0o600))
	root, _, err = m.root(kept, m.url)
	require.NoError(t, err, "it is fetched again")
	assert.FileExists(t, filepath.Join(root, "usr", "bin", "kept"))
}

func digestOf(t *testing.T, rootfs string) string {
	t.Helper()
	layer := filepath.Join(t.TempDir(), "layer.tar")
	require.NoError(t, writeTree(layer, rootfs))
	content, err := os.ReadFile(layer)
	require.NoError(t, err)
	return fmt.Sprintf("%x", sha256.Sum256(content))
}
