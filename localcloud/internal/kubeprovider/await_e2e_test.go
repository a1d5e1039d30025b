//go:build e2e

package kubeprovider_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/auto/optpreview"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"

	"dbtier/localcloud/internal/kubeprovider"
)

// playKubelet changes the status of a namespace's pods as a kubelet would, until the test ends. play returns whether it
// changed the pod.
func playKubelet(t *testing.T, b *bench, namespace string, play func(pod *corev1.Pod) bool) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	t.Cleanup(cancel)
	go func() {
		_ = wait.PollUntilContextCancel(ctx, 20*time.Millisecond, true, func(ctx context.Context) (bool, error) {
			pods, err := b.kube.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{})
			if err != nil {
				return false, nil //nolint:nilerr // The next attempt may work.
			}
			for i := range pods.Items {
				if play(&pods.Items[i]) {
					_, _ = b.kube.CoreV1().Pods(namespace).UpdateStatus(ctx, &pods.Items[i], metav1.UpdateOptions{})
				}
			}
			return false, nil
		})
	}()
}

// endsWith ends pending pods with the exit code of their image.
func endsWith(exit map[string]int32) func(*corev1.Pod) bool {
	return func(pod *corev1.Pod) bool {
		code, known := exit[pod.Spec.Containers[0].Image]
		if !known || pod.Status.Phase != corev1.PodPending {
			return false
		}
		phase, reason := corev1.PodSucceeded, "Completed"
		if code != 0 {
			phase, reason = corev1.PodFailed, "Error"
		}
		pod.Status.Phase = phase
		pod.Status.ContainerStatuses = []corev1.ContainerStatus{
			{Name: pod.Spec.Containers[0].Name, State: corev1.ContainerState{
				Terminated: &corev1.ContainerStateTerminated{ExitCode: code, Reason: reason},
			}},
		}
		return true
	}
}

// becomesReady sets pods to Running and Ready.
func becomesReady(pod *corev1.Pod) bool {
	if pod.Status.Phase == corev1.PodRunning {
		return false
	}
	pod.Status.Phase = corev1.PodRunning
	pod.Status.Conditions = []corev1.PodCondition{
		{Type: corev1.PodReady, Status: corev1.ConditionTrue, LastTransitionTime: metav1.Now()},
	}
	return true
}

func TestEngineJobs(t *testing.T) {
	b := newBench(t, kubeprovider.Options{})
	const namespace = "jobs"
	exit := map[string]int32{"app:good": 0, "app:bad": 3}
	playKubelet(t, b, namespace, endsWith(exit))
	job := func(image string) object {
		o := jobOf("migrate", namespace, image)
		o.inputs["metadata"].(map[string]any)["annotations"] = map[string]any{"pulumi.com/replaceUnready": "true"}
		return o
	}
	b.objects = []object{namespaceOf(namespace), job("app:good")}
	b.mustUp(t)
	first, err := b.kube.BatchV1().Jobs(namespace).Get(t.Context(), "migrate", metav1.GetOptions{})
	require.NoError(t, err)

	b.objects[1] = job("app:bad")
	output, _, err := b.up(t)
	require.Error(t, err)
	assert.Contains(t, output, "Job jobs/migrate failed: BackoffLimitExceeded")
	assert.Contains(t, output, "container migrate ended with exit code 3: Error")
	failed, err := b.kube.BatchV1().Jobs(namespace).Get(t.Context(), "migrate", metav1.GetOptions{})
	require.NoError(t, err)
	assert.NotEqual(t, first.UID, failed.UID, "a Job with another template is another Job")

	_, _, err = b.up(t)
	require.Error(t, err, "it fails again")
	again, err := b.kube.BatchV1().Jobs(namespace).Get(t.Context(), "migrate", metav1.GetOptions{})
	require.NoError(t, err)
	assert.NotEqual(t, failed.UID, again.UID, "an unchanged failed Job is tried again")

	b.objects[1] = job("app:good")
	b.mustUp(t)
	assert.Equal(t, map[string]int{"same": 4}, b.mustUp(t))
	b.destroy(t)
}

func TestEngineDeployments(t *testing.T) {
	b := newBench(t, kubeprovider.Options{})
	const namespace = "rollouts"
	deployment := func(image, timeout string) object {
		return object{name: "api", token: "kubernetes:apps/v1:Deployment", inputs: contents{
			"apiVersion": "apps/v1", "kind": "Deployment",
			"metadata": map[string]any{
				"name": "api", "namespace": namespace,
				"annotations": map[string]any{"pulumi.com/timeoutSeconds": timeout},
			},
			"spec": map[string]any{
				"replicas": 1, "selector": map[string]any{"matchLabels": map[string]any{"app": "api"}},
				"template": map[string]any{
					"metadata": map[string]any{"labels": map[string]any{"app": "api"}},
					"spec":     map[string]any{"containers": []any{map[string]any{"name": "api", "image": image}}},
				},
			},
		}}
	}
	b.objects = []object{namespaceOf(namespace), deployment("app:1", "2")}
	output, _, err := b.up(t)
	require.Error(t, err, "no kubelet runs the pods")
	assert.Contains(t, output, "Deployment rollouts/api is not ready (timed out)")
	assert.Contains(t, output, "it is pending")

	// The Deployment is in the state. The next run continues with it.
	b.objects[1] = deployment("app:1", "120")
	playKubelet(t, b, namespace, becomesReady)
	changes := b.mustUp(t)
	assert.Zero(t, changes["create"]+changes["replace"], "%v", changes)
	b.destroy(t)
}

func definition(kind, scope string) object {
	lower := strings.ToLower(kind)
	return object{
		name: "definition", token: "kubernetes:apiextensions.k8s.io/v1:CustomResourceDefinition",
		inputs: contents{
			"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
			"metadata": named(lower+"s.e2e.dbtier.example", ""),
			"spec": map[string]any{
				"group": "e2e.dbtier.example", "scope": scope,
				"names": map[string]any{"kind": kind, "plural": lower + "s", "singular": lower},
				"versions": []any{map[string]any{
					"name": "v1", "served": true, "storage": true,
					"subresources": map[string]any{"status": map[string]any{}},
					"schema": map[string]any{"openAPIV3Schema": map[string]any{
						"type": "object", "x-kubernetes-preserve-unknown-fields": true,
					}},
				}},
			},
		},
	}
}

func TestEngineCustomResources(t *testing.T) {
	b := newBench(t, kubeprovider.Options{})
	store := object{name: "store", token: "kubernetes:e2e.dbtier.example/v1:Store", inputs: contents{
		"apiVersion": "e2e.dbtier.example/v1", "kind": "Store",
		"metadata": map[string]any{
			"name":        "one",
			"annotations": map[string]any{"pulumi.com/waitFor": `["condition=Ready", "jsonpath={.status.phase}=Up"]`},
		},
		"spec": map[string]any{"region": "ap-northeast-2"},
	}}
	// The object does not depend on the definition. The provider retries until the kind exists.
	b.objects = []object{store, definition("Store", "Cluster")}
	go func() {
		patch := []byte(`{"status":{"phase":"Up","conditions":[{"type":"Ready","status":"True"}]}}`)
		for b.kube.Discovery().RESTClient().Patch(types.MergePatchType).
			AbsPath("/apis/e2e.dbtier.example/v1/stores/one/status").Body(patch).Do(t.Context()).Error() != nil &&
			t.Context().Err() == nil {
		}
	}()
	b.mustUp(t)
	assert.Equal(t, map[string]int{"same": 4}, b.mustUp(t))
	b.destroy(t)
}

func TestEnginePreviewAsksTheAPIServer(t *testing.T) {
	b := newBench(t, kubeprovider.Options{})
	b.objects = []object{configMap("Not_A_Name", "default", nil)}
	_, err := b.stack.Preview(t.Context())
	require.ErrorContains(t, err, "the API server would refuse ConfigMap default/Not_A_Name")
	require.ErrorContains(t, err, "Invalid value")

	b.objects = []object{configMap("fine", "not-made-yet", nil)}
	result, err := b.stack.Preview(t.Context())
	require.NoError(t, err, "the same update may create the namespace")
	assert.Equal(t, 3, result.ChangeSummary["create"])
}

func TestEngineUnreachableClusterIsOneClearError(t *testing.T) {
	b := newBench(t, kubeprovider.Options{})
	ports, err := freePorts(1)
	require.NoError(t, err)
	content, err := os.ReadFile(cluster(t).kubeconfig)
	require.NoError(t, err)
	config := strings.Replace(string(content), `server: "`,
		fmt.Sprintf(`server: "https://127.0.0.1:%d", x: "`, ports[0]), 1)
	path := filepath.Join(t.TempDir(), "kubeconfig")
	require.NoError(t, os.WriteFile(path, []byte(config), 0o600))
	b.provider["kubeconfig"] = pulumi.String(path)
	b.objects = []object{configMap("a", "default", nil), configMap("b", "default", nil)}
	output, _, err := b.up(t)
	require.Error(t, err)
	want := fmt.Sprintf(
		"the Kubernetes API server https://127.0.0.1:%d of kubeconfig %s (context \"test\") cannot be reached: "+
			"connection refused", ports[0], path,
	)
	assert.Contains(t, output, want)
	assert.NotContains(t, output, "kubernetes:core/v1:ConfigMap a creating failed", "nothing is tried")

	b.provider["kubeconfig"] = pulumi.String(filepath.Join(t.TempDir(), "none"))
	output, _, err = b.up(t)
	require.Error(t, err)
	assert.Contains(t, output, "none does not exist: start the cluster that writes it, or set another file")
}

func TestEngineRefusesASecondProviderConfiguration(t *testing.T) {
	b := newBench(t, kubeprovider.Options{})
	b.objects = []object{configMap("a", "default", nil)}
	b.more = func(ctx *pulumi.Context, _ pulumi.ProviderResource) error {
		other := &anyProvider{}
		if err := ctx.RegisterResource("pulumi:providers:kubernetes", "other", pulumi.Map{
			"kubeconfig": pulumi.String(cluster(t).kubeconfig), "namespace": pulumi.String("elsewhere"),
		}, other); err != nil {
			return err
		}
		return ctx.RegisterResource("kubernetes:core/v1:ConfigMap", "b", configMap("b", "", nil).inputs, &anyResource{},
			pulumi.Provider(other))
	}
	output, _, err := b.up(t)
	require.Error(t, err)
	assert.Contains(t, output,
		"an attached provider server serves only one: use one explicit kubernetes provider for the whole program")
}

type chartComponent struct{ pulumi.ResourceState }

// operatorChart returns the chart that `localcloud build` creates.
func operatorChart(t *testing.T) string {
	t.Helper()
	path, err := filepath.Abs("../../../.localcloud/cache/charts/external-secrets")
	require.NoError(t, err)
	require.DirExists(t, path, "run bin/localcloud build")
	return path
}

func operator(t *testing.T, b *bench, namespace string, values pulumi.Map) {
	t.Helper()
	path := operatorChart(t)
	b.more = func(ctx *pulumi.Context, k8s pulumi.ProviderResource) error {
		return ctx.RegisterRemoteComponentResource("kubernetes:helm.sh/v4:Chart", "operator", pulumi.Map{
			"chart": pulumi.String(path), "namespace": pulumi.String(namespace), "values": values,
			"skipAwait": pulumi.Bool(true),
		}, &chartComponent{}, pulumi.Providers(k8s))
	}
}

func TestEngineOperatorChart(t *testing.T) {
	b := newBench(t, kubeprovider.Options{})
	b.objects = []object{namespaceOf("operator")}
	operator(t, b, "operator", pulumi.Map{"replicaCount": pulumi.Int(2)})
	began := time.Now()
	changes := b.mustUp(t)
	t.Logf("create: %s, %v", time.Since(began), changes)
	assert.Greater(t, changes["create"], 40)
	live, err := b.kube.AppsV1().Deployments("operator").Get(t.Context(), "operator-external-secrets",
		metav1.GetOptions{})
	require.NoError(t, err)
	assert.Equal(t, int32(2), *live.Spec.Replicas)

	var state struct {
		Resources []struct {
			URN          string   `json:"urn"`
			Dependencies []string `json:"dependencies"`
		} `json:"resources"`
	}
	exported, err := b.stack.Export(t.Context())
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(exported.Deployment, &state))
	found := false
	for _, resource := range state.Resources {
		if strings.HasSuffix(resource.URN,
			"kubernetes:apps/v1:Deployment::operator:operator/operator-external-secrets") {
			found = true
			assert.Contains(t, strings.Join(resource.Dependencies, " "),
				"CustomResourceDefinition::operator:externalsecrets.external-secrets.io")
		}
	}
	assert.True(t, found, "children are named <chart>:<namespace>/<name>")

	began = time.Now()
	changes = b.mustUp(t)
	t.Logf("no change: %s, %v, provider: %v, state: %d bytes", time.Since(began), changes, b.calls.spent,
		len(b.backend(t)))
	assert.Zero(t, changes["update"]+changes["create"]+changes["replace"], "%v", changes)
	assert.Less(t, b.calls.spent["Check"]+b.calls.spent["Diff"], 2*time.Second)
	b.destroy(t)
}

func TestEngineChartWithUnknownValuesIsNotPreviewed(t *testing.T) {
	b := newBench(t, kubeprovider.Options{Offline: true})
	path := operatorChart(t)
	b.more = func(ctx *pulumi.Context, k8s pulumi.ProviderResource) error {
		first := &withID{}
		if err := ctx.RegisterResource("kubernetes:core/v1:ConfigMap", "a", configMap("a", "default", nil).inputs,
			first,
			pulumi.Provider(k8s)); err != nil {
			return err
		}
		return ctx.RegisterRemoteComponentResource("kubernetes:helm.sh/v4:Chart", "operator", pulumi.Map{
			"chart": pulumi.String(path), "values": pulumi.Map{"nameOverride": first.ID().ToStringOutput()},
		}, &chartComponent{}, pulumi.Providers(k8s))
	}
	var output strings.Builder
	result, err := b.stack.Preview(t.Context(), optpreview.ProgressStreams(&output))
	require.NoError(t, err)
	assert.Equal(t, 4, result.ChangeSummary["create"], "stack, provider, ConfigMap and the chart without children")
	assert.Contains(t, output.String(), "inputs of the chart are not known yet")
}

type withID struct{ pulumi.CustomResourceState }
