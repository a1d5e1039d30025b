package kubeprovider

import (
	"path/filepath"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestChartInputs(t *testing.T) {
	provider, err := New(Options{Offline: true, Dir: "project"})
	require.NoError(t, err)
	s := provider.(*Server)
	args, err := s.readChartArgs("operator", props(map[string]any{
		"chart": "external-secrets", "version": "2.9.0", "namespace": "external-secrets", "skipCrds": false,
		"resourcePrefix": "",
		"values":         map[string]any{"port": 9443.0, "token": resource.MakeSecret(resource.NewStringProperty("t"))},
		"repositoryOpts": map[string]any{"repo": "https://charts.invalid", "caFile": "ca.pem"},
		"valueYamlFiles": []any{resource.NewAssetProperty(mustAsset(t))},
	}))
	require.NoError(t, err)
	assert.Equal(t, "operator", args.ReleaseName, "the default is the resource's name")
	assert.Empty(t, args.prefix, "an explicit empty prefix is respected")
	assert.True(t, args.secret)
	assert.Equal(t, map[string]any{"port": int64(9443), "token": "t"}, args.Values)
	assert.Equal(t, "https://charts.invalid", args.Repository.URL)
	assert.Equal(t, filepath.Join("project", "ca.pem"), args.Repository.CAFile)
	assert.Equal(t, [][]byte{[]byte("content")}, args.ValueFiles)
}

func TestChartInputsReportAllFaults(t *testing.T) {
	_, err := server(t, nil).readChartArgs("operator", props(map[string]any{
		"values": "x", "skipAwait": "yes", "postRenderer": map[string]any{"command": "kustomize"}, "vals": 1.0,
		"repositoryOpts": map[string]any{"url": "https://charts.invalid"},
	}))
	require.Error(t, err)
	for _, want := range []string{
		`chart "operator": `,
		"postRenderer: is not supported here",
		"repositoryOpts.url: is not a supported option",
		"skipAwait: must be true or false and is a string",
		"vals: is not a supported input of kubernetes:helm.sh/v4:Chart",
		"values: is a string and must be a map",
		"chart: is missing",
	} {
		assert.ErrorContains(t, err, want)
	}
}

func TestOtherComponentsAreRefusedByName(t *testing.T) {
	_, err := server(t, nil).Construct(t.Context(),
		&pulumirpc.ConstructRequest{Type: "kubernetes:yaml/v2:ConfigGroup", Name: "g"})
	require.ErrorContains(t, err,
		"g: component kubernetes:yaml/v2:ConfigGroup is not supported here: use kubernetes:helm.sh/v4:Chart")
}
