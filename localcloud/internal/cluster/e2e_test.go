//go:build e2e && linux

package cluster_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"dbtier/localcloud/internal/cluster"
)

const limit = 2 * time.Minute

// cloud is a local cloud of a separate project on separate ports, so that it does not disturb other clouds. It uses the
// build results in this project's cache.
type cloud struct {
	t       *testing.T
	binary  string
	project cluster.Project
	ports   []string
}

func newCloud(t *testing.T) *cloud {
	t.Helper()
	source, err := filepath.Abs("../../..")
	require.NoError(t, err)
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "Pulumi.yaml"), []byte("name: e2e\n"), 0o600))
	cache := filepath.Join(source, ".localcloud", "cache")
	require.NoError(t, os.MkdirAll(cache, 0o755))
	require.NoError(t, os.Mkdir(filepath.Join(dir, ".localcloud"), 0o755))
	require.NoError(t, os.Symlink(cache, filepath.Join(dir, ".localcloud", "cache")))
	project, err := cluster.FindProject(dir)
	require.NoError(t, err)
	c := &cloud{t: t, project: project, binary: program(t)}
	c.ports = []string{"--api-port", strconv.Itoa(freePort(t)), "--aws-port", strconv.Itoa(freePort(t))}
	t.Cleanup(func() { _, _ = c.try("stop") })
	return c
}

var built struct {
	once sync.Once
	path string
}

// program builds localcloud from the current sources, once for all tests.
func program(t *testing.T) string {
	t.Helper()
	built.once.Do(func() {
		built.path = filepath.Join(binaries, "localcloud")
		run(t, "go", "build", "-buildvcs=false", "-ldflags", "-s -w", "-o", built.path, ".")
	})
	return built.path
}

// binaries is a folder that exists until all tests have ended.
var binaries string

func TestMain(m *testing.M) {
	var err error
	if binaries, err = os.MkdirTemp("", "localcloud-e2e-"); err != nil {
		panic(err)
	}
	code := m.Run()
	_ = os.RemoveAll(binaries)
	os.Exit(code)
}

func run(t *testing.T, name string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = "../.."
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
}

func freePort(t *testing.T) int {
	t.Helper()
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port
}

func (c *cloud) try(args ...string) (string, error) {
	cmd := exec.CommandContext(context.Background(), c.binary, append(args, "--dir", c.project.Dir)...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// kill ends the cloud by SIGKILL, waits until it is gone, and returns what status then prints.
func (c *cloud) kill() (status string) {
	c.t.Helper()
	require.NoError(c.t, syscall.Kill(c.file().PID, syscall.SIGKILL))
	require.Eventually(c.t, func() bool {
		var err error
		status, err = c.try("status")
		return err != nil
	}, 30*time.Second, 50*time.Millisecond)
	return status
}

func (c *cloud) start() string {
	c.t.Helper()
	out, err := c.try(append([]string{"start"}, c.ports...)...)
	if err != nil {
		logs, _ := c.try("logs")
		c.t.Fatalf("start: %v\n%s\n%s", err, out, logs)
	}
	c.t.Log(out)
	return out
}

func (c *cloud) stop(args ...string) string {
	c.t.Helper()
	out, err := c.try(append([]string{"stop"}, args...)...)
	require.NoError(c.t, err, out)
	c.t.Log(out)
	return out
}

func (c *cloud) status() cluster.Status {
	c.t.Helper()
	out, err := c.try("status", "--json")
	require.NoError(c.t, err, out)
	var report struct{ Status cluster.Status }
	require.NoError(c.t, json.Unmarshal([]byte(out), &report))
	return report.Status
}

func (c *cloud) file() cluster.Cloud {
	c.t.Helper()
	text, err := os.ReadFile(c.project.State("cloud.json"))
	require.NoError(c.t, err)
	var file cluster.Cloud
	require.NoError(c.t, json.Unmarshal(text, &file))
	return file
}

func (c *cloud) client() kubernetes.Interface {
	c.t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", c.project.Kubeconfig())
	require.NoError(c.t, err)
	client, err := kubernetes.NewForConfig(config)
	require.NoError(c.t, err)
	return client
}

func wait(t *testing.T, what string, is func() bool) {
	t.Helper()
	require.Eventually(t, is, limit, 100*time.Millisecond, what)
}

const (
	debian = "localcloud.internal/pgbouncer:1.24.1-1_deb13u2"
	web    = "localcloud.internal/coredns:1.12.4"
)

// serve runs a web server behind a Service. It uses the CoreDNS image, which is available, because its ready plugin
// answers HTTP.
func (c *cloud) serve() {
	c.t.Helper()
	ctx, client := c.t.Context(), c.client()
	labels := map[string]string{"app": "server"}
	_, err := client.CoreV1().ConfigMaps("default").Create(ctx, &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Name: "server"},
		Data:       map[string]string{"Corefile": ".:5353 {\n  ready :8181\n}\n"},
	}, metav1.CreateOptions{})
	require.NoError(c.t, err)
	replicas := int32(2)
	_, err = client.AppsV1().Deployments("default").Create(ctx, &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: "server"},
		Spec: appsv1.DeploymentSpec{
			Replicas: &replicas, Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec: corev1.PodSpec{
					Containers: []corev1.Container{{
						Name: "server", Image: web, Args: []string{"-conf", "/etc/server/Corefile"},
						Ports: []corev1.ContainerPort{{Name: "web", ContainerPort: 8181}},
						ReadinessProbe: &corev1.Probe{PeriodSeconds: 1, ProbeHandler: corev1.ProbeHandler{
							HTTPGet: &corev1.HTTPGetAction{Path: "/ready", Port: intstr.FromString("web")},
						}},
						VolumeMounts: []corev1.VolumeMount{{Name: "config", MountPath: "/etc/server"}},
					}},
					Volumes: []corev1.Volume{{
						Name: "config",
						VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{
							LocalObjectReference: corev1.LocalObjectReference{Name: "server"},
						}},
					}},
				},
			},
		},
	}, metav1.CreateOptions{})
	require.NoError(c.t, err)
	_, err = client.CoreV1().Services("default").Create(ctx, &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: "server"},
		Spec: corev1.ServiceSpec{
			Selector: labels,
			Ports:    []corev1.ServicePort{{Port: 80, TargetPort: intstr.FromString("web")}},
		},
	}, metav1.CreateOptions{})
	require.NoError(c.t, err)
	c.waitServer()
}

func (c *cloud) waitServer() {
	c.t.Helper()
	client := c.client()
	wait(c.t, "the server is available", func() bool {
		d, err := client.AppsV1().Deployments("default").Get(c.t.Context(), "server", metav1.GetOptions{})
		return err == nil && d.Status.AvailableReplicas == 2
	})
}

// script runs a script in a pod until it ends, and returns its exit code and output.
func (c *cloud) script(name, script string) (code int32, output string) {
	c.t.Helper()
	ctx, client := c.t.Context(), c.client()
	_, err := client.CoreV1().Pods("default").Create(ctx, &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"app": name}},
		Spec: corev1.PodSpec{
			RestartPolicy: corev1.RestartPolicyNever,
			Containers:    []corev1.Container{{Name: "script", Image: debian, Command: []string{"bash", "-c", script}}},
		},
	}, metav1.CreateOptions{})
	require.NoError(c.t, err)
	wait(c.t, "pod "+name+" ends", func() bool {
		pod, err := client.CoreV1().Pods("default").Get(ctx, name, metav1.GetOptions{})
		if err != nil || len(pod.Status.ContainerStatuses) == 0 ||
			pod.Status.ContainerStatuses[0].State.Terminated == nil {
			return false
		}
		code = pod.Status.ContainerStatuses[0].State.Terminated.ExitCode
		return true
	})
	// The API server fetches the log from the kubelet.
	log, err := client.CoreV1().Pods("default").GetLogs(name, &corev1.PodLogOptions{}).DoRaw(ctx)
	require.NoError(c.t, err)
	zero := int64(0)
	require.NoError(c.t, client.CoreV1().Pods("default").Delete(ctx, name,
		metav1.DeleteOptions{GracePeriodSeconds: &zero}))
	wait(c.t, "pod "+name+" is gone", func() bool {
		_, err := client.CoreV1().Pods("default").Get(ctx, name, metav1.GetOptions{})
		return apierrors.IsNotFound(err)
	})
	return code, string(log)
}

const fetch = `timeout %d bash -c 'exec 3<>/dev/tcp/server.default.svc.cluster.local/80; printf "GET /ready HTTP/1.0\r\n\r\n" >&3; cat <&3'`

// reach fetches a page through DNS, a Service and a pod.
func (c *cloud) reach(name string) {
	c.t.Helper()
	code, output := c.script(name, fmt.Sprintf(fetch, 20))
	require.Zero(c.t, code, output)
	require.Contains(c.t, output, "200 OK")
}

func TestALocalCloudWorksAndLeavesNothing(t *testing.T) {
	c := newCloud(t)
	before := look(t, c.project)
	out := c.start()
	assert.Contains(t, out, "local cloud ready in")
	assert.Contains(t, c.start(), "already running", "a second start finds it")

	c.serve()
	c.reach("first")

	t.Run("a name that does not exist fails at once", func(t *testing.T) {
		began := time.Now()
		code, _ := c.script("nowhere", "getent hosts nobody.example")
		assert.Equal(t, int32(2), code)
		assert.Less(t, time.Since(began), 20*time.Second)
	})
	t.Run("the AWS stand-in answers inside by its name and on the host", func(t *testing.T) {
		code, output := c.script("aws",
			`exec 3<>/dev/tcp/aws.localcloud.internal/4566; printf 'GET / HTTP/1.0\r\n\r\n' >&3; cat <&3`)
		assert.Zero(t, code, output)
		assert.Contains(t, output, "MissingAuthenticationToken")
	})
	t.Run("network policies are enforced", func(t *testing.T) {
		ctx, policies := t.Context(), c.client().NetworkingV1().NetworkPolicies("default")
		web := intstr.FromString("web")
		_, err := policies.Create(ctx, &networkingv1.NetworkPolicy{
			ObjectMeta: metav1.ObjectMeta{Name: "server"},
			Spec: networkingv1.NetworkPolicySpec{
				PodSelector: metav1.LabelSelector{MatchLabels: map[string]string{"app": "server"}},
				PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeIngress},
				Ingress: []networkingv1.NetworkPolicyIngressRule{{
					From: []networkingv1.NetworkPolicyPeer{
						{PodSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "friend"}}},
					},
					Ports: []networkingv1.NetworkPolicyPort{{Port: &web}},
				}},
			},
		}, metav1.CreateOptions{})
		require.NoError(t, err)
		code, output := c.script("stranger", fmt.Sprintf(fetch, 3))
		assert.Equal(t, int32(124), code, "a client that is not allowed gets no answer: %s", output)
		c.reach("friend")
		pods, err := c.client().CoreV1().Pods("default").List(ctx, metav1.ListOptions{LabelSelector: "app=server"})
		require.NoError(t, err)
		for _, pod := range pods.Items {
			assert.True(t, slices.ContainsFunc(pod.Status.Conditions, func(condition corev1.PodCondition) bool {
				return condition.Type == corev1.PodReady && condition.Status == corev1.ConditionTrue
			}), "the kubelet's probes pass")
		}
		require.NoError(t, policies.Delete(ctx, "server", metav1.DeleteOptions{}))
		c.reach("stranger")
	})
	t.Run("a component that dies is started again", func(t *testing.T) {
		// The process ID on the host differs from the one inside, so the process is found by its command line.
		pid := find(t, c.project, "kube-scheduler")
		require.NoError(t, syscall.Kill(pid, syscall.SIGKILL))
		wait(t, "restarted", func() bool {
			i := slices.IndexFunc(c.status().Components,
				func(s cluster.ComponentStatus) bool { return s.Name == "kube-scheduler" })
			return c.status().Components[i].Restarts == 1 && c.status().Components[i].PID != 0
		})
		c.reach("second")
		logs, err := c.try("logs")
		require.NoError(t, err)
		assert.Contains(t, logs, "component=kube-scheduler")
	})
	t.Run("an API server that does not answer stays silent until the fault ends", func(t *testing.T) {
		must := func(args ...string) (out string) {
			t.Helper()
			out, err := c.try(args...)
			require.NoError(t, err, out)
			return out
		}
		ask := func() error {
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			defer cancel()
			_, err := c.client().CoreV1().Namespaces().Get(ctx, "default", metav1.GetOptions{})
			return err
		}
		must("fault", "api-server")
		must("fault", "network")
		require.ErrorIs(t, ask(), context.DeadlineExceeded, "no answer, and no refusal")
		restarts := func() (times int, frozen bool) {
			for _, s := range c.status().Components {
				if s.Name == "kube-apiserver" {
					times, frozen = s.Restarts, s.Frozen && s.PID != 0
				}
			}
			return times, frozen
		}
		before, _ := restarts()
		require.NoError(t, syscall.Kill(find(t, c.project, "kube-apiserver"), syscall.SIGKILL))
		wait(t, "was started again, and is frozen", func() bool {
			times, frozen := restarts()
			return times == before+1 && frozen
		})
		assert.Equal(t, []cluster.Fault{{Kind: "api-server"}, {Kind: "network"}}, c.status().Faults)
		assert.Contains(t, must("status"), "fault       api-server, until `dbtier local fault end`\n")
		must("fault", "end")
		wait(t, "answers again", func() bool { return ask() == nil })
		c.waitServer()
		c.reach("answered")
		assert.Empty(t, c.status().Faults)
		// A fault ends with the cloud, and does not delay its end.
		must("fault", "api-server")
		c.stop()
		c.start()
		assert.Empty(t, c.status().Faults)
		c.waitServer()
		c.reach("after")
	})
	t.Run("no orphan stays a zombie", func(t *testing.T) {
		wait(t, "reaped", func() bool { return len(zombies(t, c.project)) == 0 })
	})
	t.Run("state survives a stop", func(t *testing.T) {
		assert.Contains(t, c.stop(), "stopped in")
		assertSame(t, c.project, before)
		c.start()
		c.waitServer()
		c.reach("third")
	})
	t.Run("kill -9 does not disturb the next start", func(t *testing.T) {
		assert.Contains(t, c.kill(), "is not running")
		c.start()
		c.waitServer()
		c.reach("fourth")
	})
	t.Run("another project cannot have its ports, and says so before it builds", func(t *testing.T) {
		other := t.TempDir()
		out, err := exec.CommandContext(t.Context(), c.binary,
			append([]string{"start", "--dir", other}, c.ports...)...).CombinedOutput()
		require.Error(t, err)
		const taken = "port %s of 127.0.0.1 is in use by the local cloud of %s: stop it with `dbtier local stop` in that " +
			"folder, or choose another with %s\n"
		assert.Equal(t, fmt.Sprintf("localcloud: "+taken+"  "+taken, c.ports[1], c.project.Dir, "--api-port", c.ports[3],
			c.project.Dir, "--aws-port"), string(out))
	})
	t.Run("stop after kill -9 cleans up", func(t *testing.T) {
		c.kill()
		assert.Contains(t, c.stop("--purge"), "is not running")
		assertSame(t, c.project, before)
		assert.NoDirExists(t, c.project.State())
	})
}

func TestATakenPortIsSaidInOneSentenceAndNothingIsHalfDone(t *testing.T) {
	c := newCloud(t)
	before := look(t, c.project)
	listener, err := net.Listen("tcp4", "127.0.0.1:"+c.ports[3])
	require.NoError(t, err)
	defer listener.Close()
	out, err := c.try(append([]string{"start"}, c.ports...)...)
	var exit *exec.ExitError
	require.ErrorAs(t, err, &exit)
	assert.Equal(t, 1, exit.ExitCode())
	assert.Contains(t, out, "localcloud: port "+c.ports[3]+" of 127.0.0.1 is in use by cluster.test (process")
	assert.Contains(t, out, "choose another with --aws-port")
	assertSame(t, c.project, before)
}

func TestTooLittleDiskIsSaidInOneSentence(t *testing.T) {
	c := newCloud(t)
	small := t.TempDir()
	require.NoError(t, syscall.Mount("tmpfs", small, "tmpfs", 0, "size=64m"))
	defer func() { require.NoError(t, syscall.Unmount(small, 0)) }()
	run(t, "cp", "-a", c.project.Dir+"/.", small)
	out, err := exec.CommandContext(t.Context(), c.binary,
		append([]string{"start", "--dir", small}, c.ports...)...).CombinedOutput()
	require.Error(t, err)
	assert.Equal(t,
		fmt.Sprintf("localcloud: not enough disk space: %s has 0.1 GiB free and the local cloud needs 2 GiB: "+
			"free some space, or move the project to a larger disk\n", small), string(out))
	assert.NoDirExists(t, filepath.Join(small, ".localcloud", "state"))
}

func TestWithoutRootNothingStarts(t *testing.T) {
	c := newCloud(t)
	require.NoError(t, os.Chmod(binaries, 0o755))
	cmd := exec.CommandContext(t.Context(), c.binary, "start", "--dir", os.TempDir())
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := cmd.CombinedOutput()
	require.Error(t, err)
	assert.Equal(t, "localcloud: the local cloud needs root (namespaces, mounts) and this is user 65534: "+
		"run it again as root, for example with sudo\n", string(out))
}
