package cluster

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func script(t *testing.T, text string) *component {
	t.Helper()
	return &component{
		name: "script", command: []string{"sh", "-c", text}, grace: 5 * time.Second,
		log: filepath.Join(t.TempDir(), "log"),
	}
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	require.Eventually(t, is, 20*time.Second, 5*time.Millisecond, what)
}

func TestAComponentThatEndsIsStartedAgain(t *testing.T) {
	c := script(t, "echo started; exec sleep 1000")
	c.start(t.Context(), slog.New(slog.DiscardHandler), func(err error) { t.Error(err) })
	defer c.stop()
	running := func() bool { s := c.snapshot(); return s.PID != 0 }
	eventually(t, "runs", running)
	require.NoError(t, syscall.Kill(c.snapshot().PID, syscall.SIGKILL))
	eventually(t, "was restarted", func() bool { return c.snapshot().Restarts == 1 && running() })
	assert.Equal(t, "signal: killed", c.snapshot().Last)
}

func TestAComponentThatCannotRunEndsTheWholeAndSaysWhy(t *testing.T) {
	c := script(t, "echo bad flag; exit 3")
	gaveUp := make(chan error, 1)
	began := time.Now()
	c.startWith(t.Context(), slog.New(slog.DiscardHandler), func(err error) { gaveUp <- err }, time.Millisecond)
	err := <-gaveUp
	require.ErrorContains(t, err, "script exited 7 times in a row, last: exit status 3")
	require.ErrorContains(t, err, "bad flag")
	assert.Less(t, time.Since(began), 10*time.Second)
}

func TestStopEndsAComponentForGood(t *testing.T) {
	dir := t.TempDir()
	c := script(t, "trap 'touch "+dir+"/ended; exit 0' TERM; touch "+dir+"/up; while :; do sleep 0.01; done")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	c.start(ctx, slog.New(slog.DiscardHandler), func(err error) { t.Error(err) })
	eventually(t, "up", func() bool { _, err := os.Stat(dir + "/up"); return err == nil })
	c.stop()
	assert.FileExists(t, dir+"/ended", "it gets SIGTERM before SIGKILL")
	assert.Zero(t, c.snapshot().Restarts)
}

// state is the state of a component's process: R, S, T (suspended), or empty if it does not run.
func (c *component) state(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", c.snapshot().PID))
	if err != nil {
		return ""
	}
	_, after, _ := strings.Cut(string(text), ") ")
	return after[:1]
}

func TestAFrozenComponentStaysFrozenAndIsNoFailure(t *testing.T) {
	dir := t.TempDir()
	c := script(t, "trap 'touch "+dir+"/ended; exit 0' TERM; while :; do echo >>"+dir+"/beats; sleep 0.01; done")
	c.startWith(t.Context(), slog.New(slog.DiscardHandler), func(err error) { t.Error(err) }, time.Millisecond)
	defer c.stop()
	frozen := func() bool { return c.state(t) == "T" }
	beats := func() int64 {
		info, err := os.Stat(dir + "/beats")
		if err != nil {
			return 0
		}
		return info.Size()
	}
	eventually(t, "beats", func() bool { return beats() > 0 })
	require.NoError(t, c.freeze(true))
	eventually(t, "is suspended", frozen)
	assert.True(t, c.snapshot().Frozen)
	assert.NotZero(t, c.snapshot().PID, "it is not down")
	for died := range deathsInARow - 1 { // what is started again is frozen from its start
		require.NoError(t, syscall.Kill(c.snapshot().PID, syscall.SIGKILL))
		eventually(t, "was restarted", func() bool { return c.snapshot().Restarts == died+1 && frozen() })
	}
	require.NoError(t, c.freeze(false))
	before := beats()
	eventually(t, "goes on", func() bool { return beats() > before })

	require.NoError(t, c.freeze(true))
	eventually(t, "is suspended again", frozen)
	c.stop()
	assert.FileExists(t, dir+"/ended", "it ends in order, and not by SIGKILL")
}

func TestCgroupsAreRemovedChildrenFirst(t *testing.T) {
	mount := t.TempDir()
	groups := cgroups{trees: []hierarchy{{mount: mount}}, path: "/localcloud-test"}
	require.NoError(t, os.WriteFile(filepath.Join(mount, "cpuset.cpus"), []byte("0-1"), 0o600))
	require.NoError(t, groups.make())
	require.NoError(t, groups.make(), "existing settings stay")
	cpus, err := os.ReadFile(filepath.Join(mount, "localcloud-test", "cpuset.cpus"))
	require.NoError(t, err)
	assert.Equal(t, "0-1", string(cpus))
	require.NoError(t, os.Remove(filepath.Join(mount, "localcloud-test", "cpuset.cpus")))
	require.NoError(t, os.MkdirAll(filepath.Join(mount, "localcloud-test", "kubepods", "pod1", "container"), 0o755))
	require.NoError(t, groups.remove(t.Context()))
	assert.NoDirExists(t, filepath.Join(mount, "localcloud-test"))
	require.NoError(t, groups.remove(t.Context()), "removing a cgroup that does not exist is not an error")
}
