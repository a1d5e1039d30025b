package rds

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestTheDiskSpaceOfDatabasesAndBackupsIsToldApart(t *testing.T) {
	dir := t.TempDir()
	usage, err := ReadUsage(filepath.Join(dir, "none"))
	require.NoError(t, err)
	assert.Zero(t, usage)
	for path, size := range map[string]int{
		"prod/data/base": 1 << 20, "other/data/base": 1 << 20, snapshotsFolder + "/last/base": 3 << 20,
		archivesFolder + "/prod/segment": 4 << 20,
	} {
		file := filepath.Join(dir, path)
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o700))
		require.NoError(t, os.WriteFile(file, make([]byte, size), 0o600))
	}
	sparse := filepath.Join(dir, archivesFolder, "prod", "sparse")
	require.NoError(t, os.WriteFile(sparse, nil, 0o600))
	require.NoError(t, os.Truncate(sparse, 1<<30))
	usage, err = ReadUsage(dir)
	require.NoError(t, err)
	for want, is := range map[int64]int64{2: usage.Databases, 3: usage.Snapshots, 4: usage.Archives} {
		assert.InDelta(t, want, float64(is)/(1<<20), 0.1)
	}
}
