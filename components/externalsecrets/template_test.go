package externalsecrets_test

import (
	"bytes"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"text/template"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"dbtier/components/componenttest"
	"dbtier/components/eso"
	"dbtier/components/externalsecrets"
	"dbtier/validation"
)

const cacheArn = "arn:aws:secretsmanager:ap-northeast-2:111122223333:secret:myshop/cache-AbCdEf"

func of(property string) externalsecrets.Value {
	return externalsecrets.Value{Secret: pulumi.String(cacheArn), Property: property}
}

// appSecrets returns two Secrets besides the database's.
func appSecrets() []externalsecrets.Secret {
	user, password := of("user name"), of("password")
	return []externalsecrets.Secret{
		{Name: "myshop-cache", Keys: map[string]externalsecrets.Template{
			"CACHE_URL": externalsecrets.URL{
				Scheme: "rediss", User: &user, Password: &password, Host: pulumi.String("cache.internal"), Port: 6379,
				Path:  "/0",
				Query: map[string]string{"timeout": "5s", "a&b": "{{ .password }}"},
			},
			"CACHE_TOKEN": of("token"),
		}, RefreshPolicy: eso.CreatedOnce, Type: "Opaque"},
		{Name: "myshop-all", Extract: []pulumi.StringInput{pulumi.String(cacheArn)}},
	}
}

func withAppSecrets(t *testing.T) *componenttest.Recording {
	t.Helper()
	args := arguments(t)
	args.Secrets = appSecrets()
	return componenttest.Run(t, func(ctx *pulumi.Context) error {
		secrets, err := externalsecrets.NewExternalSecretsStack(ctx, "secrets", args)
		if err != nil {
			return err
		}
		ctx.Export("names", secrets.SecretNames)
		return nil
	})
}

func TestAppSecretsAreMadeOfNamedValues(t *testing.T) {
	t.Parallel()
	recorded := withAppSecrets(t)
	cache := recorded.Named(t, externalSecretType, "secrets-secret-myshop-cache")
	store := map[string]any{"storeRef": map[string]any{"kind": "ClusterSecretStore", "name": "myshop-prod"}}
	var wanted []any
	for i, property := range []string{"token", "user name", "password"} {
		wanted = append(wanted, map[string]any{
			"secretKey": fmt.Sprintf("value%d", i), "remoteRef": map[string]any{"key": cacheArn, "property": property},
			"sourceRef": store,
		})
	}
	assert.Equal(t, wanted, cache.At("spec", "data"),
		"a key that the secret does not have is an error, not an empty value")
	assert.Nil(t, cache.At("spec", "dataFrom"))
	assert.Equal(t, "CreatedOnce", cache.At("spec", "refreshPolicy"))
	assert.Equal(t, "15m", cache.At("spec", "refreshInterval"))
	assert.Equal(t, "Opaque", cache.At("spec", "target", "template", "type"))
	assert.Equal(t, "condition=Ready", cache.At("metadata", "annotations", "pulumi.com/waitFor"))
	assert.True(t, recorded.Follows(cache, recorded.One(t, clusterStoreType)))
	assert.Equal(t, recorded.One(t, externalsecrets.StackType).URN, componenttest.ParentOf(cache))

	whole := recorded.Named(t, externalSecretType, "secrets-secret-myshop-all")
	assert.Equal(t, cacheArn, whole.At("spec", "dataFrom", 0, "extract", "key"))
	assert.Nil(t, whole.At("spec", "target", "template", "data"), "every key is copied unchanged")
	assert.Equal(t, map[string]string{"myshop-cache": "myshop-cache", "myshop-all": "myshop-all"},
		recorded.Outputs["names"])
}

// rendered renders the templates of the first Secret as the operator does.
func rendered(t *testing.T, recorded *componenttest.Recording, values map[string]string) map[string]string {
	t.Helper()
	data, _ := recorded.Named(t, externalSecretType, "secrets-secret-myshop-cache").At("spec", "target", "template",
		"data").(map[string]any)
	out := map[string]string{}
	for key, text := range data {
		parsed, err := template.New("").Option("missingkey=error").Funcs(template.FuncMap{
			"replace": func(old, replacement, in string) string { return strings.ReplaceAll(in, old, replacement) },
		}).Parse(text.(string))
		require.NoError(t, err)
		var text bytes.Buffer
		require.NoError(t, parsed.Execute(&text, values))
		out[key] = text.String()
	}
	return out
}

func checkURL(t *testing.T, recorded *componenttest.Recording, user, password string) {
	t.Helper()
	data := rendered(t, recorded, map[string]string{"value0": "t", "value1": user, "value2": password})
	at, err := url.Parse(data["CACHE_URL"])
	require.NoError(t, err, "%q", data["CACHE_URL"])
	assert.Equal(t, "rediss", at.Scheme)
	assert.Equal(t, "cache.internal:6379", at.Host)
	assert.Equal(t, "/0", at.Path)
	assert.Equal(t, url.Values{"timeout": {"5s"}, "a&b": {"{{ .password }}"}}, at.Query(),
		"only values of secrets are templates")
	assert.Equal(t, user, at.User.Username())
	got, _ := at.User.Password()
	assert.Equal(t, password, got)
}

func TestValuesReachTheReaderOfAURLAsTheyAre(t *testing.T) {
	t.Parallel()
	recorded := withAppSecrets(t)
	for _, text := range []string{
		"plain", "a b+c", `p@ss:w/o?r#d&%41`, `"'{{ .x }}`, "ümläut€",
		"4k]-%hA|RI*[?j(-(l]{(",
	} {
		checkURL(t, recorded, "u"+text, text)
	}
	assert.Equal(t, "as it is: %", rendered(t, recorded,
		map[string]string{"value0": "as it is: %", "value1": "", "value2": ""})["CACHE_TOKEN"])
}

func FuzzURL(f *testing.F) {
	f.Add("user", "a b+c%2")
	var recorded *componenttest.Recording
	f.Fuzz(func(t *testing.T, user, password string) {
		if recorded == nil {
			recorded = withAppSecrets(t)
		}
		checkURL(t, recorded, user, password)
	})
}

func TestURLsWithoutUserPortOrName(t *testing.T) {
	t.Parallel()
	password := of("password")
	for want, url := range map[string]externalsecrets.URL{
		"amqps://queue.internal": {Scheme: "amqps", Host: pulumi.String("queue.internal")},
		"redis://:p%20w@[2001:db8::1]": {
			Scheme: "redis", Host: pulumi.String("2001:db8::1"), Password: &password,
		},
		"https://[2001:db8::1]:8443/path%20to?q=": {
			Scheme: "https", Host: pulumi.String("2001:db8::1"), Port: 8443, Path: "/path to",
			Query: map[string]string{"q": ""},
		},
	} {
		args := arguments(t)
		args.Secrets = []externalsecrets.Secret{
			{Name: "myshop-cache", Keys: map[string]externalsecrets.Template{"URL": url}},
		}
		recorded := componenttest.Run(t, create(args))
		assert.Equal(t, want, rendered(t, recorded, map[string]string{"value0": "p w"})["URL"])
	}
}

func TestAnInvalidHostOfAURLStopsTheRun(t *testing.T) {
	t.Parallel()
	args := arguments(t)
	args.Secrets = []externalsecrets.Secret{{Name: "x", Keys: map[string]externalsecrets.Template{
		"URL": externalsecrets.URL{Scheme: "https", Host: pulumi.String("a/b").ToStringOutput()},
	}}}
	_, err := componenttest.Try(create(args))
	assert.ErrorContains(t, err, `host: "a/b": want the name or the address of a host`)
}

func TestFaultsOfAppSecrets(t *testing.T) {
	t.Parallel()
	args := arguments(t)
	nothing := externalsecrets.Value{}
	args.Secrets = []externalsecrets.Secret{
		{Name: "A B", Type: "-", RefreshPolicy: "Never", RefreshInterval: "1s"},
		{Name: "myshop-api-db-direct", Extract: []pulumi.StringInput{nil}, Keys: map[string]externalsecrets.Template{
			"a b": of("x"), "B": nil, "C": nothing, "D": externalsecrets.URL{
				Scheme: "Http:", User: &nothing, Host: pulumi.String("a b"), Port: -1, Path: "0",
			},
			"E": externalsecrets.Value{Secret: pulumi.String("s"), Property: "a\nb"},
			"F": externalsecrets.URL{Scheme: "https"},
		}},
	}
	recorded, err := componenttest.Try(create(args))
	require.Error(t, err)
	assert.Empty(t, recorded.Each())
	for _, fault := range []string{
		`secrets[0].name: "A B": want`,
		`secrets[0].keys: is missing: the Secret would be empty`,
		`secrets[0].type: "-": want a type of Secrets`,
		`secrets[0].refreshPolicy: "Never": want one of Periodic, OnChange, CreatedOnce`,
		`secrets[0].refreshInterval: "1s": want 10s to 24h`,
		`secrets[1].name: "myshop-api-db-direct": is another Secret's name`,
		`secrets[1].keys: and extract are both given`,
		`secrets[1].extract[0]: is missing`,
		`secrets[1].keys.a b: "a b": want letters`,
		`secrets[1].keys.B: is missing`,
		`secrets[1].keys.C.secret: is missing`,
		`secrets[1].keys.D.scheme: "Http:": want the scheme`,
		`secrets[1].keys.D.user.secret: is missing`,
		`secrets[1].keys.D.host: "a b": want the name`,
		`secrets[1].keys.D.port: -1: want 1 to 65535`,
		`secrets[1].keys.D.path: "0": want a path that begins with /`,
		`secrets[1].keys.E.property: "a\nb": want a key`,
		`secrets[1].keys.F.host: is missing`,
	} {
		assert.ErrorContains(t, err, fault)
	}
}

// Every object's name is a label, for any name of the service.
func TestEveryNameStaysWithinItsLimit(t *testing.T) {
	t.Parallel()
	for length := 1; length <= 63; length++ {
		args := arguments(t)
		args.Service = strings.Repeat("s", length)
		args.Secrets = appSecrets()
		for _, resource := range componenttest.Run(t, create(args)).Each() {
			if name, _ := resource.At("metadata", "name").(string); resource.Custom {
				assert.True(t, validation.Label.Matches(name), "%s of a service name of %d characters: %q",
					resource.Type, length,
					name)
			}
		}
	}
}
