package chart_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"dbtier/localcloud/internal/kubeprovider/chart"
)

// files is a chart with an example of everything that rendering treats specially.
var files = map[string]string{
	"Chart.yaml":  "apiVersion: v2\nname: shop\nversion: 1.2.3\n",
	"values.yaml": "port: 9443\nreplicas: 1\nlabels: {team: core, tier: db}\nbig: 100\n",
	"crds/things.yaml": `apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: things.x.io}
spec: {group: x.io, scope: Namespaced, names: {kind: Thing, plural: things}, versions: [{name: v1, served: true, storage: true}]}
`,
	"templates/deployment.yaml": `apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ .Release.Name }}
  namespace: {{ .Release.Namespace }}
  labels: {{ toYaml .Values.labels | nindent 4 }}
spec:
  replicas: {{ .Values.replicas }}
  template: {spec: {containers: [{name: c, args: ["--port={{ .Values.port }}", "--big={{ .Values.big }}"]}]}}
`,
	"templates/list.yaml": `apiVersion: v1
kind: List
items:
- {apiVersion: v1, kind: ServiceAccount, metadata: {name: one}}
- {apiVersion: v1, kind: ServiceAccount, metadata: {name: two}}
`,
	"templates/hook.yaml": `apiVersion: batch/v1
kind: Job
metadata: {name: migrate, annotations: {helm.sh/hook: pre-install}}
`,
	"templates/tests/test.yaml": `apiVersion: v1
kind: Pod
metadata: {name: probe, annotations: {helm.sh/hook: test}}
`,
	"templates/NOTES.txt": "Thank you for installing.",
}

func write(t *testing.T, files, changes map[string]string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "shop")
	for _, set := range []map[string]string{files, changes} {
		for name, content := range set {
			path := filepath.Join(dir, name)
			require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o750))
			require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
		}
	}
	return dir
}

func names(objects []*unstructured.Unstructured) []string {
	var found []string
	for _, obj := range objects {
		found = append(found, obj.GetKind()+"/"+obj.GetName())
	}
	return found
}

func find(t *testing.T, objects []*unstructured.Unstructured, kind string) *unstructured.Unstructured {
	t.Helper()
	for _, obj := range objects {
		if obj.GetKind() == kind {
			return obj
		}
	}
	require.Fail(t, "not rendered", kind)
	return nil
}

func TestRender(t *testing.T) {
	rendered, err := chart.Render(t.Context(), chart.Options{
		Chart: write(t, files, nil), ReleaseName: "live", Namespace: "shop",
		ValueFiles: [][]byte{[]byte("replicas: 2\nlabels: {tier: null}\n")},
		// The engine's numbers are float64. Whole numbers arrive here as int64, so that templates do not print an
		// exponent.
		Values: map[string]any{"big": int64(30000000), "labels": map[string]any{"team": "data"}},
	})
	require.NoError(t, err)
	assert.Equal(t, []string{
		"CustomResourceDefinition/things.x.io", "Deployment/live", "ServiceAccount/one",
		"ServiceAccount/two",
	}, names(rendered.Objects))
	assert.Equal(t, []string{"Job/migrate (pre-install)"}, rendered.Hooks)

	deployment := find(t, rendered.Objects, "Deployment")
	assert.Equal(t, "shop", deployment.GetNamespace())
	assert.Equal(t, map[string]string{"team": "data"}, deployment.GetLabels(),
		"values over files over defaults; null drops a default")
	replicas, _, err := unstructured.NestedInt64(deployment.Object, "spec", "replicas")
	require.NoError(t, err, "numbers have the types that Kubernetes uses")
	assert.Equal(t, int64(2), replicas)
	containers, _, _ := unstructured.NestedSlice(deployment.Object, "spec", "template", "spec", "containers")
	assert.Equal(t, []any{"--port=9443", "--big=30000000"}, containers[0].(map[string]any)["args"])
}

func TestRenderFindsChartsBelowTheProject(t *testing.T) {
	dir := write(t, files, nil)
	rendered, err := chart.Render(t.Context(),
		chart.Options{Chart: "shop", Dir: filepath.Dir(dir), ReleaseName: "live", Namespace: "shop", SkipCRDs: true})
	require.NoError(t, err)
	assert.NotContains(t, names(rendered.Objects), "CustomResourceDefinition/things.x.io")
}

func TestRenderTakesTheChartOfThisMachineInsteadOfFetching(t *testing.T) {
	options := chart.Options{
		Chart: "shop", Version: "2.0.0", Repository: chart.Repository{URL: "https://charts.invalid"},
		ReleaseName: "live", Namespace: "shop",
		Instead: write(t, files, nil),
	}
	rendered, err := chart.Render(t.Context(), options)
	require.NoError(t, err)
	assert.Equal(t, "1.2.3", rendered.Instead, "the rendered version is not the requested one")

	options.Chart, options.Repository, options.Version = "oci://charts.invalid/team/shop", chart.Repository{}, "1.2.3"
	rendered, err = chart.Render(t.Context(), options)
	require.NoError(t, err)
	assert.Empty(t, rendered.Instead)

	options.Chart = "oci://charts.invalid/team/other"
	_, err = chart.Render(t.Context(), options)
	require.ErrorContains(t, err, "find chart oci://charts.invalid/team/other", "another chart is downloaded")
}

func TestRenderFaults(t *testing.T) {
	cases := map[string]struct {
		changes map[string]string
		want    []string
	}{
		"no chart": {
			want: []string{"find chart ./none"},
		},
		"a dependency that is not there": {
			changes: map[string]string{"Chart.yaml": files["Chart.yaml"] +
				"dependencies: [{name: other, version: 1.0.0, repository: 'https://charts.invalid'}]\n"},
			want: []string{
				"found in Chart.yaml, but missing in charts/ directory: other",
				"add them to its charts folder, or set dependencyUpdate",
			},
		},
		"a template with a fault": {
			changes: map[string]string{"templates/deployment.yaml": "{{ .Values.none.more }}"},
			want:    []string{"render chart", "deployment.yaml"},
		},
		"an object without name": {
			changes: map[string]string{
				"templates/list.yaml": "apiVersion: v1\nkind: Secret\nstringData: {a: sesame-open}\n",
			},
			want: []string{"metadata.name is missing in:", "# Source: shop/templates/list.yaml", "kind: Secret"},
		},
		"a library": {
			changes: map[string]string{"Chart.yaml": "apiVersion: v2\nname: shop\nversion: 1.2.3\ntype: library\n"},
			want:    []string{"is a library chart"},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			path := "./none"
			if c.changes != nil {
				path = write(t, files, c.changes)
			}
			_, err := chart.Render(t.Context(), chart.Options{
				Chart: path, Dir: t.TempDir(), ReleaseName: "live", Namespace: "shop",
			})
			require.Error(t, err)
			for _, want := range c.want {
				require.ErrorContains(t, err, want)
			}
			assert.NotContains(t, err.Error(), "sesame-open", "an error does not show content that can be secret")
		})
	}
}
