package langhost_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/constant"
	"github.com/pulumi/pulumi/sdk/v3/go/common/util/rpcutil"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/emptypb"

	"dbtier/localcloud/internal/langhost"
)

// TestMain runs this test binary as the program when the language host starts it.
func TestMain(m *testing.M) {
	if os.Getenv("LANGHOST_TEST_PROGRAM") != "" && os.Getenv("PULUMI_MONITOR") != "" {
		program()
	}
	os.Exit(m.Run())
}

func program() {
	fmt.Println("out")
	fmt.Fprintln(os.Stderr, "err")
	seen := map[string]string{}
	for _, variable := range os.Environ() {
		if name, value, _ := strings.Cut(variable, "="); strings.HasPrefix(name, "PULUMI_") {
			seen[name] = value
		}
	}
	seen["PWD"], _ = os.Getwd()
	content, _ := json.Marshal(seen)
	_ = os.WriteFile(os.Args[1], content, 0o600)
	switch os.Args[2] {
	case "wait":
		fmt.Println("waiting")
		select {}
	case "fail":
		os.Exit(7)
	case "logged":
		os.Exit(constant.ExitStatusLoggedError)
	}
	os.Exit(0)
}

// engine takes the messages of a program.
type engine struct {
	pulumirpc.UnimplementedEngineServer

	mutex    sync.Mutex
	messages []string
	said     chan string
}

func (e *engine) Log(_ context.Context, req *pulumirpc.LogRequest) (*emptypb.Empty, error) {
	e.mutex.Lock()
	defer e.mutex.Unlock()
	e.messages = append(e.messages, req.GetMessage())
	e.said <- req.GetMessage()
	return &emptypb.Empty{}, nil
}

func start(t *testing.T, path string) (*langhost.Server, *engine, string) {
	t.Helper()
	e := &engine{said: make(chan string, 100)}
	cancel := make(chan bool)
	handle, err := rpcutil.ServeWithOptions(rpcutil.ServeOptions{Cancel: cancel, Init: func(server *grpc.Server) error {
		pulumirpc.RegisterEngineServer(server, e)
		return nil
	}})
	require.NoError(t, err)
	t.Cleanup(func() { close(cancel); <-handle.Done })
	address := fmt.Sprintf("127.0.0.1:%d", handle.Port)
	host := langhost.New(langhost.Options{Program: path})
	_, err = host.Handshake(t.Context(), &pulumirpc.LanguageHandshakeRequest{EngineAddress: address})
	require.NoError(t, err)
	return host, e, address
}

func self(t *testing.T) string {
	t.Helper()
	t.Setenv("LANGHOST_TEST_PROGRAM", "1")
	path, err := exec.LookPath(os.Args[0])
	require.NoError(t, err)
	path, err = filepath.Abs(path)
	require.NoError(t, err)
	return path
}

func request(dir, output, behaviour string) *pulumirpc.RunRequest {
	return &pulumirpc.RunRequest{
		Project: "dbtier", Stack: "local", Organization: "organization", Pwd: dir, Parallel: 16, DryRun: true,
		MonitorAddress: "127.0.0.1:1",
		Config:         map[string]string{"dbtier:cloud": "local"}, ConfigSecretKeys: []string{"dbtier:x"},
		Args: []string{output, behaviour},
		Info: &pulumirpc.ProgramInfo{RootDirectory: dir},
	}
}

func TestRunTellsTheProgramWhatItIsRunFor(t *testing.T) {
	t.Setenv("PULUMI_STACK", "of-another-run")
	t.Setenv("PULUMI_CONFIG_PASSPHRASE", "not for the program")
	host, e, address := start(t, self(t))
	dir, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)
	output := filepath.Join(dir, "seen.json")
	response, err := host.Run(t.Context(), request(dir, output, "end"))
	require.NoError(t, err)
	assert.Empty(t, response.GetError())
	assert.False(t, response.GetBail())

	content, err := os.ReadFile(output)
	require.NoError(t, err)
	seen := map[string]string{}
	require.NoError(t, json.Unmarshal(content, &seen))
	assert.Equal(t, map[string]string{
		"PULUMI_PROJECT": "dbtier", "PULUMI_STACK": "local", "PULUMI_ORGANIZATION": "organization",
		"PULUMI_DRY_RUN":  "true",
		"PULUMI_PARALLEL": "16", "PULUMI_MONITOR": "127.0.0.1:1", "PULUMI_ENGINE": address,
		"PULUMI_ROOT_DIRECTORY": dir,
		"PULUMI_CONFIG":         `{"dbtier:cloud":"local"}`, "PULUMI_CONFIG_SECRET_KEYS": `["dbtier:x"]`, "PWD": dir,
	}, seen)
	assert.ElementsMatch(t, []string{"out", "err"}, e.messages)
}

func TestRunReportsHowTheProgramEnded(t *testing.T) {
	path := self(t)
	host, _, _ := start(t, path)
	dir := t.TempDir()
	response, err := host.Run(t.Context(), request(dir, filepath.Join(dir, "x"), "fail"))
	require.NoError(t, err)
	assert.Equal(t, "program "+path+" ended: exit status 7", response.GetError())

	response, err = host.Run(t.Context(), request(dir, filepath.Join(dir, "x"), "logged"))
	require.NoError(t, err)
	assert.True(t, response.GetBail(), "the program has already reported the error to the engine")
	assert.Empty(t, response.GetError())

	host, _, _ = start(t, filepath.Join(dir, "none"))
	response, err = host.Run(t.Context(), request(dir, filepath.Join(dir, "x"), "end"))
	require.NoError(t, err)
	assert.Contains(t, response.GetError(), "start program "+filepath.Join(dir, "none"))
	assert.Contains(t, response.GetError(), "build it with make build")
}

func TestCancelEndsTheProgram(t *testing.T) {
	host, e, _ := start(t, self(t))
	dir := t.TempDir()
	done := make(chan *pulumirpc.RunResponse, 1)
	go func() {
		response, err := host.Run(t.Context(), request(dir, filepath.Join(dir, "x"), "wait"))
		assert.NoError(t, err)
		done <- response
	}()
	for message := range e.said {
		if message == "waiting" {
			break
		}
	}
	_, err := host.Cancel(t.Context(), &emptypb.Empty{})
	require.NoError(t, err)
	assert.Contains(t, (<-done).GetError(), "signal: terminated")
}

func TestNothingIsRequired(t *testing.T) {
	host := langhost.New(langhost.Options{Program: "dbtier"})
	packages, err := host.GetRequiredPackages(t.Context(), &pulumirpc.GetRequiredPackagesRequest{})
	require.NoError(t, err)
	assert.Empty(t, packages.GetPackages())
	about, err := host.About(t.Context(), &pulumirpc.AboutRequest{})
	require.NoError(t, err)
	assert.Equal(t, "dbtier", about.GetExecutable())
}
