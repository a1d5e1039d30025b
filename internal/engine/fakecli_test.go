package engine_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// The test binary plays the Pulumi CLI when fakeDir is set: it records how it was called and answers from files.
const fakeDir = "FAKE_PULUMI_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(fakeDir); dir != "" {
		os.Exit(playCLI(dir, os.Args[1:]))
	}
	os.Exit(m.Run())
}

// call is one recorded run of the CLI.
type call struct {
	Args []string `json:"args"`
	Env  []string `json:"env"`
	Dir  string   `json:"dir"`
}

func (c call) is(words ...string) bool {
	return slices.Equal(c.Args[1:min(len(c.Args), len(words)+1)], words)
}

func (c call) env(name string) (string, bool) {
	value, found := "", false
	for _, entry := range c.Env {
		if key, v, _ := strings.Cut(entry, "="); key == name {
			value, found = v, true
		}
	}
	return value, found
}

func playCLI(dir string, args []string) int {
	wd, _ := os.Getwd()
	record, _ := json.Marshal(call{Args: args, Env: os.Environ(), Dir: wd})
	file, err := os.OpenFile(filepath.Join(dir, "calls"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return 99
	}
	fmt.Fprintf(file, "%s\n", record)
	file.Close()

	name := args[1]
	if name == "stack" {
		name += "-" + args[2]
	}
	if name == "stack-export" {
		text, _ := os.ReadFile(filepath.Join(dir, "exported"))
		_ = os.WriteFile(args[slices.Index(args, "--file")+1], text, 0o600)
	}
	if name == "stack-import" {
		text, _ := os.ReadFile(args[slices.Index(args, "--file")+1])
		_ = os.WriteFile(filepath.Join(dir, "imported"), text, 0o600)
	}
	if at := slices.Index(args, "--event-log"); at >= 0 {
		if err := streamEvents(args[at+1], filepath.Join(dir, name+".events")); err != nil {
			fmt.Fprintln(os.Stderr, "error:", err)
			return 98
		}
	}
	if _, err := os.Stat(filepath.Join(dir, name+".waits")); err == nil {
		interrupted := make(chan os.Signal, 1)
		signal.Notify(interrupted, os.Interrupt)
		_ = os.WriteFile(filepath.Join(dir, "waiting"), nil, 0o600)
		<-interrupted
		fmt.Fprintln(os.Stderr, "error: update canceled")
		return 255
	}
	if text, err := os.ReadFile(filepath.Join(dir, name+".stdout")); err == nil {
		os.Stdout.Write(text)
	}
	if text, err := os.ReadFile(filepath.Join(dir, name+".stderr")); err == nil {
		os.Stderr.Write(text)
		return 255
	}
	return 0
}

func streamEvents(address, file string) error {
	conn, err := grpc.NewClient(strings.TrimPrefix(address, "tcp://"),
		grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer conn.Close()
	stream, err := pulumirpc.NewEventsClient(conn).StreamEvents(context.Background())
	if err != nil {
		return err
	}
	events := `{"summaryEvent":{}}`
	if text, err := os.ReadFile(file); err == nil {
		events = string(text)
	}
	for line := range strings.SplitSeq(events, "\n") {
		if err := stream.Send(&pulumirpc.EventRequest{Event: line}); err != nil {
			return err
		}
	}
	_, err = stream.CloseAndRecv()
	return err
}

// fakeCLI is the folder that steers the CLI that this test binary plays.
type fakeCLI struct {
	t   *testing.T
	dir string
}

func newFakeCLI(t *testing.T) *fakeCLI {
	t.Helper()
	f := &fakeCLI{t: t, dir: t.TempDir()}
	t.Setenv(fakeDir, f.dir)
	return f
}

// path of the executable that plays the CLI.
func (f *fakeCLI) path(context.Context) (string, error) { return os.Executable() }

func (f *fakeCLI) file(name, text string) {
	f.t.Helper()
	require.NoError(f.t, os.WriteFile(filepath.Join(f.dir, name), []byte(text), 0o600))
}

func (f *fakeCLI) calls() []call {
	f.t.Helper()
	text, err := os.ReadFile(filepath.Join(f.dir, "calls"))
	if os.IsNotExist(err) {
		return nil
	}
	require.NoError(f.t, err)
	var calls []call
	for line := range strings.Lines(string(text)) {
		var c call
		require.NoError(f.t, json.Unmarshal([]byte(line), &c))
		calls = append(calls, c)
	}
	return calls
}

// only returns the call with these words and fails the test unless there is exactly one.
func (f *fakeCLI) only(words ...string) call {
	f.t.Helper()
	var found []call
	for _, c := range f.calls() {
		if c.is(words...) {
			found = append(found, c)
		}
	}
	require.Len(f.t, found, 1, "calls of pulumi %s among %v", strings.Join(words, " "), f.calls())
	return found[0]
}
