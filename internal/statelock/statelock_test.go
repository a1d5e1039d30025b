package statelock_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"dbtier/internal/statelock"
)

func TestASecondUpdateIsToldWhoWorksOnTheStack(t *testing.T) {
	options := statelock.Options{Path: filepath.Join(t.TempDir(), "locks", "local.lock"), Stack: "local", Command: "up"}
	first, err := statelock.Acquire(t.Context(), options)
	require.NoError(t, err)
	info, err := os.Stat(options.Path)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o600), info.Mode().Perm())

	_, err = statelock.Acquire(t.Context(), options)
	require.ErrorContains(t, err, fmt.Sprintf("stack local: another dbtier up (process %d", os.Getpid()))
	var held *statelock.HeldError
	require.ErrorAs(t, err, &held)
	assert.Contains(t, held.Holder, "another dbtier up")

	first.Release()
	again, err := statelock.Acquire(t.Context(), options)
	require.NoError(t, err)
	again.Release()
}

// deadPID is the id of a process that has ended.
func deadPID(t *testing.T) int {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "true")
	require.NoError(t, cmd.Run())
	return cmd.Process.Pid
}

func TestAnEngineWhoseDriverWasKilledIsWaitedFor(t *testing.T) {
	options := statelock.Options{Path: filepath.Join(t.TempDir(), "local.lock"), Stack: "local", Command: "up"}
	lock, err := statelock.Acquire(t.Context(), options)
	require.NoError(t, err)
	// The engine holds the lock's file and outlives the driver.
	engine := exec.CommandContext(t.Context(), "cat")
	engine.ExtraFiles = []*os.File{lock.File()}
	stdin, err := engine.StdinPipe()
	require.NoError(t, err)
	require.NoError(t, engine.Start())
	lock.Release()
	text := fmt.Sprintf(`{"pid":%d,"command":"up","since":"2026-01-01T00:00:00Z"}`, deadPID(t))
	require.NoError(t, os.WriteFile(options.Path, []byte(text), 0o600))

	var notes []string
	options.Note = func(note string) {
		notes = append(notes, note)
		stdin.Close()
	}
	lock, err = statelock.Acquire(t.Context(), options)
	require.NoError(t, err)
	lock.Release()
	require.NoError(t, engine.Wait())
	require.Len(t, notes, 1)
	assert.Contains(t, notes[0], "waiting for the engine of dbtier up")
}

func TestAnEngineThatDoesNotEndIsNamed(t *testing.T) {
	options := statelock.Options{
		Path: filepath.Join(t.TempDir(), "local.lock"), Stack: "local",
		Patience: 50 * time.Millisecond,
	}
	lock, err := statelock.Acquire(t.Context(), options)
	require.NoError(t, err)
	defer lock.Release()
	require.NoError(t, os.WriteFile(options.Path, fmt.Appendf(nil, `{"pid":%d,"command":"destroy"}`, deadPID(t)),
		0o600))
	_, err = statelock.Acquire(t.Context(), options)
	require.ErrorContains(t, err, "dbtier destroy that was killed")
}

func backend(t *testing.T) statelock.FileBackend {
	t.Helper()
	return statelock.FileBackend{Dir: t.TempDir(), Project: "dbtier", Stack: "local"}
}

func writeLock(t *testing.T, b statelock.FileBackend, name string, content any) string {
	t.Helper()
	dir := filepath.Join(b.Dir, ".pulumi", "locks", "organization", b.Project, b.Stack)
	require.NoError(t, os.MkdirAll(dir, 0o700))
	text, ok := content.(string)
	if !ok {
		encoded, err := json.Marshal(content)
		require.NoError(t, err)
		text = string(encoded)
	}
	file := filepath.Join(dir, name+".json")
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	return file
}

func TestOnlyLocksOfDeadProcessesOfThisMachineAreRemoved(t *testing.T) {
	b := backend(t)
	host, err := os.Hostname()
	require.NoError(t, err)
	// This process has the name of a Pulumi CLI.
	cli := filepath.Join(t.TempDir(), "pulumi")
	sleep, err := exec.LookPath("sleep")
	require.NoError(t, err)
	program, err := os.ReadFile(sleep)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(cli, program, 0o700))
	living := exec.CommandContext(t.Context(), cli, "600")
	require.NoError(t, living.Start())
	defer func() { _ = living.Process.Kill(); _ = living.Wait() }()

	type lock = map[string]any
	dead := writeLock(t, b, "dead", lock{"pid": deadPID(t), "hostname": host})
	reused := writeLock(t, b, "reused", lock{"pid": os.Getpid(), "hostname": host})
	torn := writeLock(t, b, "torn", `{"pid": 1`)
	require.NoError(t, statelock.Writer(b.Dir), "nobody works on a stack")

	lives := writeLock(t, b, "lives", lock{"pid": living.Process.Pid, "hostname": host})
	elsewhere := writeLock(t, b, "elsewhere", lock{"pid": deadPID(t), "hostname": "elsewhere"})

	var notes []string
	require.NoError(t, b.ClearStaleLocks(func(n string) { notes = append(notes, n) }))
	for _, gone := range []string{dead, reused, torn} {
		assert.NoFileExists(t, gone)
	}
	for _, kept := range []string{lives, elsewhere} {
		assert.FileExists(t, kept)
	}
	assert.Len(t, notes, 3)
	var held *statelock.HeldError
	require.ErrorAs(t, statelock.Writer(b.Dir), &held)
	assert.Equal(t, "local", held.Stack)
}

func TestPendingOperationsAreReadFromTheState(t *testing.T) {
	b := backend(t)
	read, err := b.State()
	require.NoError(t, err)
	assert.Empty(t, read.Pending)
	assert.False(t, b.Exists())

	require.NoError(t, os.MkdirAll(filepath.Dir(b.StateFile()), 0o700))
	state := `{"version":3,"checkpoint":{"stack":"organization/dbtier/local","latest":{"resources":[],"pending_operations":[
		{"resource":{"urn":"urn:pulumi:local::dbtier::aws:kms/key:Key::k","custom":true},"type":"creating"}]}}}`
	require.NoError(t, os.WriteFile(b.StateFile(), []byte(state), 0o600))
	read, err = b.State()
	require.NoError(t, err)
	require.Len(t, read.Pending, 1)
	assert.Equal(t, "creating", read.Pending[0].Type)
	assert.Equal(t, "urn:pulumi:local::dbtier::aws:kms/key:Key::k", read.Pending[0].Resource.URN)
	assert.True(t, b.Exists())

	require.NoError(t, os.WriteFile(b.StateFile(), []byte(state[:40]), 0o600))
	_, err = b.State()
	require.ErrorContains(t, err, "is damaged")
}

func TestFileBackendDirUnderstandsPulumisURLs(t *testing.T) {
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Chdir(home)
	for url, want := range map[string]string{
		"file:///var/states": "/var/states", "file://~/states": home + "/states", "file://~": home,
		"file://.": home, "file:///a%20b?metadata=skip": "/a b",
	} {
		dir, ok := statelock.FileBackendDir(url)
		assert.True(t, ok, url)
		assert.Equal(t, want, dir, url)
	}
	_, ok := statelock.FileBackendDir("s3://states")
	assert.False(t, ok)
}

func TestTrimHistoryKeepsTheNewestUpdates(t *testing.T) {
	b := backend(t)
	require.NoError(t, b.TrimHistory(1), "no history yet")
	dir := filepath.Join(b.Dir, ".pulumi", "history", b.Project, b.Stack)
	require.NoError(t, os.MkdirAll(dir, 0o700))
	for _, at := range []string{"100", "200", "300"} {
		for _, kind := range []string{"history.json", "checkpoint.json", "checkpoint.json.attrs"} {
			require.NoError(t, os.WriteFile(filepath.Join(dir, "local-"+at+"."+kind), nil, 0o600))
		}
	}
	require.NoError(t, b.TrimHistory(2))
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, left, 6)
	assert.Equal(t, "local-200.checkpoint.json", left[0].Name())
}
