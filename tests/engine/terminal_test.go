package engine

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestATerminalIsNotAskedForItsColours(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	// script gives the driver a terminal that answers nothing.
	cmd := exec.Command("script", "--quiet", "--return", "--command", filepath.Join(s.bin, "dbtier")+" version", "/dev/null")
	cmd.Env = append(slices.DeleteFunc(s.env, func(e string) bool { return strings.HasPrefix(e, "CI=") }),
		"TERM=xterm-256color")
	shown, err := cmd.Output()
	require.NoError(t, err)
	assert.Contains(t, string(shown), "dbtier ")
	assert.NotContains(t, string(shown), "\x1b]11;?", "the question for the background colour")
}

func TestAReaderThatLeavesDoesNotEndAnUpdate(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.stack("local", role("a", props{"name": "a", "delay": 300}), role("b", props{"name": "b"}))
	s.env = append(s.env, "TMPDIR="+t.TempDir())
	cmd := s.command("up", "--stack", "local")
	reader, writer, err := os.Pipe()
	require.NoError(t, err)
	cmd.Stdout, cmd.Stderr = writer, writer
	require.NoError(t, cmd.Start())
	require.NoError(t, writer.Close())
	require.NoError(t, reader.Close())
	require.NoError(t, cmd.Wait(), "the update ends as it would otherwise")
	assert.Equal(t, []string{"a", "b"}, s.there())

	reader, writer, err = os.Pipe()
	require.NoError(t, err)
	cmd = s.command("preview", "--stack", "local", "--offline")
	cmd.Stdout = writer
	require.NoError(t, cmd.Start())
	require.NoError(t, writer.Close())
	require.NoError(t, reader.Close())
	require.NoError(t, cmd.Wait())
	for _, entry := range s.env {
		if dir, ok := strings.CutPrefix(entry, "TMPDIR="); ok {
			left, err := os.ReadDir(dir)
			require.NoError(t, err)
			assert.Empty(t, left, "temporary folders are removed")
		}
	}
}

func TestOutputThatCannotBeWrittenIsAnError(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.stack("local", role("a", props{"name": "a"}))
	s.must(0, "up", "--stack", "local")
	for _, args := range [][]string{
		{"version"}, {"version", "--json"}, {"export", "--stack", "local"}, {"outputs", "--stack", "local", "--json"},
	} {
		full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
		require.NoError(t, err)
		cmd := s.command(args...)
		cmd.Stdout = full
		stderr, err := cmd.StderrPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		said, err := io.ReadAll(stderr)
		require.NoError(t, err)
		var exit *exec.ExitError
		require.ErrorAs(t, cmd.Wait(), &exit, "%v", args)
		require.NoError(t, full.Close())
		assert.Equal(t, 1, exit.ExitCode(), "%v", args)
		assert.Contains(t, string(said), "writing the output: "+syscall.ENOSPC.Error(), "%v", args)
	}
}
