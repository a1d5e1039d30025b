package driver

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"dbtier/internal/project"
	"dbtier/internal/pulumicli"
)

// The test binary plays the Pulumi CLI when this is set.
// fakeEvents names the file with the events that the fake CLI streams, fakeState is the state that it exports.
const (
	fakeEvents = "FAKE_PULUMI_EVENTS"
	fakeState  = "FAKE_PULUMI_STATE"
)

func TestMain(m *testing.M) {
	if file := os.Getenv(fakeEvents); file != "" {
		os.Exit(playCLI(file, os.Args[1:]))
	}
	os.Exit(m.Run())
}

// playCLI records each call in <file>.calls, and the config of the stack prod in <file>.config. If the call asks for events, it streams those in <file>.<command>, or those in <file>.
func playCLI(file string, args []string) int {
	if slices.Contains(args, "version") {
		fmt.Println("v" + pulumicli.Version)
		return 0
	}
	record, _ := json.Marshal(map[string]any{"args": args, "providers": os.Getenv("PULUMI_DEBUG_PROVIDERS")})
	calls, err := os.OpenFile(file+".calls", os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return 99
	}
	fmt.Fprintf(calls, "%s\n", record)
	calls.Close()
	if settings, err := os.ReadFile("Pulumi.prod.yaml"); err == nil {
		_ = os.WriteFile(file+".config", settings, 0o600)
	}
	at := slices.Index(args, "--event-log")
	if at < 0 {
		if slices.Contains(args, "export") {
			fmt.Print(os.Getenv(fakeState))
		}
		return 0
	}
	conn, err := grpc.NewClient(strings.TrimPrefix(args[at+1], "tcp://"),
		grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return 98
	}
	defer conn.Close()
	stream, err := pulumirpc.NewEventsClient(conn).StreamEvents(context.Background())
	if err != nil {
		return 97
	}
	refreshed := ""
	if slices.ContainsFunc(args, func(arg string) bool { return arg == "--refresh" || arg == "--refresh=true" }) {
		refreshed = refreshing
	}
	events, err := os.ReadFile(file + "." + args[1] + refreshed)
	if err != nil {
		events, err = os.ReadFile(file + "." + args[1])
	}
	if err != nil {
		events, _ = os.ReadFile(file)
	}
	for line := range strings.Lines(string(events)) {
		if err := stream.Send(&pulumirpc.EventRequest{Event: line}); err != nil {
			return 96
		}
	}
	if _, err := stream.CloseAndRecv(); err != nil {
		return 95
	}
	return 0
}

// bench is a project with a driver, a CLI and a local cloud that tests steer.
type bench struct {
	*app
	t              *testing.T
	dir, beside    string
	stdout, stderr bytes.Buffer
	stdin          strings.Reader
	events         string
	replaced       [][]string
}

const created = `{"resourcePreEvent":{"metadata":{"op":"create","urn":"urn:pulumi:s::dbtier::aws:kms/key:Key::k","type":"aws:kms/key:Key","new":{"inputs":{"description":"d","token":"[secret]"}}}}}
{"resOutputsEvent":{"metadata":{"op":"create","urn":"urn:pulumi:s::dbtier::aws:kms/key:Key::k","type":"aws:kms/key:Key"}}}
{"summaryEvent":{"resourceChanges":{"create":1}}}
`

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{t: t, dir: t.TempDir(), beside: t.TempDir()}
	for name, text := range map[string]string{
		"Pulumi.yaml":       "name: dbtier\nruntime: go\n",
		"Pulumi.local.yaml": "config:\n  dbtier:cloud: local\n  dbtier:aws: {region: eu-west-1}\n",
		"Pulumi.prod.yaml":  "config:\n  dbtier:cloud: aws\n",
	} {
		require.NoError(t, os.WriteFile(filepath.Join(b.dir, name), []byte(text), 0o600))
	}
	exe, err := os.Executable()
	require.NoError(t, err)
	require.NoError(t, os.Symlink(exe, filepath.Join(b.beside, "pulumi")))
	b.cloudScript(`cat > /dev/null`)
	t.Chdir(b.dir)
	t.Setenv("HOME", t.TempDir())
	for _, name := range []string{"PULUMI_HOME", "PULUMI_BACKEND_URL", "KUBECONFIG", "AWS_ENDPOINT_URL"} {
		t.Setenv(name, "")
	}
	t.Setenv("PULUMI_CONFIG_PASSPHRASE", "x")
	b.events = filepath.Join(t.TempDir(), "events")
	b.happens(created)
	t.Setenv(fakeEvents, b.events)
	b.app = &app{
		deploy: func(*pulumi.Context) error { return nil }, stdin: &b.stdin, stdout: &b.stdout, stderr: &b.stderr,
		beside: b.beside, self: exe, system: "linux",
		kill: make(chan struct{}),
		replace: func(path string, args, env []string) error {
			b.replaced = append(b.replaced, append([]string{path}, args...), env)
			return nil
		},
	}
	return b
}

func (b *bench) happens(events string) {
	b.t.Helper()
	require.NoError(b.t, os.WriteFile(b.events, []byte(events), 0o600))
}

// refreshing ends the name of a command of the engine that refreshes the state first.
const refreshing = " --refresh"

// happensIn gives one command of the engine other events.
func (b *bench) happensIn(command, events string) {
	b.t.Helper()
	require.NoError(b.t, os.WriteFile(b.events+"."+command, []byte(events), 0o600))
}

// cloudScript makes the shell script that plays localcloud.
func (b *bench) cloudScript(body string) {
	b.t.Helper()
	text := "#!/bin/sh\necho \"$*\" >> \"" + b.dir + "/cloud.calls\"\n" + body + "\n"
	require.NoError(b.t, os.WriteFile(filepath.Join(b.beside, "localcloud"), []byte(text), 0o700))
}

// cloudRuns makes a control socket answer, and the cloud's file under the given name.
func (b *bench) cloudRuns(name string) {
	b.t.Helper()
	dir, err := os.MkdirTemp("", "lc")
	require.NoError(b.t, err)
	b.t.Cleanup(func() { os.RemoveAll(dir) })
	listener, err := (&net.ListenConfig{}).Listen(b.t.Context(), "unix", filepath.Join(dir, "control.sock"))
	require.NoError(b.t, err)
	server := &http.Server{
		ReadHeaderTimeout: time.Minute,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, `{"phase":"ready"}`)
		}),
	}
	go func() { _ = server.Serve(listener) }()
	b.t.Cleanup(func() { server.Close() })
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", os.Getpid()))
	require.NoError(b.t, err)
	_, rest, _ := strings.Cut(string(stat), ") ")
	state := filepath.Join(b.dir, ".localcloud", "state")
	require.NoError(b.t, os.MkdirAll(state, 0o700))
	text := fmt.Sprintf(
		`{"pid":%d,"startTime":%s,"runDir":%q,"awsEndpoint":"http://127.0.0.1:14566","kubeconfig":"/cluster/kubeconfig"}`,
		os.Getpid(), strings.Fields(rest)[19], dir)
	require.NoError(b.t, os.WriteFile(filepath.Join(state, name), []byte(text), 0o600))
	require.NoError(b.t, os.WriteFile(filepath.Join(state, "aws-credentials.json"),
		[]byte(`{"accessKeyId":"AKIA","secretAccessKey":"hush"}`), 0o600))
}

func (b *bench) run(args ...string) int {
	b.t.Helper()
	b.stdout.Reset()
	b.stderr.Reset()
	return b.app.run(b.t.Context(), args)
}

// says runs a command and asserts its exit code and a text on stderr.
func (b *bench) says(code int, want string, args ...string) {
	b.t.Helper()
	assert.Equal(b.t, code, b.run(args...), "dbtier %v: %s", args, b.stderr.String())
	assert.Contains(b.t, b.stderr.String(), want, "dbtier %v", args)
}

// answer is the JSON that the last command printed.
func (b *bench) answer() *report {
	b.t.Helper()
	var r report
	require.NoError(b.t, json.Unmarshal(b.stdout.Bytes(), &r), "%s", b.stdout.String())
	assert.Equal(b.t, schema, r.Schema)
	return &r
}

// engineRuns are the words and PULUMI_DEBUG_PROVIDERS of each run of the engine.
func (b *bench) engineRuns() (commands, providers []string) {
	b.t.Helper()
	text, err := os.ReadFile(b.events + ".calls")
	if os.IsNotExist(err) {
		return nil, nil
	}
	require.NoError(b.t, err)
	for line := range strings.Lines(string(text)) {
		var c struct {
			Args      []string
			Providers string
		}
		require.NoError(b.t, json.Unmarshal([]byte(line), &c))
		if c.Args[1] != "stack" {
			commands, providers = append(commands, c.Args[1]), append(providers, c.Providers)
		}
	}
	return commands, providers
}

func (b *bench) cloudCalls() []string {
	b.t.Helper()
	text, err := os.ReadFile(filepath.Join(b.dir, "cloud.calls"))
	if os.IsNotExist(err) {
		return nil
	}
	require.NoError(b.t, err)
	var calls []string
	for line := range strings.Lines(string(text)) {
		words, _, _ := strings.Cut(strings.TrimSpace(line), " --dir ")
		calls = append(calls, words)
	}
	return calls
}

func TestEveryCommandHasHelpThatTeaches(t *testing.T) {
	b := newBench(t)
	require.Zero(t, b.run())
	for _, want := range []string{
		"preview", "up ", "drift", "refresh", "destroy", "outputs", "verify", "history", "cancel", "export", "import",
		"doctor", "completion", "local ", "man ", "version",
		"dbtier up --stack local",
	} {
		assert.Contains(t, b.stdout.String(), want)
	}
	root := b.root()
	commands := root.Commands()
	for i := 0; i < len(commands); i++ {
		commands = append(commands, commands[i].Commands()...)
		assert.NotEmpty(t, commands[i].Short, commands[i].CommandPath())
	}
	for _, path := range [][]string{
		{"up", "--help"},
		{"local", "kubectl", "--help"},
		{"local", "aws"},
		{"local", "psql", "-h"},
	} {
		require.Zero(t, b.run(path...), path)
		assert.Contains(t, b.stdout.String(), "Usage:", path)
	}
}

func TestACommandLineThatIsNotUnderstoodPointsToHelp(t *testing.T) {
	b := newBench(t)
	b.says(exitUsage, "unknown command \"upp\"", "upp")
	b.says(exitUsage, "did you mean dbtier preview?", "previw", "--stack", "local")
	for _, known := range [][]string{{"completion", "bash"}, {"help", "up"}, {"up", "--help"}, {"local"}} {
		require.Zero(t, b.run(known...), "%v: %s", known, b.stderr.String())
	}
	b.says(exitUsage, "unknown flag --stak: did you mean --stack?\nsee: dbtier up --help", "up", "--stak", "local")
	b.says(exitUsage, "see: dbtier outputs --help", "outputs", "local")
	b.says(exitUsage, "choose attached or installed", "up", "--stack", "local", "--kubernetes-provider", "other")
	b.says(exitUsage, "--plan: a plan of --offline begins with an empty state", "preview", "--stack", "prod", "--offline", "--plan", "p")
	b.says(exitUsage, "unknown command", "local", "begin")
}

func TestAMissingStackNamesTheStacksThereAre(t *testing.T) {
	b := newBench(t)
	for _, command := range []string{
		"up", "preview", "destroy", "outputs", "verify", "refresh", "drift", "history",
		"cancel", "export", "doctor",
	} {
		b.says(exitUsage, "error: no stack given: add --stack <name>; this project has local, prod\n", command)
		b.says(exitConfig, "error: --stack staging: no file Pulumi.staging.yaml; this project has local, prod\n",
			command, "--stack", "staging")
	}
	t.Chdir(t.TempDir())
	b.says(exitConfig, "change into the project's folder", "up", "--stack", "local")
}

func TestUpOffTheLocalCloudNeedsConsent(t *testing.T) {
	b := newBench(t)
	state := filepath.Join(t.TempDir(), "state.json")
	require.NoError(t, os.WriteFile(state, []byte(`{"version":3,"deployment":{"resources":[]}}`), 0o600))
	for _, command := range [][]string{
		{"up"},
		{"destroy"},
		{"refresh"},
		{"cancel"},
		{"import", "--file", state},
	} {
		b.says(exitUsage, "cannot ask for confirmation", append(command, "--stack", "prod")...)
	}
	commands, _ := b.engineRuns()
	assert.Empty(t, commands)

	require.Zero(t, b.run("up", "--stack", "prod", "--yes"), b.stderr.String())
	commands, providers := b.engineRuns()
	assert.Equal(t, []string{"preview", "up"}, commands)
	assert.Equal(t, []string{"", ""}, providers)
	assert.Contains(t, b.stdout.String(), "stack prod: 1 created, ")
	assert.Empty(t, b.cloudCalls(), "the local cloud is not used")
}

func TestAPersonSeesThePreviewAndIsAsked(t *testing.T) {
	for answer, want := range map[string][]string{"prod\n": {"preview", "up"}, "yes\n": {"preview"}, "": {"preview"}} {
		b := newBench(t)
		b.asks = true
		b.stdin.Reset(answer)
		code := b.run("up", "--stack", "prod")
		commands, _ := b.engineRuns()
		assert.Equal(t, want, commands, "answer %q", answer)
		assert.Contains(t, b.stdout.String(), "preview of stack prod: 1 to create")
		if len(want) == 1 {
			assert.Equal(t, 1, code)
			assert.Contains(t, b.stderr.String(), "not confirmed: nothing was changed")
		}
	}
	b := newBench(t)
	b.asks = true
	b.happens(`{"summaryEvent":{"resourceChanges":{"same":4}}}`)
	require.Zero(t, b.run("up", "--stack", "prod"))
	assert.Contains(t, b.stdout.String(), "no changes (4 resources)")
	assert.NotContains(t, b.stdout.String(), "type the stack's name", "nothing to ask about")
}

// serves is a localcloud whose start succeeds and whose providers listen.
const serves = `case "$1" in
start) mv .localcloud/state/prepared .localcloud/state/cloud.json; echo "local cloud ready" ;;
providers) echo '{"aws":11,"kubernetes":22}'; cat > /dev/null ;;
esac`

func TestUpOfALocalStackStartsTheCloudAndAttachesItsProviders(t *testing.T) {
	b := newBench(t)
	b.cloudScript(serves)
	b.cloudRuns("prepared")
	require.Zero(t, b.run("up", "--stack", "local"), b.stderr.String())
	assert.Equal(t, []string{"start", "providers"}, b.cloudCalls())
	commands, providers := b.engineRuns()
	assert.Equal(t, []string{"preview", "up"}, commands)
	assert.NotContains(t, b.stdout.String(), "type the stack's name", "no question is asked")
	assert.Equal(t, []string{"aws:11,kubernetes:22", "aws:11,kubernetes:22"}, providers)
	assert.Contains(t, b.stdout.String(), "local cloud ready\n")

	require.Zero(t, b.run("up", "--stack", "local", "--kubernetes-provider", "installed"), b.stderr.String())
	assert.Equal(t, []string{"start", "providers", "providers"}, b.cloudCalls(),
		"a cloud that runs is not started again")
	_, providers = b.engineRuns()
	assert.Equal(t, "aws:11", providers[2], "the installed plugin takes kubernetes")
}

func TestOnlyUpStartsTheLocalCloud(t *testing.T) {
	b := newBench(t)
	for _, args := range [][]string{
		{"preview", "--stack", "local"},
		{"destroy", "--stack", "local"},
		{"verify", "--stack", "local"},
		{"local", "kubectl", "get", "pods"},
		{"local", "env"},
	} {
		b.says(1, "error: the local cloud is not running: start it with `dbtier local start`\n", args...)
	}
	commands, _ := b.engineRuns()
	assert.Empty(t, commands)
}

func TestAnotherSystemIsToldWhatWorksThere(t *testing.T) {
	b := newBench(t)
	b.system = "darwin"
	for _, args := range [][]string{
		{"up", "--stack", "local"},
		{"local", "start"},
		{"local", "psql"},
		{"verify", "--stack", "local"},
	} {
		b.says(1, "error: the local cloud needs Linux and this is darwin: use a Linux machine or VM; offline "+
			"previews work everywhere\n", args...)
	}
	assert.NoDirExists(t, filepath.Join(b.dir, ".dbtier"), "nothing is left half done")
	b.cloudScript(serves)
	require.Zero(t, b.run("preview", "--stack", "prod", "--offline"), b.stderr.String())
}

func TestAStartThatFailedHasSaidWhy(t *testing.T) {
	b := newBench(t)
	b.cloudScript(`echo "localcloud: port 16443 is taken" >&2; exit 1`)
	b.says(1, "", "up", "--stack", "local")
	assert.Equal(t, "localcloud: port 16443 is taken\n", b.stderr.String(), "nothing added")
}

func TestAStackOnAWSIsRefusedInAShellOfTheLocalCloud(t *testing.T) {
	b := newBench(t)
	b.cloudRuns("cloud.json")
	t.Setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:14566")
	b.says(1, "this shell is set up for the local cloud (AWS_ENDPOINT_URL)", "up", "--stack", "prod", "--yes")
	commands, _ := b.engineRuns()
	assert.Empty(t, commands)
}

func TestAnOfflinePreviewNeedsNoCloudAndHidesSecrets(t *testing.T) {
	b := newBench(t)
	b.cloudScript(serves)
	t.Setenv("PULUMI_CONFIG_PASSPHRASE", "")
	require.Zero(t, b.run("preview", "--stack", "prod", "--offline", "--inputs"), b.stderr.String())
	assert.Equal(t, []string{"providers --offline"}, b.cloudCalls())
	assert.Contains(t, b.stdout.String(), "description: d\n")
	assert.Contains(t, b.stdout.String(), "offline preview of stack prod: 1 to create")

	require.Zero(t, b.run("preview", "--stack", "prod", "--offline", "--json"), b.stderr.String())
	var preview struct {
		Stack     string
		Offline   bool
		Changes   map[string]int
		Resources []struct {
			Type, Name, Op string
			Inputs         map[string]any
		}
	}
	require.NoError(t, json.Unmarshal(b.stdout.Bytes(), &preview))
	require.Len(t, preview.Resources, 1)
	assert.Equal(t, map[string]any{"description": "d", "token": "<secret>"}, preview.Resources[0].Inputs)
	assert.Equal(t, "k", preview.Resources[0].Name)
	assert.Equal(t, map[string]int{"create": 1}, preview.Changes)
	assert.NoDirExists(t, filepath.Join(b.dir, ".dbtier", "state"))
}

func TestFaultsAreToldOnceAndFailTheCommand(t *testing.T) {
	b := newBench(t)
	b.happensIn("up", `{"diagnosticEvent":{"severity":"error","message":"first\nsecond"}}`+"\n"+created)
	b.says(exitFailed, "error: first\n    second\n", "up", "--stack", "prod", "--yes")
	assert.Equal(t, 1, strings.Count(b.stderr.String()+b.stdout.String(), "first"))
	assert.Contains(t, b.stdout.String(), "done until then: 1 created")
}

func TestACancelledCommandSaysSo(t *testing.T) {
	b := newBench(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	assert.Equal(t, exitCancelled, b.app.run(ctx, []string{"up", "--stack", "prod", "--yes"}))
	assert.Contains(t, b.stderr.String(), "run the same command again to go on")
}

func TestKubectlIsTheCloudsOwnWithEveryArgument(t *testing.T) {
	b := newBench(t)
	b.cloudRuns("cloud.json")
	t.Setenv("KUBECONFIG", "/home/me/.kube/config")
	for _, args := range [][]string{
		{"local", "kubectl", "get", "pods", "-A"},
		{"local", "kubectl", "--", "get", "pods", "-A"},
	} {
		b.replaced = nil
		require.Zero(t, b.run(args...), b.stderr.String())
		kubernetes := filepath.Join(b.dir, ".localcloud", "cache", "bin", "kubernetes")
		assert.Equal(t, []string{kubernetes, kubernetes, "kubectl", "get", "pods", "-A"}, b.replaced[0])
		assert.Contains(t, b.replaced[1], "KUBECONFIG=/cluster/kubeconfig")
		assert.NotContains(t, b.replaced[1], "KUBECONFIG=/home/me/.kube/config")
	}
}

func TestTheAWSCLIRunsAgainstTheStandInWithNothingOfTheUsersOwn(t *testing.T) {
	b := newBench(t)
	b.cloudRuns("cloud.json")
	tools := t.TempDir()
	t.Setenv("PATH", tools)
	b.says(1, "apt-get install awscli", "local", "aws", "sts", "get-caller-identity")

	aws := filepath.Join(tools, "aws")
	require.NoError(t, os.WriteFile(aws, []byte("#!/bin/sh\n"), 0o700))
	t.Setenv("AWS_PROFILE", "production")
	t.Setenv("AWS_SESSION_TOKEN", "token")
	require.Zero(t, b.run("local", "aws", "--", "sts", "get-caller-identity"), b.stderr.String())
	assert.Equal(t, []string{aws, aws, "--endpoint-url", "http://127.0.0.1:14566", "sts", "get-caller-identity"},
		b.replaced[0])
	env := b.replaced[1]
	for _, want := range []string{
		"AWS_ACCESS_KEY_ID=AKIA", "AWS_SECRET_ACCESS_KEY=hush", "AWS_REGION=eu-west-1",
		"AWS_CONFIG_FILE=/dev/null",
	} {
		assert.Contains(t, env, want)
	}
	assert.False(t, slices.ContainsFunc(env, func(e string) bool {
		return strings.HasPrefix(e, "AWS_PROFILE=") || strings.HasPrefix(e, "AWS_SESSION_TOKEN=")
	}))
}

func TestLocalCommandsHandTheirFlagsToTheCloud(t *testing.T) {
	b := newBench(t)
	b.cloudScript(`exit 0`)
	for _, c := range []struct{ args, want string }{
		{"start", "start"},
		{"start --aws-port 1 --api-port 2", "start --api-port=2 --aws-port=1"},
		{"stop", "stop"},
		{"stop --purge", "stop --purge"},
		{"status", "status"},
		{"logs etcd -f", "logs etcd --follow"},
	} {
		require.Zero(t, b.run(append([]string{"local"}, strings.Fields(c.args)...)...), b.stderr.String())
		calls := b.cloudCalls()
		assert.Equal(t, c.want, calls[len(calls)-1])
	}
}

func TestVersionNamesThePinnedCLI(t *testing.T) {
	b := newBench(t)
	require.Zero(t, b.run("version", "--json"))
	assert.Equal(t, pulumicli.Version, b.answer().Versions["pulumi"])
}

func TestKubeconfigPrintsThePathAndOnRequestTheFile(t *testing.T) {
	b := newBench(t)
	b.cloudRuns("cloud.json")
	require.Zero(t, b.run("local", "kubeconfig"))
	assert.Equal(t, "/cluster/kubeconfig\n", b.stdout.String())
	b.says(1, "reading the kubeconfig", "local", "kubeconfig", "--show")
}

func TestPsqlNeedsNoStackWhereOnlyOneCanBeMeant(t *testing.T) {
	for name, c := range map[string]struct {
		stacks      []string
		want, fault string
	}{
		"the only one":  {stacks: []string{"orders"}, want: "orders"},
		"the usual one": {stacks: []string{"local", "orders"}, want: "local"},
		"several": {
			stacks: []string{"billing", "orders"},
			fault:  "add --stack <name> as the first argument; the stacks on the local cloud are billing, orders",
		},
		"none": {fault: "no stack on the local cloud"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for _, stack := range c.stacks {
				require.NoError(t, os.WriteFile(filepath.Join(dir, "Pulumi."+stack+".yaml"),
					[]byte("config: {'dbtier:cloud': local}\n"), 0o600))
			}
			stack, err := onlyLocal(&project.Project{Dir: dir})
			if c.fault != "" {
				require.ErrorContains(t, err, c.fault)
				return
			}
			require.NoError(t, err)
			assert.Equal(t, c.want, stack)
		})
	}
}
