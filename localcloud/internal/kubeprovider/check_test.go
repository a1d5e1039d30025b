package kubeprovider

import (
	"slices"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func check(t *testing.T, s *Server, token string, olds, news resource.PropertyMap) (resource.PropertyMap, []string) {
	t.Helper()
	request := &pulumirpc.CheckRequest{Urn: urnOf(token, "thing"), RandomSeed: []byte("seed")}
	var err error
	request.News, err = marshal("", news)
	require.NoError(t, err)
	request.Olds, err = marshal("", olds)
	require.NoError(t, err)
	response, err := s.Check(t.Context(), request)
	require.NoError(t, err)
	var faults []string
	for _, failure := range response.GetFailures() {
		faults = append(faults, failure.GetProperty()+": "+failure.GetReason())
	}
	slices.Sort(faults)
	inputs, err := unmarshal("", response.GetInputs())
	require.NoError(t, err)
	return inputs, faults
}

func props(content map[string]any) resource.PropertyMap {
	return resource.NewPropertyMapFromMap(content)
}

func TestCheckNamesAnObjectWithoutName(t *testing.T) {
	s := server(t, map[string]any{"namespace": "shop"})
	news := props(map[string]any{"apiVersion": "v1", "kind": "ConfigMap"})
	inputs, faults := check(t, s, "kubernetes:core/v1:ConfigMap", nil, news)
	require.Empty(t, faults)
	assert.Regexp(t, `^thing-[0-9a-f]{8}$`, text(inputs, "metadata", "name"))
	assert.Equal(t, "true", annotations(inputs)[annotationAutonamed])
	assert.Equal(t, "shop", text(inputs, "metadata", "namespace"))

	again, faults := check(t, s, "kubernetes:core/v1:ConfigMap", inputs, news)
	require.Empty(t, faults)
	assert.Equal(t, text(inputs, "metadata", "name"), text(again, "metadata", "name"),
		"the name stays the same for the life of the object")
}

func TestCheckLeavesClusterScopedKindsWithoutNamespace(t *testing.T) {
	s := server(t, nil)
	inputs, faults := check(t, s, "kubernetes:rbac.authorization.k8s.io/v1:ClusterRole", nil,
		props(map[string]any{
			"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
			"metadata": map[string]any{"name": "r"},
		}))
	require.Empty(t, faults)
	assert.Empty(t, text(inputs, "metadata", "namespace"))
}

func TestCheckLearnsTheScopeOfCustomKindsFromTheirDefinition(t *testing.T) {
	s := server(t, nil)
	definition := func(kind, scope string) resource.PropertyMap {
		return props(map[string]any{
			"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
			"metadata": map[string]any{"name": kind + "s.x.io"},
			"spec": map[string]any{
				"group": "x.io", "scope": scope, "names": map[string]any{"kind": kind, "plural": kind + "s"},
				"versions": []any{
					map[string]any{"name": "v1", "served": true},
					map[string]any{"name": "v0", "served": false},
				},
			},
		})
	}
	object := func(kind string) resource.PropertyMap {
		return props(map[string]any{"apiVersion": "x.io/v1", "kind": kind, "metadata": map[string]any{"name": "o"}})
	}
	before, _ := check(t, s, "kubernetes:x.io/v1:Near", nil, object("Near"))
	assert.Empty(t, text(before, "metadata", "namespace"), "the scope is not known yet")
	for kind, scope := range map[string]string{"Near": "Namespaced", "Far": "Cluster"} {
		_, faults := check(t, s, "kubernetes:apiextensions.k8s.io/v1:CustomResourceDefinition", nil,
			definition(kind, scope))
		require.Empty(t, faults)
	}
	near, _ := check(t, s, "kubernetes:x.io/v1:Near", nil, object("Near"))
	assert.Equal(t, "default", text(near, "metadata", "namespace"))
	far, _ := check(t, s, "kubernetes:x.io/v1:Far", nil, object("Far"))
	assert.Empty(t, text(far, "metadata", "namespace"))
}

func TestCheckKeepsSecretsSecret(t *testing.T) {
	inputs, faults := check(t, server(t, nil), "kubernetes:core/v1:Secret", nil, props(map[string]any{
		"apiVersion": "v1", "kind": "Secret", "metadata": map[string]any{"name": "s"},
		"stringData": map[string]any{"password": "p4ssw0rd"},
	}))
	require.Empty(t, faults)
	assert.True(t, inputs["stringData"].IsSecret(),
		"the contents of a Secret are secret even if the program does not mark them")

	inputs, faults = check(t, server(t, nil), "kubernetes:core/v1:ConfigMap", nil, props(map[string]any{
		"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": "s"},
		"data": map[string]any{"plain": "x", "hidden": resource.MakeSecret(resource.NewStringProperty("y"))},
	}))
	require.Empty(t, faults)
	data := inputs["data"].ObjectValue()
	assert.True(t, data["hidden"].IsSecret())
	assert.False(t, data["plain"].IsSecret())
}

func TestCheckKeepsUnknownValues(t *testing.T) {
	inputs, faults := check(t, server(t, nil), "kubernetes:core/v1:ConfigMap", nil, props(map[string]any{
		"apiVersion": "v1", "kind": "ConfigMap", "metadata": resource.MakeComputed(resource.NewStringProperty("")),
	}))
	require.Empty(t, faults)
	assert.True(t, inputs["metadata"].IsComputed())
}

func TestCheckReportsAllFaultsAtOnce(t *testing.T) {
	_, faults := check(t, server(t, nil), "kubernetes:apps/v1:Deployment", nil, props(map[string]any{
		"apiVersion": "apps/v1beta1", "kind": "Deployment",
		"metadata": map[string]any{"generateName": "x-", "annotations": map[string]any{
			"pulumi.com/waitFor": "Ready", "pulumi.com/timeoutSeconds": "soon", "pulumi.com/skipAwait": "yes",
			"pulumi.com/replaceUnready": "true", "pulumi.com/deletionPropagationPolicy": "sideways",
		}},
		"spec": map[string]any{"file": resource.NewAssetProperty(mustAsset(t))},
	}))
	assert.Equal(t, []string{
		`apiVersion: is "apps/v1beta1" and must be "apps/v1", to match the type of the resource`,
		`metadata.annotations["pulumi.com/deletionPropagationPolicy"]: is "sideways" and must be "foreground", "background" or "orphan"`,
		`metadata.annotations["pulumi.com/replaceUnready"]: applies only to Jobs: leave it out`,
		`metadata.annotations["pulumi.com/skipAwait"]: is "yes" and must be "true" or "false"`,
		`metadata.annotations["pulumi.com/timeoutSeconds"]: is "soon" and must be a number of seconds above 0`,
		`metadata.annotations["pulumi.com/waitFor"]: "Ready": must begin with "condition=" or "jsonpath="`,
		`metadata.generateName: is not supported with server-side apply: leave it out, and a name is generated from the resource's name and a random suffix`,
		`spec.file: is an asset, an archive or a resource, and a Kubernetes object can contain only data: use its content or one of its outputs`,
	}, faults)
}

func TestTypesThatAreNotSupportedAreRefusedByName(t *testing.T) {
	s := server(t, nil)
	for token, want := range map[string]string{
		"kubernetes:apps/v1:DeploymentPatch": "patch resources such as kubernetes:apps/v1:DeploymentPatch are not " +
			"supported here: set the fields on the Deployment itself",
		"kubernetes:core/v1:ConfigMapList": "list resources such as kubernetes:core/v1:ConfigMapList cannot be " +
			"created: declare each ConfigMap by itself",
		"kubernetes:helm.sh/v3:Release": "kubernetes:helm.sh/v3:Release is not supported here: use " +
			"kubernetes:helm.sh/v4:Chart",
		"kubernetes:nogroup:Thing": `has no group and version`,
		"aws:s3/bucket:Bucket":     `is not a Kubernetes object`,
	} {
		_, err := s.Check(t.Context(), &pulumirpc.CheckRequest{Urn: urnOf(token, "thing")})
		require.ErrorContains(t, err, want, token)
	}
	_, err := s.Invoke(t.Context(), &pulumirpc.InvokeRequest{Tok: "kubernetes:yaml:decode"})
	require.ErrorContains(t, err, "function kubernetes:yaml:decode is not supported")
}

func TestCustomKindsMayEndInPatchOrList(t *testing.T) {
	_, err := kindOf(resource.URN(urnOf("kubernetes:x.io/v1:AllowList", "thing")))
	require.NoError(t, err)
}

func TestOfflineServerOnlyPreviews(t *testing.T) {
	s := server(t, nil)
	inputs, err := marshal("", props(map[string]any{
		"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": "c"},
	}))
	require.NoError(t, err)
	urn := urnOf("kubernetes:core/v1:ConfigMap", "thing")

	previewed, err := s.Create(t.Context(), &pulumirpc.CreateRequest{Urn: urn, Properties: inputs, Preview: true})
	require.NoError(t, err)
	assert.Equal(t, inputs, previewed.GetProperties())

	for name, call := range map[string]func() error{
		"create": func() error {
			_, err := s.Create(t.Context(), &pulumirpc.CreateRequest{Urn: urn, Properties: inputs})
			return err
		},
		"update": func() error {
			_, err := s.Update(t.Context(), &pulumirpc.UpdateRequest{
				Urn: urn, Id: "default/c", Olds: inputs, News: inputs,
			})
			return err
		},
		"delete": func() error {
			_, err := s.Delete(t.Context(), &pulumirpc.DeleteRequest{Urn: urn, Id: "default/c", Properties: inputs})
			return err
		},
		"read": func() error {
			_, err := s.Read(t.Context(), &pulumirpc.ReadRequest{Urn: urn, Id: "default/c"})
			return err
		},
	} {
		assert.ErrorContains(t, call(), name+" thing: this kubernetes provider is offline and serves only previews",
			name)
	}
}

func mustAsset(t *testing.T) *resource.Asset {
	t.Helper()
	text, err := resource.NewTextAsset("content")
	require.NoError(t, err)
	return text
}
