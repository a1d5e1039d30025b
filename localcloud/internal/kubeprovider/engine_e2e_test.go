//go:build e2e

package kubeprovider_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/auto"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optdestroy"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optup"
	"github.com/pulumi/pulumi/sdk/v3/go/common/util/rpcutil"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"dbtier/localcloud/internal/kubeprovider"
)

// bench is a stack of the real engine with the provider attached, and a program that a test changes between runs.
type bench struct {
	stack   auto.Stack
	kube    kubernetes.Interface
	calls   *calls
	objects []object
	// provider are the inputs of the provider resource.
	provider pulumi.Map
	state    string
	more     func(ctx *pulumi.Context, k8s pulumi.ProviderResource) error
}

// object is one resource of the program.
type object struct {
	name, token string
	inputs      contents
	options     []pulumi.ResourceOption
}

type contents map[string]any

func (contents) ElementType() reflect.Type { return reflect.TypeFor[map[string]any]() }

type anyResource struct{ pulumi.CustomResourceState }

type anyProvider struct{ pulumi.ProviderResourceState }

// calls counts the engine's requests to the provider.
type calls struct {
	mutex sync.Mutex
	count map[string]int
	spent map[string]time.Duration
}

func (c *calls) intercept(
	ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler,
) (any, error) {
	c.mutex.Lock()
	method := info.FullMethod[strings.LastIndex(info.FullMethod, "/")+1:]
	c.count[method]++
	c.mutex.Unlock()
	began := time.Now()
	defer func() {
		c.mutex.Lock()
		defer c.mutex.Unlock()
		c.spent[method] += time.Since(began)
	}()
	return handler(ctx, req)
}

func (c *calls) reset() {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	clear(c.count)
	clear(c.spent)
}

func (c *calls) of(method string) int {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	return c.count[method]
}

func newBench(t *testing.T, options kubeprovider.Options) *bench {
	t.Helper()
	root, err := filepath.Abs("../../..")
	require.NoError(t, err)
	b := &bench{calls: &calls{count: map[string]int{}, spent: map[string]time.Duration{}}, provider: pulumi.Map{}}
	server, err := kubeprovider.New(options)
	require.NoError(t, err)
	cancel := make(chan bool)
	handle, err := rpcutil.ServeWithOptions(rpcutil.ServeOptions{
		Cancel:  cancel,
		Options: []grpc.ServerOption{grpc.UnaryInterceptor(b.calls.intercept)},
		Init: func(grpcServer *grpc.Server) error {
			pulumirpc.RegisterResourceProviderServer(grpcServer, server)
			return nil
		},
	})
	require.NoError(t, err)
	t.Cleanup(func() { close(cancel); <-handle.Done })

	if !options.Offline {
		started := cluster(t)
		b.kube = started.kube
		b.provider["kubeconfig"] = pulumi.String(started.kubeconfig)
	}
	home := t.TempDir()
	b.state = t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(home, "logs"), nil, 0o600))
	command, err := auto.NewPulumiCommand(&auto.PulumiCommandOptions{Root: root, SkipVersionCheck: true})
	require.NoError(t, err)
	b.stack, err = auto.NewStackInlineSource(t.Context(), "test", "kubeprovider", b.program,
		auto.Pulumi(command), auto.PulumiHome(home), auto.EnvVars(map[string]string{
			"PULUMI_BACKEND_URL":                            "file://" + b.state,
			"PULUMI_CONFIG_PASSPHRASE":                      "test",
			"PULUMI_DEBUG_PROVIDERS":                        fmt.Sprintf("kubernetes:%d", handle.Port),
			"PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION":   "true",
			"PULUMI_SKIP_UPDATE_CHECK":                      "true",
			"PULUMI_DIY_BACKEND_DISABLE_CHECKPOINT_BACKUPS": "true",
		}))
	require.NoError(t, err)
	return b
}

func (b *bench) program(ctx *pulumi.Context) error {
	k8s := &anyProvider{}
	if err := ctx.RegisterResource("pulumi:providers:kubernetes", "k8s", b.provider, k8s); err != nil {
		return err
	}
	registered := map[string]pulumi.Resource{}
	for _, o := range b.objects {
		resource := &anyResource{}
		options := append([]pulumi.ResourceOption{pulumi.Provider(k8s)}, o.options...)
		if namespace, ok := registered["namespace"]; ok {
			options = append(options, pulumi.DependsOn([]pulumi.Resource{namespace}))
		}
		if err := ctx.RegisterResource(o.token, o.name, o.inputs, resource, options...); err != nil {
			return err
		}
		registered[o.name] = resource
	}
	if b.more != nil {
		return b.more(ctx, k8s)
	}
	return nil
}

// up runs an update and returns its output.
func (b *bench) up(t *testing.T) (string, auto.UpResult, error) {
	t.Helper()
	b.calls.reset()
	var output bytes.Buffer
	result, err := b.stack.Up(t.Context(), optup.ProgressStreams(&output), optup.ErrorProgressStreams(&output))
	return output.String(), result, err
}

func (b *bench) mustUp(t *testing.T) map[string]int {
	t.Helper()
	output, result, err := b.up(t)
	require.NoError(t, err, output)
	require.NotNil(t, result.Summary.ResourceChanges)
	return *result.Summary.ResourceChanges
}

func (b *bench) destroy(t *testing.T) {
	t.Helper()
	var output bytes.Buffer
	_, err := b.stack.Destroy(t.Context(), optdestroy.ProgressStreams(&output))
	require.NoError(t, err, output.String())
}

// backend returns everything that the engine has written about the stack.
func (b *bench) backend(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	require.NoError(t, filepath.WalkDir(b.state, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		all.Write(content)
		return err
	}))
	return all.String()
}

func named(name, namespace string) map[string]any {
	metadata := map[string]any{"name": name}
	if namespace != "" {
		metadata["namespace"] = namespace
	}
	return metadata
}

func namespaceOf(name string) object {
	return object{
		name: "namespace", token: "kubernetes:core/v1:Namespace",
		inputs: contents{"apiVersion": "v1", "kind": "Namespace", "metadata": named(name, "")},
	}
}

func configMap(name, namespace string, data map[string]any) object {
	return object{name: name, token: "kubernetes:core/v1:ConfigMap", inputs: contents{
		"apiVersion": "v1", "kind": "ConfigMap", "metadata": named(name, namespace), "data": data,
	}}
}

func TestEngineLifeOfObjects(t *testing.T) {
	b := newBench(t, kubeprovider.Options{})
	const namespace = "life"
	secret := object{name: "secret", token: "kubernetes:core/v1:Secret", inputs: contents{
		"apiVersion": "v1", "kind": "Secret", "metadata": map[string]any{"namespace": namespace},
		"stringData": map[string]any{"password": "hunter2-hunter2"},
	}}
	b.objects = []object{namespaceOf(namespace), configMap("one", namespace, map[string]any{"a": "1"}), secret}
	assert.Equal(t, map[string]int{"create": 5}, b.mustUp(t), "stack, provider and three objects")

	written := b.backend(t)
	require.Contains(t, written, "kubernetes:core/v1:Secret", "the search looks at the state")
	for _, spelling := range []string{"hunter2", "aHVudGVyMi1odW50ZXIy"} {
		if strings.Contains(written, spelling) {
			t.Errorf("%s is in the state of the stack", spelling)
		}
	}
	secrets, err := b.kube.CoreV1().Secrets(namespace).List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	require.Len(t, secrets.Items, 1)
	assert.Equal(t, "hunter2-hunter2", string(secrets.Items[0].Data["password"]))
	assert.Regexp(t, `^secret-[0-9a-f]{8}$`, secrets.Items[0].Name)

	assert.Equal(t, map[string]int{"same": 5}, b.mustUp(t))
	assert.Zero(t, b.calls.of("Update")+b.calls.of("Create")+b.calls.of("Read"))

	b.objects[1] = configMap("one", namespace, map[string]any{"a": "2"})
	b.provider["enableConfigMapMutable"] = pulumi.Bool(true)
	assert.Equal(t, map[string]int{"same": 3, "update": 2}, b.mustUp(t), "the provider and the ConfigMap")
	b.objects[1] = configMap("one", namespace, map[string]any{"b": "3"})
	assert.Equal(t, map[string]int{"same": 4, "update": 1}, b.mustUp(t))
	live, err := b.kube.CoreV1().ConfigMaps(namespace).Get(t.Context(), "one", metav1.GetOptions{})
	require.NoError(t, err)
	assert.Equal(t, map[string]string{"b": "3"}, live.Data, "a key that the program dropped is removed")

	before := secrets.Items[0].Name
	b.objects[2].inputs["stringData"] = map[string]any{"password": "another-password"}
	assert.Equal(t, map[string]int{"same": 4, "replace": 1}, b.mustUp(t))
	secrets, err = b.kube.CoreV1().Secrets(namespace).List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	require.Len(t, secrets.Items, 1)
	assert.NotEqual(t, before, secrets.Items[0].Name)

	b.destroy(t)
	_, err = b.kube.CoreV1().Namespaces().Get(t.Context(), namespace, metav1.GetOptions{})
	assert.True(t, apierrors.IsNotFound(err), "the namespace no longer exists when destroy ends")
}

func TestEngineRefreshFindsDriftAndNothingElse(t *testing.T) {
	b := newBench(t, kubeprovider.Options{})
	const namespace = "drift"
	b.provider["enableConfigMapMutable"] = pulumi.Bool(true)
	service := object{name: "service", token: "kubernetes:core/v1:Service", inputs: contents{
		"apiVersion": "v1", "kind": "Service", "metadata": named("db", namespace),
		"spec": map[string]any{"ports": []any{map[string]any{"port": 5432}}},
	}}
	b.objects = []object{namespaceOf(namespace), configMap("one", namespace, map[string]any{"a": "1"}), service}
	b.mustUp(t)

	_, err := b.stack.Refresh(t.Context())
	require.NoError(t, err)
	assert.Equal(t, map[string]int{"same": 5}, b.mustUp(t), "defaults of the server are not a change")

	_, err = b.kube.CoreV1().ConfigMaps(namespace).Update(t.Context(), &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Name: "one", Namespace: namespace}, Data: map[string]string{"a": "by hand"},
	}, metav1.UpdateOptions{FieldManager: "kubectl-edit"})
	require.NoError(t, err)
	result, err := b.stack.Refresh(t.Context())
	require.NoError(t, err)
	assert.Equal(t, 1, (*result.Summary.ResourceChanges)["update"], "%v", *result.Summary.ResourceChanges)
	output, _, err := b.up(t)
	require.Error(t, err, "another field manager owns the fields now")
	assert.Contains(t, output, `take them with the annotation pulumi.com/patchForce: "true"`)

	b.provider["enablePatchForce"] = pulumi.Bool(true)
	changes := b.mustUp(t)
	assert.Equal(t, 2, changes["update"], "%v", changes)
	live, err := b.kube.CoreV1().ConfigMaps(namespace).Get(t.Context(), "one", metav1.GetOptions{})
	require.NoError(t, err)
	assert.Equal(t, map[string]string{"a": "1"}, live.Data)

	require.NoError(t, b.kube.CoreV1().ConfigMaps(namespace).Delete(t.Context(), "one", metav1.DeleteOptions{}))
	refreshed, err := b.stack.Refresh(t.Context())
	require.NoError(t, err)
	assert.Equal(t, 1, (*refreshed.Summary.ResourceChanges)["delete"])
	assert.Equal(t, 1, b.mustUp(t)["create"])
	b.destroy(t)
}

func TestEngineRefusesAnObjectOfSomebodyElse(t *testing.T) {
	b := newBench(t, kubeprovider.Options{})
	_, err := b.kube.CoreV1().ConfigMaps("default").Create(t.Context(),
		&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "theirs"}}, metav1.CreateOptions{})
	require.NoError(t, err)
	b.objects = []object{configMap("theirs", "default", map[string]any{"a": "1"})}
	output, _, err := b.up(t)
	require.Error(t, err)
	assert.Contains(t, output, "create ConfigMap default/theirs: it already exists and does not belong to this stack")
	assert.NotContains(t, output, "kubectl delete", "its owner uses the object")

	b.provider["upsertExistingObjects"] = pulumi.Bool(true)
	b.mustUp(t)
	b.destroy(t)
}

func TestEngineGoesOnAfterAKilledRun(t *testing.T) {
	b := newBench(t, kubeprovider.Options{})
	job := jobOf("left", "default", "app:1")
	b.objects = []object{configMap("left", "default", map[string]any{"a": "1"}), job}
	job.inputs["metadata"].(map[string]any)["annotations"] = map[string]any{"pulumi.com/skipAwait": "true"}
	b.mustUp(t)
	first, err := b.kube.CoreV1().ConfigMaps("default").Get(t.Context(), "left", metav1.GetOptions{})
	require.NoError(t, err)

	b.forgetObjects(t)

	b.objects[0] = configMap("left", "default", map[string]any{"a": "2"})
	b.objects[1].inputs = jobOf("left", "default", "app:2").inputs
	b.objects[1].inputs["metadata"].(map[string]any)["annotations"] = map[string]any{"pulumi.com/skipAwait": "true"}
	b.mustUp(t)
	again, err := b.kube.CoreV1().ConfigMaps("default").Get(t.Context(), "left", metav1.GetOptions{})
	require.NoError(t, err)
	assert.Equal(t, first.UID, again.UID, "taken over, not created twice")
	assert.Equal(t, map[string]string{"a": "2"}, again.Data)
	live, err := b.kube.BatchV1().Jobs("default").Get(t.Context(), "left", metav1.GetOptions{})
	require.NoError(t, err)
	assert.Equal(t, "app:2", live.Spec.Template.Spec.Containers[0].Image,
		"an object with other immutable fields is recreated")
	b.destroy(t)
}

func TestEngineNoChangeIsFast(t *testing.T) {
	b := newBench(t, kubeprovider.Options{})
	b.objects = []object{namespaceOf("many")}
	for i := range 100 {
		b.objects = append(b.objects, configMap(fmt.Sprintf("map-%03d", i), "many",
			map[string]any{"content": strings.Repeat("x", 2000)}))
	}
	began := time.Now()
	b.mustUp(t)
	created := time.Since(began)
	began = time.Now()
	assert.Equal(t, map[string]int{"same": 103}, b.mustUp(t))
	same := time.Since(began)
	t.Logf("create %s, no change %s: %v", created, same, b.calls.spent)
	assert.Less(t, b.calls.spent["Check"]+b.calls.spent["Diff"], time.Second,
		"only the provider's time counts, not the engine's")
	b.destroy(t)
}

// forgetObjects leaves the state as after kill -9: the provider is recorded, but not the objects that were just
// created.
func (b *bench) forgetObjects(t *testing.T) {
	t.Helper()
	state, err := b.stack.Export(t.Context())
	require.NoError(t, err)
	var deployment map[string]any
	require.NoError(t, json.Unmarshal(state.Deployment, &deployment))
	var kept []any
	for _, item := range deployment["resources"].([]any) {
		if typ := item.(map[string]any)["type"].(string); strings.HasPrefix(typ, "pulumi:") {
			kept = append(kept, item)
		}
	}
	deployment["resources"] = kept
	state.Deployment, err = json.Marshal(deployment)
	require.NoError(t, err)
	require.NoError(t, b.stack.Import(t.Context(), state))
}

func TestEngineLeavesTheObjectsOfAnotherStackOfTheSameName(t *testing.T) {
	theirs, ours := newBench(t, kubeprovider.Options{}), newBench(t, kubeprovider.Options{})
	objects := []object{configMap("shared", "default", map[string]any{"a": "1"})}
	theirs.objects, ours.objects = objects, objects
	theirs.mustUp(t)
	output, _, err := ours.up(t)
	require.Error(t, err, "the URN is the same, the state is not")
	assert.Contains(t, output, "it already exists and does not belong to this stack")
	theirs.destroy(t)
}

func jobOf(name, namespace, image string) object {
	return object{name: "job", token: "kubernetes:batch/v1:Job", inputs: contents{
		"apiVersion": "batch/v1", "kind": "Job", "metadata": named(name, namespace),
		"spec": map[string]any{"backoffLimit": 0, "template": map[string]any{"spec": map[string]any{
			"restartPolicy": "Never", "containers": []any{map[string]any{"name": "migrate", "image": image}},
		}}},
	}}
}
