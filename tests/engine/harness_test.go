package engine

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi/internals"
	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"

	"dbtier/components/fault"
	"dbtier/config"
	"dbtier/internal/driver"
	"dbtier/internal/terminal"
)

func TestMain(m *testing.M) {
	switch filepath.Base(os.Args[0]) {
	case "dbtier":
		terminal.Restore()
		os.Exit(driver.Main(program, nil))
	case "localcloud":
		os.Exit(playLocalCloud(os.Args[1:]))
	case "pulumi-resource-aws":
		os.Exit(playPlugin())
	case "policy-pack":
		os.Exit(playPolicyPack())
	}
	os.Exit(m.Run())
}

// declared is a resource of a stack's config.
type declared struct {
	Type, Name string
	Props      map[string]any `yaml:",omitempty"`
	// Secrets are secret properties with the environment variables that have their values.
	Secrets map[string]string `yaml:",omitempty"`
	// After are the names of resources that it depends on.
	After           []string `yaml:",omitempty"`
	Protect, Retain bool     `yaml:",omitempty"`
	// Await makes the program end with the resource's error, as a program does that needs its outputs.
	Await bool `yaml:",omitempty"`
	// Component is the type of the tier's component that it is in, such as RdsPostgres.
	Component string `yaml:",omitempty"`
}

// program declares the resources of the config key dbtier:resources, and a role named by dbtier:environment. A resource
// of type fault is an error of the config.
func program(ctx *pulumi.Context) error {
	text, _ := ctx.GetConfig("dbtier:resources")
	var list []struct {
		Type, Name      string
		Props           map[string]any
		Secrets         map[string]string
		After           []string
		Protect, Retain bool
		Await           bool
		Component       string
	}
	if name, given := ctx.GetConfig("dbtier:environment"); given {
		named := &pulumi.CustomResourceState{}
		err := ctx.RegisterResource("aws:iam/role:Role", name, pulumi.Map{"name": pulumi.String(name)}, named)
		if err != nil {
			return err
		}
	}
	if err := json.Unmarshal([]byte(text), &list); err != nil {
		return fmt.Errorf("dbtier:resources: %w", err)
	}
	made := map[string]pulumi.Resource{}
	for _, r := range list {
		if r.Type == "fault" {
			return &config.InvalidError{
				File: "Pulumi.local.yaml", Faults: []fault.Fault{{Path: "resources", Reason: "a fault of the config"}},
			}
		}
		props := pulumi.Map{}
		for key, value := range r.Props {
			props[key] = pulumi.Any(value)
		}
		for key, variable := range r.Secrets {
			props[key] = pulumi.ToSecret(os.Getenv(variable))
		}
		var after []pulumi.Resource
		for _, name := range r.After {
			after = append(after, made[name])
		}
		var parent pulumi.Resource
		if r.Component != "" {
			component := &pulumi.ResourceState{}
			err := ctx.RegisterComponentResource("dbtier:components:"+r.Component, "of-"+r.Name, component)
			if err != nil {
				return err
			}
			parent = component
		}
		resource := &pulumi.CustomResourceState{}
		err := ctx.RegisterResource(r.Type, r.Name, props, resource, pulumi.DependsOn(after), pulumi.Protect(r.Protect),
			pulumi.RetainOnDelete(r.Retain), pulumi.Parent(parent))
		if err != nil {
			return err
		}
		if made[r.Name] = resource; r.Await {
			if _, err := internals.UnsafeAwaitOutput(ctx.Context(), resource.URN()); err != nil {
				return fmt.Errorf("%s: %w", r.Name, err)
			}
		}
	}
	ctx.Export("connectionsPlanned", pulumi.Int(86))
	ctx.Export("connectionsLimit", pulumi.Int(327))
	return nil
}

// site is a project with a stack local, the driver's binaries, and the folder that plays the cloud.
type site struct {
	t                     *testing.T
	dir, bin, world, home string
	env                   []string
}

// pulumiCLI returns the pinned CLI of `make build`.
func pulumiCLI(t *testing.T) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("..", "..", "bin", "pulumi"))
	require.NoError(t, err)
	_, err = os.Stat(path)
	require.NoError(t, err, "the tests need the Pulumi CLI: run `make build`")
	return path
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{t: t, dir: t.TempDir(), bin: t.TempDir(), world: t.TempDir(), home: t.TempDir()}
	exe, err := os.Executable()
	require.NoError(t, err)
	for _, name := range []string{"dbtier", "localcloud"} {
		s.install(exe, filepath.Join(s.bin, name))
	}
	// The plugin for stacks that are not on the local cloud.
	s.install(exe, filepath.Join(s.home, ".pulumi", "plugins", "resource-aws-v1.0.0", "pulumi-resource-aws"))
	require.NoError(t, os.Symlink(pulumiCLI(t), filepath.Join(s.bin, "pulumi")))
	s.file("Pulumi.yaml", "name: dbtier\nruntime: go\n")
	s.env = append(os.Environ(), folder+"="+s.world, "HOME="+s.home, "PULUMI_CONFIG_PASSPHRASE=not the state's",
		"CI=true", "GITHUB_STEP_SUMMARY=",
		"PULUMI_HOME=", "PULUMI_BACKEND_URL=")
	s.cloudRuns()
	return s
}

// install puts the test binary at the path.
func (s *site) install(exe, path string) {
	s.t.Helper()
	require.NoError(s.t, os.MkdirAll(filepath.Dir(path), 0o700))
	if os.Link(exe, path) == nil {
		return
	}
	content, err := os.ReadFile(exe)
	require.NoError(s.t, err)
	require.NoError(s.t, os.WriteFile(path, content, 0o700))
}

func (s *site) file(name, text string) {
	s.t.Helper()
	require.NoError(s.t, os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o600))
}

// stack writes the config of a stack on the local cloud.
func (s *site) stack(name string, resources ...declared) {
	s.t.Helper()
	s.configure(name, "local", resources, nil)
}

func (s *site) configure(name, cloud string, resources []declared, more map[string]any) {
	s.t.Helper()
	settings := map[string]any{"dbtier:cloud": cloud, "dbtier:resources": resources}
	for key, value := range more {
		settings[key] = value
	}
	if len(resources) == 0 {
		settings["dbtier:resources"] = []any{}
	}
	text, err := yaml.Marshal(map[string]any{"config": settings})
	require.NoError(s.t, err)
	s.file("Pulumi."+name+".yaml", string(text))
}

// cloudRuns makes the local cloud look as if it were running.
func (s *site) cloudRuns() {
	s.t.Helper()
	// The path of a socket must be short, so it is not in the test's folder.
	dir, err := os.MkdirTemp("", "lc")
	require.NoError(s.t, err)
	s.t.Cleanup(func() { os.RemoveAll(dir) })
	listener, err := (&net.ListenConfig{}).Listen(s.t.Context(), "unix", filepath.Join(dir, "control.sock"))
	require.NoError(s.t, err)
	server := &http.Server{
		ReadHeaderTimeout: time.Minute,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, `{"phase":"ready"}`)
		}),
	}
	go func() { _ = server.Serve(listener) }()
	s.t.Cleanup(func() { server.Close() })
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", os.Getpid()))
	require.NoError(s.t, err)
	_, rest, _ := strings.Cut(string(stat), ") ")
	state := filepath.Join(s.dir, ".localcloud", "state")
	require.NoError(s.t, os.MkdirAll(filepath.Join(state, "pulumi"), 0o700))
	text := fmt.Sprintf(
		`{"pid":%d,"startTime":%s,"runDir":%q,"awsEndpoint":"http://127.0.0.1:14566","kubeconfig":"/none"}`,
		os.Getpid(), strings.Fields(rest)[19], dir)
	require.NoError(s.t, os.WriteFile(filepath.Join(state, "cloud.json"), []byte(text), 0o600))
}

// result is the result of a run of the driver.
type result struct {
	stdout, stderr string
	code           int
}

func (r result) String() string {
	return fmt.Sprintf("exit %d\n--- stdout\n%s\n--- stderr\n%s", r.code, r.stdout, r.stderr)
}

func (s *site) command(args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(s.bin, "dbtier"), args...)
	cmd.Dir, cmd.Env = s.dir, s.env
	return cmd
}

func (s *site) run(args ...string) result {
	s.t.Helper()
	cmd := s.command(args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	r := result{stdout: stdout.String(), stderr: stderr.String()}
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		r.code = exit.ExitCode()
	} else {
		require.NoError(s.t, err)
	}
	return r
}

// must runs the driver and asserts its exit code.
func (s *site) must(code int, args ...string) result {
	s.t.Helper()
	r := s.run(args...)
	require.Equal(s.t, code, r.code, "dbtier %s: %s", strings.Join(args, " "), r)
	return r
}

// operations returns what the provider did since the last call, as "create a".
func (s *site) operations() []string {
	s.t.Helper()
	log := filepath.Join(s.world, "log")
	text, err := os.ReadFile(log)
	if os.IsNotExist(err) {
		return nil
	}
	require.NoError(s.t, err)
	require.NoError(s.t, os.Remove(log))
	return strings.Split(strings.TrimSpace(string(text)), "\n")
}

// there returns the ids of the resources that exist.
func (s *site) there() []string {
	s.t.Helper()
	files, err := filepath.Glob(filepath.Join(s.world, "*.json"))
	require.NoError(s.t, err)
	ids := make([]string, 0, len(files))
	for _, file := range files {
		ids = append(ids, strings.TrimSuffix(filepath.Base(file), ".json"))
	}
	return ids
}

// change changes a property of a resource by hand.
func (s *site) change(id, key string, value any) {
	s.t.Helper()
	file := filepath.Join(s.world, id+".json")
	text, err := os.ReadFile(file)
	require.NoError(s.t, err)
	var content map[string]any
	require.NoError(s.t, json.Unmarshal(text, &content))
	content[key] = value
	text, err = json.Marshal(content)
	require.NoError(s.t, err)
	require.NoError(s.t, os.WriteFile(file, text, 0o600))
}

func decode(t *testing.T, r result, into any) {
	t.Helper()
	require.NoError(t, json.Unmarshal([]byte(r.stdout), into), "%s", r)
}

func instance(name string, props map[string]any) declared {
	return declared{Type: "aws:rds/instance:Instance", Name: name, Props: props}
}

func role(name string, props map[string]any) declared {
	return declared{Type: "aws:iam/role:Role", Name: name, Props: props}
}

type props = map[string]any
