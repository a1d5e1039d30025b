package artifacts

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// projectWith is a project whose scripts are played: root.sh has every package but version 1 of old, and lock.sh is the
// given script.
func projectWith(t *testing.T, locked string) (b *Builder, said *bytes.Buffer) {
	t.Helper()
	project := t.TempDir()
	write := func(path, text string) {
		path = filepath.Join(project, path)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	}
	write("images/pool/amd64.lock", "0a  pool/old_1_amd64.deb\n0b  pool/same_1_amd64.deb\n")
	write("images/pool/arm64.lock", "0a  pool/old_1_arm64.deb\n0b  pool/same_1_arm64.deb\n")
	write("images/root.sh", `if grep -q old_1 "$1"; then echo "nowhere: old_1" >&2; exit 3; fi
mkdir "$2"
cp "$1" "$2/lock"`)
	write("images/lock.sh", locked)
	said = &bytes.Buffer{}
	return ownSources(project, said), said
}

func TestTheLocalCloudTakesTheVersionsOfTodayIfALockedOneIsGone(t *testing.T) {
	b, said := projectWith(t, `echo "0c  pool/old_2_$2.deb"; echo "0b  pool/same_1_$2.deb"`)
	root := filepath.Join(t.TempDir(), "root")
	require.NoError(t, b.root(t.Context(), "pool", "amd64", root))
	text, err := os.ReadFile(filepath.Join(root, "lock"))
	require.NoError(t, err)
	assert.Equal(t, "0c  pool/old_2_amd64.deb\n0b  pool/same_1_amd64.deb\n", string(text))
	for _, want := range []string{
		"warning: nowhere: old_1\n", "built with other versions: old 2 (was 1)\n", "run `make lock-images`",
	} {
		assert.Contains(t, said.String(), want)
	}
	kept, err := os.ReadFile(b.lockOf("pool", "amd64"))
	require.NoError(t, err)
	assert.Contains(t, string(kept), "old_1", "the checked-in lock is changed by a person only")
}

func TestAnExportNeverTakesOtherVersionsThanTheLocked(t *testing.T) {
	b, _ := projectWith(t, `echo "0c  pool/old_2_$2.deb"`)
	file := filepath.Join(t.TempDir(), "pool.tar")
	_, err := b.Export(t.Context(), "pool", file)
	require.ErrorContains(t, err, "nowhere: old_1")
	require.ErrorContains(t, err, "run `make lock-images`, review and commit the changed versions, and export again")
	assert.NoFileExists(t, file)
}

func TestBothFaultsAreReportedIfNothingCanBeLocked(t *testing.T) {
	b, _ := projectWith(t, `echo "the mirror does not answer" >&2; exit 100`)
	err := b.root(t.Context(), "pool", "amd64", filepath.Join(t.TempDir(), "root"))
	require.ErrorContains(t, err, "nowhere: old_1")
	require.ErrorContains(t, err, "the mirror does not answer")
}

func TestLocksAreWrittenAnewAndTheirChangesReported(t *testing.T) {
	b, said := projectWith(t, `echo "0c  pool/old_2_$2.deb"; echo "0b  pool/same_1_$2.deb"`)
	require.NoError(t, b.LockAll(t.Context()))
	assert.Equal(t, "  pool for amd64: old 2 (was 1)\n  pool for arm64: old 2 (was 1)\n", said.String())
	require.NoError(t, b.LockAll(t.Context()))
	assert.Contains(t, said.String(), "pool for arm64: no change\n")
}
