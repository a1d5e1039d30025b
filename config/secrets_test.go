package config_test

import (
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"dbtier/components/externalsecrets"
)

func TestFurtherSecretsOfTheConfigAreThoseOfTheComponent(t *testing.T) {
	t.Parallel()
	stack, err := load(t, least+`  dbtier:secrets:
    further:
      - name: my-shop-cache
        arn: `+reportsArn+`
        keys: {CACHE_TOKEN: token}
        urls: {CACHE_URL: {scheme: rediss, password: password, host: cache.internal, port: 6379, path: /0}}
      - {name: my-shop-tls, arn: `+reportsArn+`, use: files, mountPath: /etc/my-shop/tls, refreshPolicy: OnChange, type: kubernetes.io/tls}
`)
	require.NoError(t, err)
	further := stack.Secrets.Further
	password := externalsecrets.Value{Secret: pulumi.String(reportsArn), Property: "password"}
	assert.Equal(t, externalsecrets.Secret{Name: "my-shop-cache", Keys: map[string]externalsecrets.Template{
		"CACHE_TOKEN": externalsecrets.Value{Secret: pulumi.String(reportsArn), Property: "token"},
		"CACHE_URL": externalsecrets.URL{
			Scheme: "rediss", Password: &password, Host: pulumi.String("cache.internal"),
			Port: 6379, Path: "/0",
		},
	}}, further[0].Args())
	assert.True(t, further[0].InEnvironment())
	whole := further[1].Args()
	assert.Equal(t, []pulumi.StringInput{pulumi.String(reportsArn)}, whole.Extract, "without keys every key is taken")
	assert.Equal(t, "OnChange", whole.RefreshPolicy)
	assert.False(t, further[1].InEnvironment())
	assert.Equal(t, "1m", stack.Secrets.RefreshInterval, "the database's keeps its default")
}

func TestFaultsOfFurtherSecretsAreReportedWithTheOthers(t *testing.T) {
	t.Parallel()
	_, err := load(t, least+`  dbtier:secrets:
    storeKind: Store
    further:
      - {name: A, arn: x, kmsKeyArn: y, use: variables}
      - {name: my-shop-db, arn: `+reportsArn+`, keys: {DATABASE_URL: url, a-b: x, U: v}, urls: {U: {scheme: "", host: "a b", port: 70000}}}
      - {name: files, arn: `+reportsArn+`, use: files}
      - {name: files, arn: `+reportsArn+`, mountPath: /etc/x, refreshInterval: 1s}
`)
	require.Error(t, err)
	for _, fault := range []string{
		`dbtier:secrets.storeKind: "Store": want`,
		`dbtier:secrets.further[0].name: "A": want`,
		`dbtier:secrets.further[0].arn: "x": want the whole ARN`,
		`dbtier:secrets.further[0].kmsKeyArn: "y": want`,
		`dbtier:secrets.further[0].use: "variables": want one of`,
		`dbtier:secrets.further[1].name: "my-shop-db": is the name of another Secret`,
		`dbtier:secrets.further[1].keys.DATABASE_URL: "DATABASE_URL": is the key of the database's URL`,
		`dbtier:secrets.further[1].keys.a-b: "a-b": is not the name of an environment variable`,
		`dbtier:secrets.further[1].urls.U: is also in keys`,
		`dbtier:secrets.further[1].urls.U.scheme: "": want`,
		`dbtier:secrets.further[1].urls.U.host: "a b": want`,
		`dbtier:secrets.further[1].urls.U.port: 70000: want 1 to 65535`,
		`dbtier:secrets.further[2].mountPath: "": want the absolute path`,
		`dbtier:secrets.further[3].name: "files": is the name of another Secret`,
		`dbtier:secrets.further[3].mountPath: "/etc/x": is for files`,
		`dbtier:secrets.further[3].refreshInterval: "1s": want`,
	} {
		require.ErrorContains(t, err, fault)
	}
}
