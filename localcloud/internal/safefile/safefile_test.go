package safefile_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"dbtier/localcloud/internal/safefile"
)

func TestReplaceWritesContentAndModeAndLeavesNothingElse(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	require.NoError(t, safefile.Replace(path, []byte("old"), 0o644))
	require.NoError(t, safefile.Replace(path, []byte("new"), 0o600))
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Equal(t, "new", string(content))
	info, err := os.Stat(path)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o600), info.Mode())
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Len(t, entries, 1)
}

func TestAFailedReplaceLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "folder")
	require.NoError(t, os.MkdirAll(filepath.Join(path, "full"), 0o755))
	require.ErrorContains(t, safefile.Replace(path, []byte("new"), 0o600), "writing "+path)
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Len(t, entries, 1)
}

func TestASecondLockWaitsForTheFirst(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "made")
	unlock, err := safefile.Lock(dir, func() { t.Error("the first lock must not wait") })
	require.NoError(t, err)
	waits, locked := make(chan struct{}), make(chan error)
	go func() {
		again, err := safefile.Lock(dir, func() { close(waits) })
		if err == nil {
			again()
		}
		locked <- err
	}()
	<-waits
	unlock()
	require.NoError(t, <-locked)
}
