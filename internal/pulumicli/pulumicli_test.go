package pulumicli_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"dbtier/internal/pulumicli"
)

// script makes an executable shell script that plays the CLI.
func script(t *testing.T, path, body string) string {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
	require.NoError(t, os.WriteFile(path, []byte("#!/bin/sh\n"+body+"\n"), 0o700))
	return path
}

func printsVersion(v string) string {
	return fmt.Sprintf(`[ "$1" = version ] && echo v%s`, v)
}

func TestFindTakesTheCLIBesideTheDriverBeforeTheOneOnPath(t *testing.T) {
	beside, onPath := t.TempDir(), t.TempDir()
	script(t, filepath.Join(onPath, "pulumi"), printsVersion(pulumicli.Version))
	t.Setenv("PATH", onPath+":/bin:/usr/bin")

	finder := pulumicli.Finder{Beside: beside, Sources: t.TempDir(), Progress: io.Discard}
	found, err := finder.Find(t.Context())
	require.NoError(t, err)
	assert.Equal(t, filepath.Join(onPath, "pulumi"), found, "only PATH has one")

	script(t, filepath.Join(beside, "pulumi"), printsVersion("3.1.0"))
	found, err = finder.Find(t.Context())
	require.NoError(t, err)
	assert.Equal(t, filepath.Join(onPath, "pulumi"), found, "another version beside the driver does not count")

	script(t, filepath.Join(beside, "pulumi"), printsVersion(pulumicli.Version))
	found, err = finder.Find(t.Context())
	require.NoError(t, err)
	assert.Equal(t, filepath.Join(beside, "pulumi"), found)
}

func TestFindBuildsTheCLIFromThePinnedSourcesWithProgress(t *testing.T) {
	beside, sources, tools := t.TempDir(), t.TempDir(), t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(sources, "go.mod"), []byte("module x\n"), 0o600))
	script(t, filepath.Join(tools, "go"), `while [ "$1" != -o ]; do shift; done; pwd > "$2"`)
	t.Setenv("PATH", tools+":/bin:/usr/bin")
	var progress bytes.Buffer

	found, err := pulumicli.Finder{Beside: beside, Sources: sources, Progress: &progress}.Find(t.Context())
	require.NoError(t, err)
	assert.Equal(t, filepath.Join(beside, "pulumi"), found)
	built, err := os.ReadFile(found)
	require.NoError(t, err)
	assert.Equal(t, sources, strings.TrimSpace(string(built)), "built in the module that pins it")
	assert.Contains(t, progress.String(), "building the Pulumi CLI "+pulumicli.Version)
}

func TestFindSaysWhyThereIsNoCLI(t *testing.T) {
	t.Setenv("PATH", "/nowhere")
	_, err := pulumicli.Finder{Beside: t.TempDir(), Sources: t.TempDir(), Progress: io.Discard}.Find(t.Context())
	require.ErrorContains(t, err, "make build")

	beside, sources, tools := t.TempDir(), t.TempDir(), t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(sources, "go.mod"), []byte("module x\n"), 0o600))
	script(t, filepath.Join(tools, "go"), `echo noise; echo 'no space left on device' >&2; exit 1`)
	t.Setenv("PATH", tools+":/bin:/usr/bin")
	_, err = pulumicli.Finder{Beside: beside, Sources: sources, Progress: io.Discard}.Find(t.Context())
	require.ErrorContains(t, err, "no space left on device")
	assert.NotContains(t, err.Error(), "\n")
	assert.NoFileExists(t, filepath.Join(beside, "pulumi"))
}

func TestCommandReportsOutputExitCodeAndTheFirstError(t *testing.T) {
	c := &pulumicli.Command{
		Path: script(t, filepath.Join(t.TempDir(), "pulumi"),
			`echo "args $*"; echo "home $PULUMI_HOME $EXTRA $LEAK"; echo "error: no such stack" >&2; exit 3`),
		Env: []string{"PULUMI_HOME=/h", "PATH=/bin:/usr/bin"},
	}
	t.Setenv("LEAK", "the driver's own environment")
	var streamed bytes.Buffer
	stdout, stderr, code, err := c.Run(t.Context(), t.TempDir(), nil, []io.Writer{&streamed}, nil,
		[]string{"EXTRA=more"}, "stack", "ls")
	require.ErrorContains(t, err, "no such stack")
	assert.Equal(t, 3, code)
	assert.Equal(t, "args --non-interactive stack ls\nhome /h more \n", stdout)
	assert.Equal(t, stdout, streamed.String())
	assert.Contains(t, stderr, "error: no such stack")
}

// killedDriver is set in the process that plays a driver which is killed.
const killedDriver = "KILLED_DRIVER_CLI"

func TestMain(m *testing.M) {
	if cli := os.Getenv(killedDriver); cli != "" {
		_, _, _, _ = (&pulumicli.Command{Path: cli, Env: os.Environ()}).Run(context.Background(), "", nil, nil, nil,
			nil, "up")
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func TestAKilledDriverLeavesTheCLITimeToRecordWhatItDid(t *testing.T) {
	dir := t.TempDir()
	cli := script(t, filepath.Join(dir, "pulumi"), `cd "$(dirname "$0")"; trap 'done=1' INT; touch ready
while [ -z "$done" ]; do sleep 0.05; done; echo "a word that would break a pipe"; echo "and another" >&2; sleep 0.1; touch recorded`)
	exe, err := os.Executable()
	require.NoError(t, err)
	driver := exec.CommandContext(t.Context(), exe)
	driver.Env = append(os.Environ(), killedDriver+"="+cli)
	require.NoError(t, driver.Start())
	exists := func(name string) func() bool {
		return func() bool {
			_, err := os.Stat(filepath.Join(dir, name))
			return err == nil
		}
	}
	require.Eventually(t, exists("ready"), 10*time.Second, 10*time.Millisecond)
	require.NoError(t, driver.Process.Kill())
	_ = driver.Wait()
	require.Eventually(t, exists("recorded"), 10*time.Second, 10*time.Millisecond,
		"the CLI is interrupted and goes on to its end")
}

func TestCommandAnswersWhatIsKnownWithoutAProcess(t *testing.T) {
	c := &pulumicli.Command{
		Path:   "/nowhere/pulumi",
		Answer: func(args []string) (string, bool) { return "{}", args[0] == "stack" },
	}
	stdout, _, code, err := c.Run(t.Context(), "", nil, nil, nil, nil, "stack", "output")
	require.NoError(t, err)
	assert.Equal(t, "{}", stdout)
	assert.Zero(t, code)
	_, _, _, err = c.Run(t.Context(), "", nil, nil, nil, nil, "up")
	require.ErrorContains(t, err, "starting /nowhere/pulumi")
}

// lineWaiter reports when a line has been written to it.
type lineWaiter struct {
	want string
	seen chan struct{}
	text strings.Builder
}

func (w *lineWaiter) Write(p []byte) (int, error) {
	before := strings.Contains(w.text.String(), w.want)
	w.text.Write(p)
	if !before && strings.Contains(w.text.String(), w.want) {
		close(w.seen)
	}
	return len(p), nil
}

func TestCancellingInterruptsTheCLIOnceAndLetsItFinish(t *testing.T) {
	c := &pulumicli.Command{
		Path: script(t, filepath.Join(t.TempDir(), "pulumi"), `n=0; trap 'n=$((n+1)); echo interrupted; done=1' INT; echo ready
while [ -z "$done" ]; do sleep 0.05; done; echo "state written after $n"; exit 255`),
		Env: os.Environ(),
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ready := &lineWaiter{want: "ready", seen: make(chan struct{})}
	go func() {
		<-ready.seen
		cancel()
	}()
	stdout, _, code, err := c.Run(ctx, "", nil, []io.Writer{ready}, nil, nil, "up")
	require.Error(t, err)
	assert.Equal(t, 255, code)
	assert.Contains(t, stdout, "state written after 1")
}

func TestKillEndsTheCLIAndWhatItStarted(t *testing.T) {
	c := &pulumicli.Command{
		Path: script(t, filepath.Join(t.TempDir(), "pulumi"), `trap '' INT; sleep 600 & echo "plugin $!"; wait`),
		Env:  os.Environ(),
	}
	ready := &lineWaiter{want: "plugin ", seen: make(chan struct{})}
	go func() {
		<-ready.seen
		c.Kill()
	}()
	stdout, _, _, err := c.Run(t.Context(), "", nil, []io.Writer{ready}, nil, nil, "up")
	require.Error(t, err)
	var plugin int
	_, err = fmt.Sscanf(stdout, "plugin %d", &plugin)
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		state, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", plugin))
		return err != nil || strings.Contains(string(state), ") Z ")
	}, 10*time.Second, 10*time.Millisecond, "the plugin ends with the CLI")
}

func TestTheCLIHasAProcessGroupOfItsOwnAndHoldsTheLock(t *testing.T) {
	lock, err := os.Create(filepath.Join(t.TempDir(), "lock"))
	require.NoError(t, err)
	defer lock.Close()
	c := &pulumicli.Command{
		Path: script(t, filepath.Join(t.TempDir(), "pulumi"),
			`echo "$(ps -o pgid= -p $$) $$ $(readlink /proc/$$/fd/3)"`),
		Env: os.Environ(), Held: []*os.File{lock},
	}
	stdout, _, _, err := c.Run(t.Context(), "", nil, nil, nil, nil, "up")
	require.NoError(t, err)
	fields := strings.Fields(stdout)
	require.Len(t, fields, 3)
	assert.Equal(t, fields[1], fields[0], "leads its own group")
	assert.NotEqual(t, strconv.Itoa(syscall.Getpgrp()), fields[0])
	assert.Equal(t, lock.Name(), fields[2])
}

func TestPreparedHomeTurnsTheCLIsLogsOffAndSharesPlugins(t *testing.T) {
	home, user := filepath.Join(t.TempDir(), "home"), t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(user, "plugins", "resource-aws"), 0o700))
	require.NoError(t, os.MkdirAll(filepath.Join(home, "logs", "old"), 0o700))
	for range 2 {
		require.NoError(t, pulumicli.PrepareHome(home))
		require.NoError(t, pulumicli.SharePlugins(home, user))
	}
	info, err := os.Lstat(filepath.Join(home, "logs"))
	require.NoError(t, err)
	assert.True(t, info.Mode().IsRegular(), "logs must be a file: the CLI would write property values below a folder")
	assert.DirExists(t, filepath.Join(home, "plugins", "resource-aws"))
}

func TestPluginsOfTheDriversOwnAreKept(t *testing.T) {
	home, user := t.TempDir(), filepath.Join(t.TempDir(), "none yet")
	require.NoError(t, os.MkdirAll(filepath.Join(home, "plugins"), 0o700))
	require.NoError(t, pulumicli.SharePlugins(home, user))
	at, err := os.Readlink(filepath.Join(home, "plugins"))
	require.NoError(t, err, "an empty folder gives way")
	assert.Equal(t, filepath.Join(user, "plugins"), at)

	home = t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(home, "plugins", "resource-aws"), 0o700))
	require.NoError(t, pulumicli.SharePlugins(home, user))
	assert.DirExists(t, filepath.Join(home, "plugins", "resource-aws"))
}

func TestThePinnedVersionIsTheOneThatToolsPin(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "tools", "pulumi", "go.mod"))
	require.NoError(t, err)
	assert.Contains(t, string(text), "github.com/pulumi/pulumi/pkg/v3 v"+pulumicli.Version)
}
