//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	namespace = "myshop"
	service   = "myshop-api"
	pool      = "pgbouncer"
)

// root is the project folder: the nearest parent with a Pulumi.yaml.
var root = func() string {
	dir, err := os.Getwd()
	if err != nil {
		panic(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "Pulumi.yaml")); err == nil {
			return dir
		}
		if dir == filepath.Dir(dir) {
			panic("no Pulumi.yaml in any parent folder: run the tests inside the project")
		}
		dir = filepath.Dir(dir)
	}
}()

// result is the output and exit code of a command.
type result struct {
	stdout, stderr string
	code           int
	took           time.Duration
}

func (r result) String() string {
	return fmt.Sprintf("exit %d after %s\n--- stdout\n%s\n--- stderr\n%s", r.code, r.took.Round(time.Millisecond),
		r.stdout, r.stderr)
}

// all returns both outputs, for tests that only search for text.
func (r result) all() string { return r.stdout + r.stderr }

// command starts programs with a deadline, an input and an environment.
type command struct {
	timeout time.Duration
	stdin   string
	env     []string
	dir     string
	attr    *syscall.SysProcAttr
}

func (c command) run(t *testing.T, name string, args ...string) result {
	t.Helper()
	if c.timeout == 0 {
		c.timeout = 5 * time.Minute
	}
	ctx, cancel := context.WithTimeout(context.Background(), c.timeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = root
	if c.dir != "" {
		cmd.Dir = c.dir
	}
	cmd.Env = append(os.Environ(), c.env...)
	cmd.Stdin = strings.NewReader(c.stdin)
	cmd.SysProcAttr = c.attr
	cmd.WaitDelay = 5 * time.Second
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	start := time.Now()
	err := cmd.Run()
	r := result{stdout: stdout.String(), stderr: stderr.String(), took: time.Since(start)}
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		t.Fatalf("%s %s did not end within %s\n%s", name, strings.Join(args, " "), c.timeout, r)
	case errors.As(err, &exit):
		r.code = exit.ExitCode()
	case err != nil:
		t.Fatalf("starting %s: %v", name, err)
	}
	return r
}

// withConfig runs programs in a separate mount namespace, in which they see copies of the stacks' config files.
// Replacements apply to the local stack's file. The checkout stays unchanged, whatever the programs write and however
// the test ends.
func withConfig(t *testing.T, oldnew ...string) wrapped {
	t.Helper()
	dir := t.TempDir()
	w := wrapped{
		"unshare", "--mount", "sh", "-ec",
		`while [ "$1" != -- ]; do mount --bind "$1" "$2"; shift 2; done; shift; exec "$@"`, "sh",
	}
	for _, stack := range []string{"local", "prod"} {
		file := filepath.Join(root, "Pulumi."+stack+".yaml")
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		if stack == "local" {
			for i := 0; i < len(oldnew); i += 2 {
				require.Contains(t, string(text), oldnew[i], "%s", file)
			}
			text = []byte(strings.NewReplacer(oldnew...).Replace(string(text)))
		}
		other := filepath.Join(dir, filepath.Base(file))
		require.NoError(t, os.WriteFile(other, text, 0o644))
		w = append(w, other, file)
	}
	return append(w, "--")
}

// wrapped is a program with arguments that runs another program.
type wrapped []string

func (w wrapped) run(t *testing.T, args ...string) result {
	t.Helper()
	return w.runWith(t, nil, args...)
}

func (w wrapped) runWith(t *testing.T, env []string, args ...string) result {
	t.Helper()
	return command{timeout: 10 * time.Minute, env: env}.run(t, w[0], append(w[1:len(w):len(w)], args...)...)
}

// verifies waits until verify passes all checks of the stack local. After the instance was replaced, the pool's pods
// must first read their new files and end their old connections. A pod that hangs is restarted within three minutes.
func verifies(t *testing.T, by wrapped) {
	t.Helper()
	began := time.Now()
	eventually(t, 5*time.Minute, "all checks to pass", func() (bool, string) {
		r := by.run(t, "bin/dbtier", "verify", "--stack", "local")
		return r.code == 0, r.all()
	})
	if took := time.Since(began); took > time.Minute {
		t.Logf("verify passed after %s; the pool: %s", took.Round(time.Second), poolProcesses(t))
	}
}

// dbtier runs the driver and returns its result, successful or not.
func dbtier(t *testing.T, args ...string) result {
	t.Helper()
	return command{timeout: 10 * time.Minute}.run(t, filepath.Join(root, "bin", "dbtier"), args...)
}

// mustDbtier runs the driver and fails the test if it does not succeed.
func mustDbtier(t *testing.T, args ...string) result {
	t.Helper()
	r := dbtier(t, args...)
	require.Zero(t, r.code, "dbtier %s: %s", strings.Join(args, " "), r)
	return r
}

// kubectl runs the cluster's kubectl and fails the test if it does not succeed.
func kubectl(t *testing.T, args ...string) string {
	t.Helper()
	return mustDbtier(t, append([]string{"local", "kubectl", "--"}, args...)...).stdout
}

// tryKubectl runs kubectl with an input and returns its result.
func tryKubectl(t *testing.T, stdin string, args ...string) result {
	t.Helper()
	return command{stdin: stdin}.run(t, filepath.Join(root, "bin", "dbtier"),
		append([]string{"local", "kubectl", "--"}, args...)...)
}

// apply creates the objects of a manifest and deletes them when the test ends.
func apply(t *testing.T, manifest string) {
	t.Helper()
	r := tryKubectl(t, manifest, "apply", "-f", "-")
	require.Zero(t, r.code, "%s", r)
	t.Cleanup(func() {
		tryKubectl(t, manifest, "delete", "--ignore-not-found", "--wait=true", "--timeout=60s", "-f", "-")
	})
}

// servicePod returns the name of a running pod of the example service.
func servicePod(t *testing.T) string {
	t.Helper()
	out := kubectl(t, "-n", namespace, "get", "pods", "--field-selector=status.phase=Running", "-o",
		`jsonpath={range .items[*]}{.metadata.name}{"\t"}{.spec.containers[0].name}{"\t"}{.metadata.deletionTimestamp}{"\n"}{end}`)
	for line := range strings.Lines(out) {
		fields := strings.Split(strings.TrimRight(line, "\n"), "\t")
		if len(fields) == 3 && strings.HasPrefix(fields[0], service+"-") && fields[2] == "" {
			return fields[0]
		}
	}
	t.Fatalf("no running pod of %s in namespace %s:\n%s", service, namespace, out)
	return ""
}

// podLikeTheServices creates a pod with the settings of the service's pods, which a new revision of the service does not
// replace. Its container only sleeps, so it is never ready and gets no requests.
func podLikeTheServices(t *testing.T, name string) string {
	t.Helper()
	var deployment struct {
		Spec struct {
			Template struct {
				Metadata struct{ Labels map[string]string }
				Spec     map[string]any
			}
		}
	}
	decode(t, kubectl(t, "-n", namespace, "get", "deployment", service, "-o", "json"), &deployment)
	template := deployment.Spec.Template
	container := template.Spec["containers"].([]any)[0].(map[string]any)
	container["command"], container["args"] = []string{"sleep", "900"}, nil
	for _, key := range []string{"livenessProbe", "startupProbe", "lifecycle"} {
		delete(container, key)
	}
	template.Spec["terminationGracePeriodSeconds"] = 0
	apply(t, encode(t, map[string]any{
		"apiVersion": "v1", "kind": "Pod", "spec": template.Spec,
		"metadata": map[string]any{"name": name, "namespace": namespace, "labels": template.Metadata.Labels},
	}))
	eventually(t, time.Minute, "the pod "+name, func() (bool, string) {
		r := tryKubectl(t, "", "-n", namespace, "get", "pod", name, "-o", "jsonpath={.status.phase}")
		return r.stdout == "Running", r.all()
	})
	return name
}

// inServicePod runs a shell script in a pod of the example service, where DATABASE_URL is set.
func inServicePod(t *testing.T, script string) result {
	t.Helper()
	return tryKubectl(t, "", "-n", namespace, "exec", servicePod(t), "-c", service, "--", "bash", "-ec", script)
}

// throughEachPoolPod runs a query with the service's DATABASE_URL through every pod of the pool, because each pod's
// kubelet updates its files at a different time. It stops at the first failure and returns one line for each pod.
func throughEachPoolPod(t *testing.T, sql string) result {
	t.Helper()
	var addresses []string
	for _, pod := range poolPods(t) {
		addresses = append(addresses, pod.Status.PodIP)
	}
	return inServicePod(t, fmt.Sprintf(`for at in %s; do psql "$DATABASE_URL&hostaddr=$at&port=6432" -XAtc %q; done`,
		strings.Join(addresses, " "), sql))
}

type pod struct {
	Metadata struct{ Name, DeletionTimestamp string }
	Status   struct{ PodIP string }
}

// poolPods are the pods of the pool that run. A pod of an earlier rollout can still be there after its containers have
// ended, and one that is being deleted accepts no connection, while it waits for its clients.
func poolPods(t *testing.T) (pods []pod) {
	t.Helper()
	var list struct{ Items []pod }
	decode(t, kubectl(t, "-n", namespace, "get", "pods", "-l", "app.kubernetes.io/name="+pool,
		"--field-selector=status.phase=Running", "-o", "json"), &list)
	for _, p := range list.Items {
		if p.Metadata.DeletionTimestamp == "" {
			pods = append(pods, p)
		}
	}
	require.NotEmpty(t, pods)
	return pods
}

// secret reads one key of a Kubernetes Secret.
func secret(t *testing.T, ns, name, key string) string {
	t.Helper()
	var s struct{ Data map[string][]byte }
	decode(t, kubectl(t, "-n", ns, "get", "secret", name, "-o", "json"), &s)
	require.Contains(t, s.Data, key, "keys of Secret %s/%s", ns, name)
	return string(s.Data[key])
}

func decode(t *testing.T, text string, into any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), into); err != nil {
		t.Fatalf("unexpected JSON: %v", err)
	}
}

// aws runs the AWS CLI against the stand-in as the local account's administrator.
func aws(t *testing.T, args ...string) result {
	t.Helper()
	return dbtier(t, append([]string{"local", "aws", "--"}, args...)...)
}

// outputs returns the stack's outputs.
func outputs(t *testing.T) map[string]any {
	t.Helper()
	var answer struct{ Outputs map[string]any }
	decode(t, mustDbtier(t, "outputs", "--stack", "local", "--json").stdout, &answer)
	return answer.Outputs
}

func output(t *testing.T, name string) string {
	t.Helper()
	value, ok := outputs(t)[name].(string)
	require.True(t, ok, "stack output %s is not a string", name)
	return value
}

// masterCredentials returns the database's master user and its current password in Secrets Manager.
func masterCredentials(t *testing.T) (user, password string) {
	t.Helper()
	r := aws(t, "secretsmanager", "get-secret-value", "--secret-id", output(t, "masterSecretArn"), "--query",
		"SecretString", "--output", "text")
	require.Zero(t, r.code, "the administrator reads the master secret: exit code")
	var s struct{ Username, Password string }
	decode(t, r.stdout, &s)
	return s.Username, s.Password
}

// eventually waits until the condition holds. If it does not in time, the test fails and names the condition.
func eventually(t *testing.T, within time.Duration, what string, holds func() (bool, string)) {
	t.Helper()
	deadline := time.Now().Add(within)
	var last string
	for {
		ok, seen := holds()
		if ok {
			return
		}
		last = seen
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %s; last seen: %s", what, within, last)
		}
		<-time.After(250 * time.Millisecond)
	}
}
