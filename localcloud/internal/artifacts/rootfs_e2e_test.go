//go:build e2e

package artifacts

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The same Debian packages must give the same layer. Otherwise every rebuild would be imported again.
func TestTheRootFileSystemIsReproducible(t *testing.T) {
	one := newRootfs(t)
	// The local cloud's root file system is the second build, unless Debian has released an update since.
	other := Paths(filepath.Join("..", "..", "..")).Rootfs
	if !bytes.Equal(installed(t, one), installed(t, other)) {
		other = newRootfs(t)
	}
	assert.Equal(t, digestOf(t, one), digestOf(t, other))
	mounts, err := os.ReadFile("/proc/self/mounts")
	require.NoError(t, err)
	assert.NotContains(t, string(mounts), "rootfs", "debootstrap's mounts disappear with it")
}

func newRootfs(t *testing.T) string {
	t.Helper()
	b := New(t.TempDir(), io.Discard)
	require.NoError(t, os.MkdirAll(filepath.Dir(b.Rootfs), 0o755))
	require.NoError(t, b.rootfs().make(t.Context(), b.Rootfs))
	for _, program := range []string{
		"usr/sbin/pgbouncer", "usr/lib/postgresql/17/bin/psql",
		"usr/lib/postgresql/17/bin/pgbench", "bin/bash",
	} {
		assert.FileExists(t, filepath.Join(b.Rootfs, program))
	}
	return b.Rootfs
}

// installed returns the package database of a root file system, with versions.
func installed(t *testing.T, rootfs string) []byte {
	t.Helper()
	status, err := os.ReadFile(filepath.Join(rootfs, "var", "lib", "dpkg", "status"))
	require.NoError(t, err)
	return status
}

func digestOf(t *testing.T, rootfs string) string {
	t.Helper()
	layer := filepath.Join(t.TempDir(), "layer.tar")
	require.NoError(t, writeTree(layer, rootfs))
	content, err := os.ReadFile(layer)
	require.NoError(t, err)
	return fmt.Sprintf("%x", sha256.Sum256(content))
}
