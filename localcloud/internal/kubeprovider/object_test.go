package kubeprovider

import (
	"encoding/json"
	"errors"
	"syscall"
	"testing"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/common/util/rpcutil/rpcerror"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"dbtier/localcloud/internal/kubeprovider/await"
)

func TestOutputsHideWhatTheInputsHid(t *testing.T) {
	secret := func(value string) resource.PropertyValue {
		return resource.MakeSecret(resource.NewStringProperty(value))
	}
	inputs := props(map[string]any{
		"apiVersion": "apps/v1", "kind": "Deployment", "metadata": map[string]any{"name": "a"},
		"spec": map[string]any{
			"strategy": secret("x"),
			"list":     []any{map[string]any{"env": secret("hidden")}},
		},
	})
	live := asObject(inputs)
	require.NoError(t, unstructured.SetNestedField(live.Object, "shown", "status", "phase"))
	live.SetManagedFields([]metav1.ManagedFieldsEntry{{Manager: "m"}})
	state := outputs(live, inputs, "apps/v1", "manager")

	spec := state["spec"].ObjectValue()
	assert.True(t, spec["strategy"].IsSecret())
	assert.True(t, spec["list"].IsSecret(), "a list is secret as a whole, because its order can change")
	assert.Equal(t, "shown", text(state, "status", "phase"))
	_, kept := field(state, "metadata", "managedFields")
	assert.False(t, kept)
	assert.True(t, state[inputsKey].ContainsSecrets())

	again := readState(state)
	assert.Equal(t, "manager", again.fieldManager)
	assert.Equal(t, "apps/v1", again.initialAPIVersion)
	assert.Equal(t, plainMap(inputs), plainMap(again.inputs))
	assert.NotContains(t, again.live.Object, inputsKey)
}

func TestOutputsOfASecretAreSecret(t *testing.T) {
	inputs := props(map[string]any{
		"apiVersion": "v1", "kind": "Secret", "metadata": map[string]any{"name": "a"},
		"stringData": map[string]any{"k": "v"},
	})
	live := asObject(inputs)
	encodeStringData(live.Object)
	assert.Equal(t, map[string]any{"k": "dg=="}, live.Object["data"])
	live.SetAnnotations(map[string]string{annotationLastApplied: `{"stringData":{"k":"v"}}`})
	state := outputs(live, inputs, "v1", "manager")
	assert.True(t, state["data"].IsSecret())
	metadata := state["metadata"].ObjectValue()
	assert.True(t, metadata["annotations"].ObjectValue()[annotationLastApplied].IsSecret())
	assert.True(t, state[inputsKey].ObjectValue()["stringData"].IsSecret())
}

func TestSchemaFieldsWithDashes(t *testing.T) {
	inputs := props(map[string]any{"spec": map[string]any{
		"x_kubernetes_preserve_unknown_fields": true, "x_other": 1.0,
	}})
	assert.Equal(t, map[string]any{"spec": map[string]any{
		"x-kubernetes-preserve-unknown-fields": true, "x_other": int64(1),
	}}, plainMap(inputs))
	assert.Equal(t, inputs, properties(plainMap(inputs)))
}

func TestNumbers(t *testing.T) {
	plain := plainMap(props(map[string]any{"whole": 3.0, "half": 0.5, "large": 1e300}))
	assert.Equal(t, map[string]any{"whole": int64(3), "half": 0.5, "large": 1e300}, plain)
	_, err := json.Marshal(plain)
	require.NoError(t, err)
}

func TestIdentifiers(t *testing.T) {
	for id, want := range map[string][2]string{"shop/api": {"shop", "api"}, "api": {"", "api"}} {
		namespace, name, err := parseIdentifier(id)
		require.NoError(t, err)
		assert.Equal(t, want, [2]string{namespace, name})
	}
	for _, id := range []string{"", "a/", "a/b/c"} {
		_, _, err := parseIdentifier(id)
		assert.ErrorContains(t, err, "is not the ID of a Kubernetes object", id)
	}
}

func TestDriftTakesOnlyWhatChangedInTheCluster(t *testing.T) {
	inputs := props(map[string]any{
		"spec": map[string]any{
			"cpu": "1000m", "replicas": 2.0, "gone": "x",
			"containers": []any{map[string]any{"image": "a:1"}},
			"hidden":     resource.MakeSecret(resource.NewStringProperty("old")),
		},
		"stringData": map[string]any{"k": "v"},
	})
	before := map[string]any{"spec": map[string]any{
		"cpu": "1", "replicas": int64(2), "gone": "x", "hidden": "old",
		"containers": []any{map[string]any{"image": "a:1", "pull": "Always"}},
	}}
	now := map[string]any{"spec": map[string]any{
		"cpu": "1", "replicas": int64(5), "hidden": "new", "added": "by the server",
		"containers": []any{map[string]any{"image": "a:2", "pull": "Never"}},
	}}
	assert.Equal(t, props(map[string]any{
		"spec": map[string]any{
			"cpu": "1000m", "replicas": 5.0, "containers": []any{map[string]any{"image": "a:2"}},
			"hidden": resource.MakeSecret(resource.NewStringProperty("new")),
		},
		"stringData": map[string]any{"k": "v"},
	}), drifted(inputs, before, now))
	assert.Equal(t, inputs, drifted(inputs, before, before))
}

func TestReasonsOfAFailedWaitReachTheEngine(t *testing.T) {
	live := &unstructured.Unstructured{Object: map[string]any{}}
	live.SetName("m")
	live.SetNamespace("shop")
	err := initFailed(live, resource.PropertyMap{}, nil,
		&await.Error{Object: live, Summary: "Job shop/m failed", Details: []string{"log"}})
	converted := rpcerror.Convert(err)
	require.Len(t, converted.Details(), 1)
	detail := converted.Details()[0].(*pulumirpc.ErrorResourceInitFailed)
	assert.Equal(t, "shop/m", detail.GetId())
	assert.Equal(t, []string{"Job shop/m failed", "log"}, detail.GetReasons())
}

func TestPassingReasonsAreWaitedFor(t *testing.T) {
	things := schema.GroupResource{Resource: "things"}
	internal := func(message string) error { return apierrors.NewInternalError(errors.New(message)) }
	conflict := apierrors.NewApplyConflict([]metav1.StatusCause{
		{Type: metav1.CauseTypeFieldManagerConflict, Field: ".spec"},
	}, "conflict")
	terminating := apierrors.NewForbidden(things, "a", errors.New("being terminated"))
	terminating.ErrStatus.Details.Causes = []metav1.StatusCause{{Type: corev1.NamespaceTerminatingCause}}
	for name, c := range map[string]struct {
		err  error
		want bool
	}{
		"webhook without endpoints": {
			internal(`failed calling webhook "x": no endpoints available for service "y"`),
			true,
		},
		"API server error":        {internal("etcdserver: leader changed"), true},
		"connection refused":      {syscall.ECONNREFUSED, true},
		"too many requests":       {apierrors.NewTooManyRequests("later", 1), true},
		"another writer":          {apierrors.NewConflict(things, "a", errors.New("modified")), true},
		"namespace going":         {terminating, true},
		"kind not there yet":      {&meta.NoKindMatchError{}, true},
		"namespace not there yet": {apierrors.NewNotFound(things, "a"), true},
		"another field manager":   {conflict, false},
		"invalid":                 {apierrors.NewInvalid(schema.GroupKind{Kind: "Thing"}, "a", nil), false},
		"forbidden":               {apierrors.NewForbidden(things, "a", errors.New("no")), false},
		"exists":                  {apierrors.NewAlreadyExists(things, "a"), false},
	} {
		t.Run(name, func(t *testing.T) {
			limit, _ := patient.limit(c.err)
			assert.Equal(t, c.want, limit > 0)
		})
	}
}

func TestRetry(t *testing.T) {
	quick := patience{webhook: time.Minute, server: time.Minute, missing: 0}
	calls := 0
	require.NoError(t, quick.retry(t.Context(), func(string) {}, func() error {
		calls++
		if calls < 3 {
			return apierrors.NewInternalError(errors.New("failed calling webhook"))
		}
		return nil
	}))
	assert.Equal(t, 3, calls)

	impatient := patience{webhook: time.Nanosecond}
	err := impatient.retry(t.Context(), func(string) {},
		func() error { return apierrors.NewInternalError(errors.New("failed calling webhook x")) })
	require.ErrorContains(t, err, "an admission webhook does not answer for")
}

func TestErrorsHideWhatTheProgramHidesAndTheServerQuotes(t *testing.T) {
	o := &operation{gvk: schema.GroupVersionKind{Version: "v1", Kind: "ConfigMap"}, inputs: props(map[string]any{
		"data": map[string]any{"url": resource.MakeSecret(
			resource.NewStringProperty("postgres://u:pa%24%24word@db/x"),
		)},
	})}
	obj := &unstructured.Unstructured{Object: map[string]any{}}
	obj.SetName("c")
	err := o.failed("create", obj, errors.New(
		`data[url]: Invalid value: "postgres://u:pa%24%24word@db/x" or "pa$$word"`,
	))
	require.EqualError(t, err, `create ConfigMap c: data[url]: Invalid value: "***" or "***"`)
}
