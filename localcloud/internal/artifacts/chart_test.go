package artifacts

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
)

const crd = `apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  annotations:
    controller-gen.kubebuilder.io/version: v0.18.0
  name: %NAME%.example.io
spec:
  names:
    kind: %KIND%
    singular: %NAME%
  versions:
    - name: v1
      schema:
        openAPIV3Schema:
          description: a template such as {{ .password }} stays as it is
`

func module(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	write := func(path, text string) {
		path = filepath.Join(dir, path)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o444))
	}
	write("deploy/charts/external-secrets/Chart.yaml",
		"apiVersion: v2\nname: external-secrets\nversion: 0.0.1\ndependencies: [{name: absent, version: v1, "+
			"repository: oci://nowhere.example}]\n")
	write("deploy/charts/external-secrets/Chart.lock", "dependencies: []\n")
	write("deploy/charts/external-secrets/values.yaml",
		"installCRDs: true\ncrds: {createPushSecret: true, annotations: {}}\n")
	write("deploy/charts/external-secrets/templates/crds/README.md", "generated\n")
	password := strings.NewReplacer("%NAME%", "password", "%KIND%", "Password").Replace(crd)
	push := strings.NewReplacer("%NAME%", "pushsecret", "%KIND%", "PushSecret").Replace(crd)
	write("deploy/crds/bundle.yaml", password+"---\n"+push)
	return dir
}

func render(t *testing.T, values map[string]any) map[string]string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "chart")
	require.NoError(t, releaseChart(module(t), "v0.20.4", to))
	c, err := loader.Load(to)
	require.NoError(t, err)
	assert.Equal(t, "0.20.4", c.Metadata.Version)
	assert.Empty(t, c.Metadata.Dependencies)
	all, err := chartutil.ToRenderValues(c, values, chartutil.ReleaseOptions{}, nil)
	require.NoError(t, err)
	out, err := engine.Render(c, all)
	require.NoError(t, err)
	return out
}

func TestTheChartInstallsItsCRDsAsAReleaseDoes(t *testing.T) {
	out := render(t, map[string]any{"crds": map[string]any{
		"annotations": map[string]any{"helm.sh/resource-policy": "keep"},
	}})
	password := out["external-secrets/templates/crds/password.yaml"]
	assert.Contains(t, password, "helm.sh/resource-policy: keep\n")
	assert.Contains(t, password, "controller-gen.kubebuilder.io/version: v0.18.0")
	assert.Contains(t, password, "such as {{ .password }} stays")
	assert.Contains(t, out["external-secrets/templates/crds/pushsecret.yaml"], "kind: PushSecret")
}

func TestTheChartsCRDSwitchesWork(t *testing.T) {
	none := render(t, map[string]any{"installCRDs": false})
	for name, text := range none {
		assert.NotContains(t, text, "CustomResourceDefinition", name)
	}
	some := render(t, map[string]any{"crds": map[string]any{"createPushSecret": false}})
	assert.NotContains(t, some["external-secrets/templates/crds/pushsecret.yaml"], "CustomResourceDefinition")
	assert.Contains(t, some["external-secrets/templates/crds/password.yaml"], "CustomResourceDefinition")
}
