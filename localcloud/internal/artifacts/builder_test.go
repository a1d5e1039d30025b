package artifacts

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func counting(b *Builder, key *string, fail *bool, runs *int) step {
	return step{
		name:   "thing",
		target: filepath.Join(b.Cache, "thing"),
		key:    func(context.Context) (string, error) { return *key, nil },
		make: func(_ context.Context, to string) error {
			*runs++
			if err := os.WriteFile(to, []byte(*key), 0o600); err != nil {
				return err
			}
			if *fail {
				return errors.New("the compiler said no")
			}
			return nil
		},
	}
}

func TestAnArtefactIsMadeOnceForEachKeyAndNeverHalf(t *testing.T) {
	var out bytes.Buffer
	b := New(t.TempDir(), &out)
	key, fail, runs := "one", false, 0
	s := counting(b, &key, &fail, &runs)
	build := func() error {
		k, fresh, err := b.fresh(t.Context(), s)
		require.NoError(t, err)
		if fresh {
			return nil
		}
		return b.run(t.Context(), s, k)
	}

	require.NoError(t, build())
	require.NoError(t, build())
	assert.Equal(t, 1, runs, "an unchanged key is not built again")

	key, fail = "two", true
	err := build()
	require.ErrorContains(t, err, "building thing: the compiler said no")
	text, readErr := os.ReadFile(s.target)
	require.NoError(t, readErr)
	assert.Equal(t, "one", string(text), "a failed build leaves the artefact unchanged")

	fail = false
	require.NoError(t, build())
	text, readErr = os.ReadFile(s.target)
	require.NoError(t, readErr)
	assert.Equal(t, "two", string(text))

	require.NoError(t, os.Remove(s.target))
	require.NoError(t, build(), "a missing artefact is built again in spite of its stamp")
	assert.FileExists(t, s.target)
}

func TestAKeyChangesWithNamesAndContents(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	write("a", "1")
	first, err := hash([]string{"x"}, dir)
	require.NoError(t, err)
	same, err := hash([]string{"x"}, dir)
	require.NoError(t, err)
	assert.Equal(t, first, same)
	write("a", "2")
	content, err := hash([]string{"x"}, dir)
	require.NoError(t, err)
	assert.NotEqual(t, first, content)
	require.NoError(t, os.Rename(filepath.Join(dir, "a"), filepath.Join(dir, "b")))
	renamed, err := hash([]string{"x"}, dir)
	require.NoError(t, err)
	assert.NotEqual(t, content, renamed)
}

func TestALayerIsTheSameBytesWhereverItIsMade(t *testing.T) {
	layer := func() []byte {
		dir := t.TempDir()
		require.NoError(t, os.MkdirAll(filepath.Join(dir, "sql"), 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(dir, "sql", "1.sql"), []byte("select 1"), 0o600))
		content, err := ownSources(dir, nil).filesLayer(map[string]string{"/migrations": "sql"}, "")
		require.NoError(t, err)
		return content
	}
	first, second := layer(), layer()
	assert.Equal(t, first, second)
}

func TestEachDiskMustTakeAllThatGoesThere(t *testing.T) {
	empty, filled := t.TempDir(), t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(filled, "object"), make([]byte, 3000), 0o600))
	const gib = 1 << 30
	for name, c := range map[string]struct {
		needs []need
		// free is the free space in bytes of each device. Folders are on device 1. If apart is set, the filled folder
		// is on device 2.
		free  map[uint64]float64
		apart bool
		says  string
	}{
		"room for all": {
			needs: []need{{empty, gib}, {filled, gib}}, free: map[uint64]float64{1: 2 * gib},
		},
		"room for each, not for all": {
			needs: []need{{empty, gib}, {filled, gib}}, free: map[uint64]float64{1: 1.5 * gib},
			says: "has 1.5 GiB free and the build needs 2.0 GiB",
		},
		"a disk each": {
			needs: []need{{empty, gib}, {filled, gib}}, free: map[uint64]float64{1: gib, 2: gib}, apart: true,
		},
		"the second disk is too small": {
			needs: []need{{empty, gib}, {filled, gib}}, free: map[uint64]float64{1: gib, 2: 0.5 * gib}, apart: true,
			says: filled + " has 0.5 GiB",
		},
		"a cache that is filled already needs no more": {needs: []need{{filled, 3000}}, free: map[uint64]float64{1: 0}},
		"a cache that is half full needs the rest": {
			needs: []need{{filled, 4000}}, free: map[uint64]float64{1: 999}, says: "not enough disk space",
		},
	} {
		t.Run(name, func(t *testing.T) {
			err := checkNeeds(c.needs, func(dir string) (uint64, float64, error) {
				device := uint64(1)
				if c.apart && dir == filled {
					device = 2
				}
				return device, c.free[device], nil
			})
			if c.says == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, c.says)
		})
	}
}
