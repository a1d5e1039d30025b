package localcloud_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"dbtier/internal/localcloud"
	"dbtier/internal/project"
)

const patience = 10 * time.Second

// fake is a project with a script that plays localcloud.
func fake(t *testing.T, body string) *localcloud.Cloud {
	t.Helper()
	dir := t.TempDir()
	binary := filepath.Join(t.TempDir(), "localcloud")
	require.NoError(t, os.WriteFile(binary, []byte("#!/bin/sh\n"+body+"\n"), 0o700))
	require.NoError(t, os.MkdirAll(filepath.Join(dir, ".localcloud", "state", "pulumi"), 0o700))
	return &localcloud.Cloud{Project: &project.Project{Dir: dir, Name: "dbtier"}, Binary: binary}
}

func startTime(t *testing.T, pid int) uint64 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	require.NoError(t, err)
	_, rest, _ := strings.Cut(string(text), ") ")
	var started uint64
	_, err = fmt.Sscan(strings.Fields(rest)[19], &started)
	require.NoError(t, err)
	return started
}

// runs makes the cloud look as if it were running with pid as its first process and a control socket that answers.
func runs(t *testing.T, c *localcloud.Cloud, pid, answers int, phase string) {
	t.Helper()
	// The path of a socket must be short, so it is not in the test's folder.
	dir, err := os.MkdirTemp("", "lc") //nolint:usetesting // t.TempDir is too long for a socket
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "unix", filepath.Join(dir, "control.sock"))
	require.NoError(t, err)
	server := &http.Server{
		ReadHeaderTimeout: patience,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/status" {
				answers = http.StatusNotFound
			}
			w.WriteHeader(answers)
			fmt.Fprintf(w, `{"phase":%q,"faults":[{"kind":"api-server"},{"kind":"zone","of":"b"}]}`, phase)
		}),
	}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { server.Close() })
	write(t, c, "cloud.json", map[string]any{
		"version": 1, "pid": pid, "startTime": startTime(t, pid), "apiPort": 16443, "awsPort": 14566, "runDir": dir,
		"awsEndpoint": "http://127.0.0.1:14566", "kubeconfig": c.Project.LocalCloud("state", "kubeconfig"),
	})
}

func write(t *testing.T, c *localcloud.Cloud, name string, content any) {
	t.Helper()
	text, err := json.Marshal(content)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(c.Project.LocalCloud("state", name), text, 0o600))
}

func TestACloudRunsWhenItsFirstProcessLivesAndItsSocketAnswers(t *testing.T) {
	c := fake(t, "")
	_, err := c.Running(t.Context())
	require.ErrorIs(t, err, localcloud.ErrNotRunning, "never started")

	runs(t, c, os.Getpid(), http.StatusOK, "ready")
	state, err := c.Running(t.Context())
	require.NoError(t, err)
	assert.Equal(t, "http://127.0.0.1:14566", state.AWSEndpoint)
	assert.Equal(t, []localcloud.Fault{{Kind: "api-server"}, {Kind: "zone", Of: "b"}}, state.Faults)

	ended := exec.CommandContext(t.Context(), "true")
	require.NoError(t, ended.Run())
	for what, change := range map[string]map[string]any{
		"its process has ended":                 {"pid": ended.Process.Pid, "startTime": 1},
		"its id now belongs to another process": {"pid": os.Getpid(), "startTime": 1},
		"nothing answers": {
			"pid": os.Getpid(), "startTime": startTime(t, os.Getpid()),
			"runDir": "/nowhere",
		},
	} {
		write(t, c, "cloud.json", change)
		_, err := c.Running(t.Context())
		require.ErrorIs(t, err, localcloud.ErrNotRunning, what)
	}
	require.NoError(t, os.WriteFile(c.Project.LocalCloud("state", "cloud.json"), []byte("{"), 0o600))
	_, err = c.Running(t.Context())
	require.ErrorIs(t, err, localcloud.ErrNotRunning, "torn file")

	runs(t, c, os.Getpid(), http.StatusInternalServerError, "ready")
	_, err = c.Running(t.Context())
	require.ErrorContains(t, err, "answers 500")

	runs(t, c, os.Getpid(), http.StatusOK, "starting")
	_, err = c.Running(t.Context())
	require.NoError(t, err)
	_, err = c.Ready(t.Context())
	require.ErrorIs(t, err, localcloud.ErrStarting)
	runs(t, c, os.Getpid(), http.StatusOK, "stopping")
	_, err = c.Ready(t.Context())
	require.ErrorIs(t, err, localcloud.ErrNotRunning)
}

func TestFindBinarySaysHowToBuildIt(t *testing.T) {
	_, err := localcloud.FindBinary(t.TempDir())
	require.ErrorContains(t, err, "make build")
}

func TestRunHandsOverOutputAndLeavesTheWordsToTheChild(t *testing.T) {
	c := fake(t, `echo "$*"; echo "error: port 16443 is taken" >&2; exit 1`)
	var out, errOut bytes.Buffer
	err := c.Run(t.Context(), &out, &errOut, "start", "--aws-port=1")
	require.ErrorIs(t, err, localcloud.ErrReported)
	assert.Equal(t, "start --aws-port=1 --dir "+c.Project.Dir+"\n", out.String())
	assert.Equal(t, "error: port 16443 is taken\n", errOut.String())

	require.ErrorContains(t, fake(t, `kill -9 $$`).Run(t.Context(), io.Discard, io.Discard, "start"),
		"ended by signal killed")
}

func TestProvidersListenUntilTheyAreClosed(t *testing.T) {
	c := fake(t, `echo "$*" > args; echo '{"aws":11,"kubernetes":22}'; cat > /dev/null; echo ended > ended`)
	p, err := c.Providers(t.Context(), localcloud.ProviderOptions{Offline: true})
	require.NoError(t, err)
	assert.Equal(t, "aws:11,kubernetes:22", p.DebugProviders())
	assert.Equal(t, "aws:11", p.DebugProviders("kubernetes"))
	args, err := os.ReadFile(filepath.Join(c.Project.Dir, "args"))
	require.NoError(t, err)
	assert.Equal(t, "providers --offline --dir "+c.Project.Dir+"\n", string(args))
	select {
	case <-p.Ended:
		t.Fatal("ended before Close")
	default:
	}
	p.Close()
	assert.FileExists(t, filepath.Join(c.Project.Dir, "ended"), "Stop ends it and waits for it")
}

func TestProvidersOutliveACancelSoThatTheEngineCanEndItsWork(t *testing.T) {
	c := fake(t, `echo '{"aws":11}'; cat > /dev/null; echo ended > ended`)
	ctx, cancel := context.WithCancel(t.Context())
	p, err := c.Providers(ctx, localcloud.ProviderOptions{})
	require.NoError(t, err)
	cancel()
	p.Close()
	assert.FileExists(t, filepath.Join(c.Project.Dir, "ended"),
		"they ended because they were closed, not killed by the cancel")
}

func TestProvidersThatDoNotStartSayWhy(t *testing.T) {
	_, err := fake(t, `echo "starting" >&2; echo "error: the local cloud is not running" >&2; exit 1`).Providers(
		t.Context(), localcloud.ProviderOptions{},
	)
	require.EqualError(t, err, "the provider servers did not start: the local cloud is not running")
	_, err = fake(t, `echo nonsense; exit 1`).Providers(t.Context(), localcloud.ProviderOptions{})
	require.EqualError(t, err, "the provider servers did not start: nonsense")
}

// keeper runs Keep in this process, as the detached keeper does in its own.
func TestAKeeperHoldsTheServersForAsLongAsTheCloudLives(t *testing.T) {
	c := fake(t, `echo '{"aws":11,"kubernetes":22,"language":33}'; cat > /dev/null; echo ended > ended`)
	cloud := exec.CommandContext(t.Context(), "sleep", "600")
	require.NoError(t, cloud.Start())
	runs(t, c, cloud.Process.Pid, http.StatusOK, "ready")

	reader, writer, err := os.Pipe()
	require.NoError(t, err)
	kept := make(chan error, 1)
	go func() { kept <- c.Keep(t.Context(), writer) }()
	ready, err := io.ReadAll(reader)
	require.NoError(t, err)
	assert.JSONEq(t, `{"aws":11,"kubernetes":22,"language":33}`, string(ready))

	ports, err := c.Attached(t.Context(), []string{"/nowhere/must-not-be-started"})
	require.NoError(t, err)
	assert.Equal(t, localcloud.Ports{AWS: 11, Kubernetes: 22, Language: 33}, ports, "the living keeper's")

	require.NoError(t, cloud.Process.Kill())
	_ = cloud.Wait()
	select {
	case err := <-kept:
		require.NoError(t, err)
	case <-time.After(patience):
		t.Fatal("the keeper must end with the cloud")
	}
	assert.FileExists(t, filepath.Join(c.Project.Dir, "ended"))
	assert.NoFileExists(t, c.Project.LocalCloud("state", "pulumi", "attached.json"))
}

func TestAKeeperIsStartedOnceAndEndedByStop(t *testing.T) {
	c := fake(t, `echo "$1" >> calls`)
	// A keeper in another process prints what the real one prints.
	keeper := filepath.Join(t.TempDir(), "keeper")
	require.NoError(t, os.WriteFile(keeper, []byte(`#!/bin/sh
started=$(cut -d' ' -f22 /proc/$$/stat)
built=$(date -u -r "$1" +%Y-%m-%dT%H:%M:%S.%NZ)
printf '{"pid":%d,"startTime":%d,"built":"%s","aws":5}' $$ "$started" "$built" > "$2/.localcloud/state/pulumi/attached.json"
echo started >> "$2/keepers"
echo '{"aws":5}'
exec sleep 600
`), 0o700))
	command := []string{keeper, c.Binary, c.Project.Dir}
	for range 2 {
		ports, err := c.Attached(t.Context(), command)
		require.NoError(t, err)
		assert.Equal(t, 5, ports.AWS)
	}
	started, err := os.ReadFile(filepath.Join(c.Project.Dir, "keepers"))
	require.NoError(t, err)
	assert.Equal(t, "started\n", string(started))

	text, err := os.ReadFile(c.Project.LocalCloud("state", "pulumi", "attached.json"))
	require.NoError(t, err)
	var said struct{ PID int }
	require.NoError(t, json.Unmarshal(text, &said))
	require.NoError(t, c.Stop(t.Context(), io.Discard, io.Discard, "--purge"))
	state, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", said.PID))
	assert.True(t, err != nil || strings.Contains(string(state), ") Z "), "the keeper has ended when stop returns: %s",
		state)
	calls, err := os.ReadFile(filepath.Join(c.Project.Dir, "calls"))
	require.NoError(t, err)
	assert.Equal(t, "stop\n", string(calls))
}

func TestAKeeperThatFailsIsNamedWithItsLog(t *testing.T) {
	c := fake(t, "")
	_, err := c.Attached(t.Context(), []string{"/bin/sh", "-c", "echo why >&2; exit 1"})
	require.ErrorContains(t, err, "attached.log")
	log, err := os.ReadFile(c.Project.LocalCloud("state", "pulumi", "attached.log"))
	require.NoError(t, err)
	assert.Equal(t, "why\n", string(log))
}

func TestExportsSurviveAShell(t *testing.T) {
	c := fake(t, "")
	write(t, c, "aws-credentials.json", localcloud.Credentials{AccessKeyID: "AKIA", SecretAccessKey: "se'cr$et"})
	vars, err := c.Environment(&localcloud.State{AWSEndpoint: "http://127.0.0.1:14566", Kubeconfig: "/k"},
		localcloud.Ports{AWS: 1, Kubernetes: 2, Language: 3},
		localcloud.EnvironmentOptions{
			Region: "ap-northeast-2", Backend: "file:///b", PassphraseFile: "/p",
			PulumiHome: "/h", Bin: "/my bin",
		})
	require.NoError(t, err)
	exports := localcloud.Export(vars)
	shell := func(script string) string {
		cmd := exec.CommandContext(t.Context(), "/bin/sh", "-euc", script)
		cmd.Env = []string{"PATH=/bin:/usr/bin"}
		out, err := cmd.Output()
		require.NoError(t, err)
		return string(out)
	}
	assert.Equal(t, "se'cr$et aws:1,kubernetes:2 go:3 /my bin:/bin:/usr/bin\n",
		shell(exports+exports+`echo "$AWS_SECRET_ACCESS_KEY $PULUMI_DEBUG_PROVIDERS $PULUMI_DEBUG_LANGUAGES $PATH"`))
	left := shell(exports + localcloud.Unset() + "env")
	for _, v := range vars {
		if v[0] != "PATH" {
			assert.NotContains(t, left, v[0]+"=", "unset removes every variable")
		}
	}

	vars, err = c.Environment(&localcloud.State{}, localcloud.Ports{Language: 3},
		localcloud.EnvironmentOptions{LanguageInstalled: true})
	require.NoError(t, err)
	assert.NotContains(t, localcloud.Export(vars), "PULUMI_DEBUG_LANGUAGES", "an installed language host is used")
}
