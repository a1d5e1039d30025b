package main

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"dbtier/components/componenttest"
	"dbtier/components/externalsecrets"
	"dbtier/tests/crds"
)

// Only one version of the operator runs on the local cloud. Every object that the tier makes for it must be valid for
// all supported versions.
func TestTheOperatorsObjectsAreValidForEverySupportedVersion(t *testing.T) {
	t.Parallel()
	versions, err := crds.Load()
	require.NoError(t, err)
	var known []string
	for _, v := range versions {
		known = append(known, v.Version)
	}
	assert.Contains(t, known, externalsecrets.DefaultOperator().Version, "the default is a version that is checked")

	checked := map[string]int{}
	check := func(recorded *componenttest.Recording) {
		for _, r := range recorded.Each() {
			if !strings.Contains(r.Type, "external-secrets.io/") {
				continue
			}
			object := maps.Clone(r.Inputs)
			if _, given := object["kind"]; !given {
				group, kind, _ := strings.Cut(strings.TrimPrefix(r.Type, "kubernetes:"), ":")
				object["apiVersion"], object["kind"] = group, kind
			}
			for _, v := range versions {
				require.NoError(t, v.Check(object), r.URN)
			}
			checked[r.Type[strings.LastIndex(r.Type, ":")+1:]]++
			// The check can fail: no version knows this field.
			spec, ok := object["spec"].(map[string]any)
			require.True(t, ok, r.URN)
			spec = maps.Clone(spec)
			spec["unknown"] = true
			object["spec"] = spec
			for _, v := range versions {
				require.ErrorContains(t, v.Check(object), "unknown", r.URN)
			}
		}
	}
	for _, stack := range stacks {
		check(run(t, stack))
	}
	for _, stack := range []string{"password", "tokens"} {
		recorded, _ := proxyStack(t, stack)
		check(recorded)
	}
	for _, stack := range []string{"orders", "billing"} {
		recorded, _ := serviceStack(t, stack)
		check(recorded)
	}
	const secret = "arn:aws:secretsmanager:ap-northeast-2:123456789012:secret:myshop/cache-AbCdEf"
	_, options := projectWith(t, "prod", func(text string) string {
		return strings.Replace(text, "  dbtier:pool:\n", `  dbtier:pool:
    metrics: {enabled: true}
    logins: [{name: reports, credentialArn: "`+secret+`", poolSize: 2}]
`, 1) + `  dbtier:secrets:
    storeKind: SecretStore
    further:
      - {name: cache, arn: "` + secret + `", keys: {CACHE_TOKEN: token}, refreshPolicy: OnChange}
      - name: urls
        arn: "` + secret + `"
        urls: {CACHE_URL: {scheme: redis, user: username, password: password, host: cache, port: 6379}}
      - {name: files, arn: "` + secret + `", use: files, mountPath: /etc/cache}
`
	})
	check(componenttest.Run(t, deploy, options...))
	for _, kind := range []string{"ClusterSecretStore", "ExternalSecret", "Password", "PushSecret", "SecretStore"} {
		assert.Positive(t, checked[kind], kind)
	}
}

func TestTheDocumentsNameTheVersionsOfTheOperator(t *testing.T) {
	t.Parallel()
	read := func(file string) string {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		return string(text)
	}
	text := read(filepath.Join("docs", "how-to", "cluster.md"))
	versions, err := crds.Load()
	require.NoError(t, err)
	for _, v := range versions {
		assert.Contains(t, text, v.Version)
	}
	tag := regexp.MustCompile(`external-secrets\n {6}tag: v(\S+)`).FindStringSubmatch(read("Pulumi.local.yaml"))
	require.NotNil(t, tag)
	assert.Contains(t, text, tag[1])
}
