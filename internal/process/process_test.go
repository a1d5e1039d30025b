package process_test

import (
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"dbtier/internal/process"
)

func TestAProcessThatNobodyHasWaitedForIsNotAlive(t *testing.T) {
	assert.True(t, process.Alive(os.Getpid()))
	assert.True(t, process.Alive(1), "another user's")
	cmd := exec.CommandContext(t.Context(), "true")
	require.NoError(t, cmd.Start())
	require.Eventually(t, func() bool { return !process.Alive(cmd.Process.Pid) }, 10*time.Second, time.Millisecond)
	require.NoError(t, cmd.Wait())
	assert.False(t, process.Alive(cmd.Process.Pid))
}

func TestOnlyTheProcessThatStartedThenIsEnded(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), "sleep", "600")
	require.NoError(t, cmd.Start())
	started, err := process.Started(cmd.Process.Pid)
	require.NoError(t, err)
	process.End(cmd.Process.Pid, started+1)
	assert.True(t, process.Alive(cmd.Process.Pid), "another process had that id before")
	process.End(cmd.Process.Pid, started)
	gone, err := process.Ended(cmd.Process.Pid)
	require.NoError(t, err)
	<-gone
	require.Error(t, cmd.Wait())
}
