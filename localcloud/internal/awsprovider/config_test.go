package awsprovider_test

import (
	"testing"

	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"dbtier/localcloud/internal/awsprovider"
)

func TestOnlyStacksMarkedLocalAreServed(t *testing.T) {
	for name, c := range map[string]struct {
		endpoints any
		want      string
	}{
		"no endpoints":   {nil, "sts is missing, rds is missing, secretsmanager is missing"},
		"one is missing": {[]any{props{"sts": endpoint, "rds": endpoint}}, "but secretsmanager is missing"},
		"another stand-in": {
			[]any{props{"sts": endpoint, "rds": "http://127.0.0.1:4566", "secretsmanager": endpoint}},
			`rds is "http://127.0.0.1:4566"`,
		},
		"AWS by name": {
			[]any{props{"sts": "https://sts.amazonaws.com", "rds": endpoint, "secretsmanager": endpoint}},
			`sts is "https://sts.amazonaws.com"`,
		},
		"JSON of something": {`[{"sts":"` + endpoint + `"}]`, "rds is missing"},
	} {
		t.Run(name, func(t *testing.T) {
			server := newServer(t, awsprovider.Options{Endpoint: endpoint, ControlSocket: "unused"})
			args := with(marker(), props{"endpoints": c.endpoints})
			err := configure(t, server, args)
			require.ErrorContains(t, err, "this stack is not marked local: ")
			require.ErrorContains(t, err, c.want)
			require.ErrorContains(t, err, "dbtier:cloud: local")

			resp, err := server.CheckConfig(t.Context(), &pulumirpc.CheckRequest{News: marshal(t, args)})
			require.NoError(t, err)
			require.Len(t, resp.GetFailures(), 1)
			assert.Contains(t, resp.GetFailures()[0].GetReason(), "this stack is not marked local: ")
		})
	}
}

func TestTheMarkerIsReadAsTextAndAsObjects(t *testing.T) {
	text := `[{"sts":"` + endpoint + `"},{"rds":"` + endpoint + `","secretsmanager":"` + endpoint + `"}]`
	for name, endpoints := range map[string]any{
		"text":   text,
		"secret": secretValue(text),
		"object": props{"sts": endpoint, "rds": endpoint, "secretsmanager": endpoint},
		"list":   marker()["endpoints"],
	} {
		t.Run(name, func(t *testing.T) {
			server := newServer(t, awsprovider.Options{Endpoint: endpoint, ControlSocket: "unused"})
			require.NoError(t, configure(t, server, with(marker(), props{"endpoints": endpoints})))
		})
	}
	server := newServer(t, awsprovider.Options{Endpoint: endpoint, ControlSocket: "unused"})
	_, err := server.Configure(t.Context(), &pulumirpc.ConfigureRequest{Variables: map[string]string{
		"aws:config:region": "ap-northeast-2", "aws:config:endpoints": text,
	}})
	require.NoError(t, err)
}

func TestProviderInputsThatTheLocalCloudDoesNotModelAreRefused(t *testing.T) {
	server := newServer(t, awsprovider.Options{Endpoint: endpoint, ControlSocket: "unused"})
	args := with(marker(), props{
		"assumeRoles":       []any{props{"roleArn": "arn"}},
		"allowedAccountIds": `["999988887777"]`,
	})
	delete(args, "region")
	err := configure(t, server, args)
	require.ErrorContains(t, err, "assumeRoles: the local cloud does not model this provider input")
	require.ErrorContains(t, err,
		`allowedAccountIds: ["999988887777"]: must contain the local cloud's account 111122223333`)
	require.ErrorContains(t, err, "region: missing")
	require.NoError(t, configure(t, server, with(marker(), props{"allowedAccountIds": []any{"111122223333"}})))
}

func TestASecondDifferentConfigurationIsRefused(t *testing.T) {
	server := newServer(t, awsprovider.Options{Endpoint: endpoint, ControlSocket: "unused"})
	require.NoError(t, configure(t, server, with(marker(), props{"accessKey": "AKIAONE"})))
	require.NoError(t, configure(t, server, with(marker(), props{"accessKey": "AKIAONE"})),
		"a preview and an update in one run")
	err := configure(t, server, with(marker(), props{"accessKey": "AKIATWO", "region": "eu-west-1"}))
	require.ErrorContains(t, err, "already configured in this run, with other values of accessKey, region")
	require.NotContains(t, err.Error(), "AKIA")
}

func TestDiffConfigReplacesForAnotherRegionOnly(t *testing.T) {
	server := newServer(t, awsprovider.Options{Endpoint: endpoint, ControlSocket: "unused"})
	configDiff := func(news props) *pulumirpc.DiffResponse {
		resp, err := server.DiffConfig(t.Context(),
			&pulumirpc.DiffRequest{OldInputs: marshal(t, marker()), News: marshal(t, news)})
		require.NoError(t, err)
		return resp
	}
	assert.Equal(t, pulumirpc.DiffResponse_DIFF_NONE, configDiff(marker()).GetChanges())
	tagged := configDiff(with(marker(), props{"defaultTags": props{"tags": props{"a": "b"}}}))
	assert.Equal(t, []string{"defaultTags"}, tagged.GetDiffs())
	assert.Empty(t, tagged.GetReplaces())
	assert.Equal(t, []string{"region"}, configDiff(with(marker(), props{"region": "eu-west-1"})).GetReplaces())
}
