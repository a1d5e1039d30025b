package kubeprovider

import (
	"slices"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const stackURN = "urn:pulumi:dev::shop::"

func urnOf(token, name string) string { return stackURN + token + "::" + name }

// server returns a server without a cluster, as it is after Configure with the given inputs.
func server(t *testing.T, inputs map[string]any) *Server {
	t.Helper()
	provider, err := New(Options{Offline: true})
	require.NoError(t, err)
	s := provider.(*Server)
	args, err := marshal("", resource.NewPropertyMapFromMap(inputs))
	require.NoError(t, err)
	_, err = s.Configure(t.Context(), &pulumirpc.ConfigureRequest{
		Urn: new(urnOf("pulumi:providers:kubernetes", "k8s")), Args: args,
	})
	require.NoError(t, err)
	return s
}

// diff compares two versions of an object's inputs, as an update without changes in the cluster does.
func diff(
	t *testing.T, s *Server, token string, old, updated map[string]any, ignored ...string,
) *pulumirpc.DiffResponse {
	t.Helper()
	inputs := resource.NewPropertyMapFromMap(old)
	live := asObject(inputs)
	live.SetUID("a-uid")
	olds, err := marshal("", outputs(live, inputs, live.GetAPIVersion(), "manager"))
	require.NoError(t, err)
	news, err := marshal("", resource.NewPropertyMapFromMap(updated))
	require.NoError(t, err)
	response, err := s.Diff(t.Context(), &pulumirpc.DiffRequest{
		Urn: urnOf(token, "thing"), Olds: olds, News: news, IgnoreChanges: ignored,
	})
	require.NoError(t, err)
	return response
}

func paths(response *pulumirpc.DiffResponse) []string {
	var found []string
	for path := range response.GetDetailedDiff() {
		found = append(found, path)
	}
	slices.Sort(found)
	return found
}

func deployment(image, cpu string, more map[string]any) map[string]any {
	content := map[string]any{
		"apiVersion": "apps/v1", "kind": "Deployment",
		"metadata": map[string]any{"name": "api", "namespace": "shop"},
		"spec": map[string]any{
			"replicas": 2.0,
			"selector": map[string]any{"matchLabels": map[string]any{"app": "api"}},
			"template": map[string]any{
				"metadata": map[string]any{"labels": map[string]any{"app": "api"}},
				"spec": map[string]any{"containers": []any{map[string]any{
					"name": "api", "image": image, "resources": map[string]any{"limits": map[string]any{"cpu": cpu}},
				}}},
			},
		},
	}
	for key, value := range more {
		content[key] = value
	}
	return content
}

func TestDiff(t *testing.T) {
	secret := func(data map[string]any, more map[string]any) map[string]any {
		content := map[string]any{
			"apiVersion": "v1", "kind": "Secret",
			"metadata": map[string]any{"name": "s", "namespace": "shop"}, "data": data,
		}
		for key, value := range more {
			content[key] = value
		}
		return content
	}
	job := func(name, image string, limit float64) map[string]any {
		return map[string]any{
			"apiVersion": "batch/v1", "kind": "Job", "metadata": map[string]any{"name": name, "namespace": "shop"},
			"spec": map[string]any{
				"backoffLimit": limit,
				"template": map[string]any{"spec": map[string]any{
					"containers": []any{map[string]any{"name": "m", "image": image}},
				}},
			},
		}
	}
	custom := func(spec any) map[string]any {
		return map[string]any{
			"apiVersion": "x.io/v1", "kind": "Thing", "metadata": map[string]any{"name": "t"},
			"spec": spec,
		}
	}
	cases := map[string]struct {
		token     string
		config    map[string]any
		old, new  map[string]any
		ignored   []string
		changed   []string
		replaces  []string
		deleteOld bool
	}{
		"nothing changed": {
			token: "kubernetes:apps/v1:Deployment", old: deployment("a:1", "1", nil), new: deployment("a:1", "1", nil),
		},
		"a quantity is only spelt differently": {
			token: "kubernetes:apps/v1:Deployment", old: deployment("a:1", "1", nil),
			new: deployment("a:1", "1000m", nil),
		},
		"a new image is an update": {
			token: "kubernetes:apps/v1:Deployment", old: deployment("a:1", "1", nil), new: deployment("a:2", "1", nil),
			changed: []string{"spec.template.spec.containers[0].image"},
		},
		"an ignored change does not count": {
			token: "kubernetes:apps/v1:Deployment", old: deployment("a:1", "1", nil), new: deployment("a:2", "1", nil),
			ignored: []string{"spec.template"},
		},
		"another name replaces": {
			token: "kubernetes:apps/v1:Deployment", old: deployment("a:1", "1", nil),
			new: deployment("a:1", "1", map[string]any{
				"metadata": map[string]any{"name": "other", "namespace": "shop"},
			}),
			changed: []string{"metadata.name"}, replaces: []string{"metadata.name"},
		},
		"a Job's template replaces, the old Job first when the name is fixed": {
			token: "kubernetes:batch/v1:Job", old: job("m", "a:1", 3), new: job("m", "a:2", 3),
			changed:  []string{"spec.template.spec.containers[0].image"},
			replaces: []string{"spec.template.spec.containers[0].image"}, deleteOld: true,
		},
		"a Job's backoffLimit does not replace": {
			token: "kubernetes:batch/v1:Job", old: job("m", "a:1", 3), new: job("m", "a:1", 4),
			changed: []string{"spec.backoffLimit"},
		},
		"a Secret's data replaces": {
			token: "kubernetes:core/v1:Secret", old: secret(map[string]any{"a": "eA=="}, nil),
			new:     secret(map[string]any{"a": "eQ=="}, nil),
			changed: []string{"data.a"}, replaces: []string{"data.a"}, deleteOld: true,
		},
		"a Secret's data does not replace when secrets are mutable": {
			token: "kubernetes:core/v1:Secret", config: map[string]any{"enableSecretMutable": true},
			old: secret(map[string]any{"a": "eA=="}, nil), new: secret(map[string]any{"a": "eQ=="}, nil),
			changed: []string{"data.a"},
		},
		"an immutable Secret replaces nevertheless": {
			token: "kubernetes:core/v1:Secret", config: map[string]any{"enableSecretMutable": "true"},
			old:     secret(map[string]any{"a": "eA=="}, map[string]any{"immutable": true}),
			new:     secret(map[string]any{"a": "eQ=="}, map[string]any{"immutable": true}),
			changed: []string{"data.a"}, replaces: []string{"data.a"}, deleteOld: true,
		},
		"a null counts as absent": {
			token: "kubernetes:x.io/v1:Thing", old: custom(map[string]any{"a": 1.0}),
			new: custom(map[string]any{"a": 1.0, "b": nil}),
		},
		"a removed part is a change": {
			token: "kubernetes:x.io/v1:Thing", old: custom(map[string]any{"a": 1.0, "b": map[string]any{"c": "d"}}),
			new:     custom(map[string]any{"a": 1.0}),
			changed: []string{"spec.b"},
		},
		"lists differ item by item": {
			token: "kubernetes:x.io/v1:Thing", old: custom(map[string]any{"l": []any{"a", "b", "c"}}),
			new:     custom(map[string]any{"l": []any{"a", "x"}}),
			changed: []string{"spec.l[1]", "spec.l[2]"},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			response := diff(t, server(t, c.config), c.token, c.old, c.new, c.ignored...)
			assert.Equal(t, c.changed, paths(response))
			assert.Equal(t, c.replaces, response.GetReplaces())
			assert.Equal(t, c.deleteOld, response.GetDeleteBeforeReplace())
			want := pulumirpc.DiffResponse_DIFF_NONE
			if len(c.changed) > 0 {
				want = pulumirpc.DiffResponse_DIFF_SOME
			}
			assert.Equal(t, want, response.GetChanges())
		})
	}
}

func TestDiffTakesNoNamespaceForTheOneTheObjectHas(t *testing.T) {
	old := map[string]any{
		"apiVersion": "x.io/v1", "kind": "Thing",
		"metadata": map[string]any{"name": "t", "namespace": "default"},
	}
	updated := map[string]any{"apiVersion": "x.io/v1", "kind": "Thing", "metadata": map[string]any{"name": "t"}}
	assert.Empty(t, paths(diff(t, server(t, nil), "kubernetes:x.io/v1:Thing", old, updated)))
}

func TestDiffOfAnUnknownValueIsAnUpdate(t *testing.T) {
	old := map[string]any{
		"apiVersion": "x.io/v1", "kind": "Thing", "metadata": map[string]any{"name": "t"},
		"spec": map[string]any{"host": "db"},
	}
	updated := map[string]any{
		"apiVersion": "x.io/v1", "kind": "Thing", "metadata": map[string]any{"name": "t"},
		"spec": map[string]any{"host": resource.MakeComputed(resource.NewStringProperty(""))},
	}
	assert.Equal(t, []string{"spec.host"}, paths(diff(t, server(t, nil), "kubernetes:x.io/v1:Thing", old, updated)))
}

func TestAutonamedObjectsAreReplacedBeforeTheOldOneGoes(t *testing.T) {
	content := func(image string) map[string]any {
		return map[string]any{
			"apiVersion": "batch/v1", "kind": "Job",
			"metadata": map[string]any{
				"name": "m-1234", "namespace": "shop",
				"annotations": map[string]any{annotationAutonamed: "true"},
			},
			"spec": map[string]any{"template": map[string]any{
				"spec": map[string]any{"containers": []any{map[string]any{"name": "m", "image": image}}},
			}},
		}
	}
	response := diff(t, server(t, nil), "kubernetes:batch/v1:Job", content("a"), content("b"))
	assert.NotEmpty(t, response.GetReplaces())
	assert.False(t, response.GetDeleteBeforeReplace())
}
