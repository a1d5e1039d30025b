package store_test

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"dbtier/localcloud/internal/aws/store"
)

type doc struct {
	N    int
	Fill string
}

func open(path string) (*store.Store[doc], error) {
	return store.Open(path, func() (*doc, error) { return &doc{}, nil })
}

// TestMain is also the process that the test kills. That process writes until it is killed, and prints each number once
// it is on disk.
func TestMain(m *testing.M) {
	if path := os.Getenv("STORE_TEST_WRITES"); path != "" {
		s, err := open(path)
		for err == nil {
			err = s.Update(func(d *doc) error {
				d.N++
				d.Fill = strings.Repeat("x", 1000*(d.N%50))
				return nil
			})
			fmt.Println(s.Read().N)
		}
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func TestNothingThatWasConfirmedIsLostWhenTheProcessIsKilled(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state", "doc.json")
	confirmed := 0
	for round := range 8 {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), "STORE_TEST_WRITES="+path)
		out, err := cmd.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		lines := bufio.NewScanner(out)
		for range 5 + 7*round {
			require.True(t, lines.Scan())
		}
		require.NoError(t, cmd.Process.Kill())
		for lines.Scan() { // the output before the kill
		}
		last := lines.Text()
		_ = cmd.Wait()
		if n, err := strconv.Atoi(last); err == nil {
			confirmed = n
		}
		s, err := open(path)
		require.NoError(t, err)
		n := s.Read().N
		assert.GreaterOrEqual(t, n, confirmed, "a confirmed change is on disk")
		assert.Len(t, s.Read().Fill, 1000*(n%50), "and whole")
		confirmed = n
	}
	require.NoError(t, store.RemoveLeftovers(path))
	entries, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	assert.Len(t, entries, 1, "leftovers of the killed writers are gone")
}

func TestFilesAreForTheirOwnerOnly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state", "doc.json")
	s, err := open(path)
	require.NoError(t, err)
	require.NoError(t, s.Update(func(d *doc) error { d.N = 1; return nil }))
	for file, mode := range map[string]os.FileMode{path: 0o600, filepath.Dir(path): 0o700} {
		info, err := os.Stat(file)
		require.NoError(t, err)
		assert.Equal(t, mode, info.Mode().Perm(), file)
	}
}

func TestAChangeThatFailsLeavesEverythingAsItWas(t *testing.T) {
	path := filepath.Join(t.TempDir(), "doc.json")
	s, err := open(path)
	require.NoError(t, err)
	before := s.Read()
	failure := errors.New("no")
	require.ErrorIs(t, s.Update(func(d *doc) error { d.N = 5; return failure }), failure)
	assert.Same(t, before, s.Read())
	assert.Zero(t, s.Read().N)
	again, err := open(path)
	require.NoError(t, err)
	assert.Zero(t, again.Read().N)
}

func TestConcurrentChangesAreAllKept(t *testing.T) {
	s, err := open(filepath.Join(t.TempDir(), "doc.json"))
	require.NoError(t, err)
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if err := s.Update(func(d *doc) error { d.N++; return nil }); err != nil {
				t.Error(err)
			}
			_ = s.Read().N
		})
	}
	wg.Wait()
	assert.Equal(t, 20, s.Read().N)
}

func TestADamagedFileIsRefusedAndNotQuoted(t *testing.T) {
	path := filepath.Join(t.TempDir(), "doc.json")
	require.NoError(t, os.WriteFile(path, []byte(`{"Fill": secret-value`), 0o600))
	_, err := open(path)
	require.ErrorContains(t, err, "damaged")
	assert.NotContains(t, err.Error(), "secret-value")
}

func TestADocumentThatReadReturnedNeverChanges(t *testing.T) {
	s, err := open(filepath.Join(t.TempDir(), "doc.json"))
	require.NoError(t, err)
	before := s.Read()
	require.NoError(t, s.Update(func(d *doc) error { d.N = 7; return nil }))
	assert.Zero(t, before.N)
	assert.Equal(t, 7, s.Read().N)
}
