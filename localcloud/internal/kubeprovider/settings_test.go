package kubeprovider

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestProviderInputs(t *testing.T) {
	t.Setenv("PULUMI_K8S_ENABLE_CONFIGMAP_MUTABLE", "true")
	t.Setenv("PULUMI_K8S_ENABLE_SECRET_MUTABLE", "true")
	read, faults := readSettings(props(map[string]any{
		"kubeconfig": "~/.kube/config", "context": "dev", "namespace": "shop", "enableSecretMutable": false,
		"deleteUnreachable":     "true",
		"enableServerSideApply": true, "kubeClientSettings": map[string]any{"qps": 10.0}, "version": "4.30.0",
		"suppressHelmHookWarnings": nil,
	}))
	assert.Empty(t, faults)
	assert.Equal(t, settings{
		Kubeconfig: "~/.kube/config", Context: "dev", Namespace: "shop",
		EnableConfigMapMutable: true, DeleteUnreachable: true,
	}, read, "inputs override the environment, which overrides defaults")
}

func TestProviderInputsReportAllFaults(t *testing.T) {
	s := server(t, nil)
	news, err := marshal("", props(map[string]any{
		"context": 7.0, "enableSecretMutable": "maybe", "enableServerSideApply": false, "renderYamlToDirectory": "out",
		"kubecfg": "typo",
	}))
	require.NoError(t, err)
	response, err := s.CheckConfig(t.Context(), &pulumirpc.CheckRequest{News: news})
	require.NoError(t, err)
	var faults []string
	for _, failure := range response.GetFailures() {
		faults = append(faults, failure.GetProperty()+": "+failure.GetReason())
	}
	assert.Equal(t, []string{
		"context: must be a string and is a number",
		`enableSecretMutable: must be true or false and is "maybe"`,
		"enableServerSideApply: client-side apply is not supported here: leave it out or set it to true",
		"kubecfg: is not an input of the kubernetes provider: leave it out",
		"renderYamlToDirectory: rendering to files is not supported here: leave it out, or " + installed,
	}, faults)
}

const kubeconfig = `apiVersion: v1
kind: Config
current-context: one
clusters: [{name: c, cluster: {server: "https://one.invalid:6443"}}]
users: [{name: u, user: {token: a-secret-token}}]
contexts:
- {name: one, context: {cluster: c, user: u}}
- {name: two, context: {cluster: c, user: u, namespace: shop}}
`

func TestKubeconfigIsAPathOrAText(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "config"), []byte(kubeconfig), 0o600))
	for name, given := range map[string]string{
		"absolute": filepath.Join(dir, "config"), "below the project": "config",
		"text": kubeconfig,
	} {
		t.Run(name, func(t *testing.T) {
			found, err := connect(dir, settings{Kubeconfig: given, Context: "two"})
			require.NoError(t, err)
			assert.Equal(t, "https://one.invalid:6443", found.config.Host)
			assert.Equal(t, "shop", found.namespace)
		})
	}
	found, err := connect(dir, settings{Kubeconfig: "config", Namespace: "other"})
	require.NoError(t, err)
	assert.Equal(t, "one", found.context)
	assert.Equal(t, "other", found.namespace)
}

func TestKubeconfigFaults(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "config"), []byte(kubeconfig), 0o600))
	for name, c := range map[string]struct {
		given settings
		want  string
	}{
		"no file": {
			settings{Kubeconfig: "none"},
			"kubeconfig " + filepath.Join(dir, "none") + " does not exist: start the cluster that writes it",
		},
		"no such context": {
			settings{Kubeconfig: "config", Context: "three"},
			`has no context "three": set the provider's context to one of "one", "two"`,
		},
		"a text, damaged": {
			settings{Kubeconfig: "{a-secret-token"},
			"the kubeconfig passed to the provider as text cannot be read as YAML or JSON",
		},
		"a context of none": {
			settings{Kubeconfig: "apiVersion: v1\nkind: Config\n", Context: "x"},
			"none (the file has no contexts)",
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := connect(dir, c.given)
			require.ErrorContains(t, err, c.want)
			assert.NotContains(t, err.Error(), "a-secret-token")
		})
	}
}

func TestConfigureAgain(t *testing.T) {
	configure := func(s *Server, name string, inputs map[string]any) error {
		args, err := marshal("", props(inputs))
		require.NoError(t, err)
		_, err = s.Configure(t.Context(), &pulumirpc.ConfigureRequest{
			Urn: new(urnOf("pulumi:providers:kubernetes", name)), Args: args,
		})
		return err
	}
	check := func(s *Server, name string, inputs map[string]any) {
		news, err := marshal("", props(inputs))
		require.NoError(t, err)
		_, err = s.CheckConfig(t.Context(), &pulumirpc.CheckRequest{
			Urn: urnOf("pulumi:providers:kubernetes", name), News: news,
		})
		require.NoError(t, err)
	}
	old, updated := map[string]any{"namespace": "a"}, map[string]any{"namespace": "b"}

	s := server(t, old)
	require.NoError(t, configure(s, "k8s", old), "the update after the preview")
	require.ErrorContains(t, configure(s, "second", updated),
		`kubernetes provider "second": another configuration is in use (that of "k8s")`)

	check(s, "k8s", updated)
	require.NoError(t, configure(s, "k8s", updated), "the program changed the provider")
	require.NoError(t, configure(s, "k8s", old), "the version in the state, for resources that depend on it")
	assert.Equal(t, "b", s.settled().Namespace)

	_, err := s.Attach(t.Context(), &pulumirpc.PluginAttach{Address: "127.0.0.1:1"})
	require.NoError(t, err)
	require.NoError(t, configure(s, "second", old), "another engine is another run")
	assert.Equal(t, "a", s.settled().Namespace)
}

func TestCancelEndsWhatRunsAndNotTheNextRun(t *testing.T) {
	s := server(t, nil)
	ctx, done := s.bound(t.Context())
	defer done()
	_, err := s.Cancel(t.Context(), nil)
	require.NoError(t, err)
	<-ctx.Done()
	next, done := s.bound(t.Context())
	defer done()
	assert.NoError(t, next.Err())
}

func TestDiffConfigNeverReplaces(t *testing.T) {
	s := server(t, nil)
	olds, err := marshal("", resource.PropertyMap{"kubeconfig": resource.NewStringProperty("a")})
	require.NoError(t, err)
	news, err := marshal("", resource.PropertyMap{"kubeconfig": resource.NewStringProperty("b")})
	require.NoError(t, err)
	response, err := s.DiffConfig(t.Context(), &pulumirpc.DiffRequest{Olds: olds, News: news})
	require.NoError(t, err)
	assert.Equal(t, pulumirpc.DiffResponse_DIFF_SOME, response.GetChanges())
	assert.Equal(t, []string{"kubeconfig"}, response.GetDiffs())
	assert.Empty(t, response.GetReplaces())
}
