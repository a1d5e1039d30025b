package artifacts

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestARootFileSystemLosesWhatDiffersBetweenRuns(t *testing.T) {
	root := t.TempDir()
	certificates := filepath.Join(root, "etc", "ssl", "certs")
	private := filepath.Join(root, "etc", "ssl", "private")
	require.NoError(t, os.MkdirAll(certificates, 0o755))
	require.NoError(t, os.MkdirAll(private, 0o755))
	write := func(path, text string) {
		require.NoError(t, os.WriteFile(filepath.Join(root, "etc", path), []byte(text), 0o640))
	}
	write("ssl/private/ssl-cert-snakeoil.key", "key")
	write("ssl/certs/ssl-cert-snakeoil.pem", "cert")
	write("ssl/certs/real.pem", "cert")
	require.NoError(t, os.Symlink("ssl-cert-snakeoil.pem", filepath.Join(certificates, "1a2b3c4d.0")))
	require.NoError(t, os.Symlink("real.pem", filepath.Join(certificates, "5e6f.0")))
	write("passwd-", "old")
	write("shadow", "root:*:20780:0:99999:7:::\npostgres:!:20781::::::\n")

	require.NoError(t, neutral(root))

	assert.NoDirExists(t, private)
	entries, err := os.ReadDir(certificates)
	require.NoError(t, err)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	assert.Equal(t, []string{"5e6f.0", "real.pem"}, names)
	assert.NoFileExists(t, filepath.Join(root, "etc", "passwd-"))
	shadow, err := os.ReadFile(filepath.Join(root, "etc", "shadow"))
	require.NoError(t, err)
	assert.Equal(t, "root:*:1:0:99999:7:::\npostgres:!:1::::::\n", string(shadow))
}
