//go:build e2e

package artifacts

import (
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Debian's packages are the input; the same packages must give the same layer, or every rebuild would be imported again.
func TestTheRootFileSystemIsReproducible(t *testing.T) {
	var digests [2]string
	t.Run("each", func(t *testing.T) {
		for i := range digests {
			t.Run(strconv.Itoa(i), func(t *testing.T) {
				t.Parallel()
				b := New(t.TempDir(), io.Discard)
				require.NoError(t, os.MkdirAll(filepath.Dir(b.Rootfs), 0o755))
				require.NoError(t, b.rootfs().make(t.Context(), b.Rootfs))
				for _, program := range []string{"usr/sbin/pgbouncer", "usr/lib/postgresql/17/bin/psql", "usr/lib/postgresql/17/bin/pgbench", "bin/bash"} {
					assert.FileExists(t, filepath.Join(b.Rootfs, program))
				}
				layer := filepath.Join(t.TempDir(), "layer.tar")
				require.NoError(t, writeTree(layer, b.Rootfs))
				content, err := os.ReadFile(layer)
				require.NoError(t, err)
				digests[i] = fmt.Sprintf("%x", sha256.Sum256(content))
			})
		}
	})
	require.NotEmpty(t, digests[0])
	assert.Equal(t, digests[0], digests[1])
	mounts, err := os.ReadFile("/proc/self/mounts")
	require.NoError(t, err)
	assert.NotContains(t, string(mounts), "rootfs", "what debootstrap mounts ends with it")
}
