package externalsecrets_test

import (
	"net/url"
	"strings"
	"testing"
	"text/template"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"dbtier/components/componenttest"
	"dbtier/components/contract"
	"dbtier/components/eso"
	"dbtier/components/externalsecrets"
	"dbtier/components/rdsca"
)

const (
	chartType          = "kubernetes:helm.sh/v4:Chart"
	clusterStoreType   = "kubernetes:external-secrets.io/v1:ClusterSecretStore"
	storeType          = "kubernetes:external-secrets.io/v1:SecretStore"
	externalSecretType = "kubernetes:external-secrets.io/v1:ExternalSecret"
	accountType        = "kubernetes:core/v1:ServiceAccount"
)

func bundle(t *testing.T) string {
	t.Helper()
	text, err := rdsca.Bundle(componenttest.Region)
	require.NoError(t, err)
	return text
}

func arguments(t *testing.T) *externalsecrets.ExternalSecretsStackArgs {
	t.Helper()
	return &externalsecrets.ExternalSecretsStackArgs{
		Settings:        externalsecrets.Defaults(),
		Service:         "myshop-api",
		Namespace:       "myshop",
		StoreName:       "myshop-prod",
		ServiceAccount:  "myshop-secrets",
		RoleArn:         pulumi.String("arn:aws:iam::111122223333:role/myshop-secrets"),
		Region:          componenttest.Region,
		MasterSecretArn: pulumi.String(componenttest.SecretArn),
		DatabaseHost:    pulumi.String("myshop-prod.abc.ap-northeast-2.rds.amazonaws.com"),
		DatabasePort:    pulumi.Int(5432),
		DatabaseName:    "myshop",
		CABundle:        bundle(t),
	}
}

func create(args *externalsecrets.ExternalSecretsStackArgs, opts ...pulumi.ResourceOption) pulumi.RunFunc {
	return func(ctx *pulumi.Context) error {
		secrets, err := externalsecrets.NewExternalSecretsStack(ctx, "secrets", args, opts...)
		if err != nil {
			return err
		}
		ctx.Export("direct", secrets.DirectSecret)
		ctx.Export("authorities", secrets.CAConfigMap)
		ctx.Export("account", secrets.ServiceAccount)
		ctx.Export("store", secrets.Store.Name)
		return nil
	}
}

func install(args *externalsecrets.OperatorArgs, opts ...pulumi.ResourceOption) pulumi.RunFunc {
	return func(ctx *pulumi.Context) error {
		_, err := externalsecrets.NewExternalSecretsOperator(ctx, "operator", args, opts...)
		return err
	}
}

func TestTheOperatorComesFromItsChartAndItsDefinitionsOutliveIt(t *testing.T) {
	t.Parallel()
	recorded := componenttest.Run(t, install(
		&externalsecrets.OperatorArgs{OperatorSettings: externalsecrets.DefaultOperator()},
	))
	chart := recorded.One(t, chartType)
	assert.Equal(t, "external-secrets", chart.At("chart"))
	assert.Equal(t, "2.9.0", chart.At("version"))
	assert.NotEmpty(t, chart.At("repositoryOpts", "repo"))
	assert.Equal(t, "external-secrets", chart.At("namespace"))
	assert.Equal(t, true, chart.At("values", "installCRDs"))
	assert.Equal(t, "keep", chart.At("values", "crds", "annotations", "helm.sh/resource-policy"),
		"otherwise a removed operator deletes every team's secrets")
	assert.Nil(t, chart.At("values", "extraEnv"))
	assert.Nil(t, chart.At("values", "image"))
	namespace := recorded.One(t, "kubernetes:core/v1:Namespace")
	assert.Equal(t, "restricted", namespace.At("metadata", "labels", "pod-security.kubernetes.io/enforce"))
	assert.True(t, recorded.Follows(chart, namespace))
}

func TestTwoOperatorsElectALeaderAndOneMayAlwaysGo(t *testing.T) {
	t.Parallel()
	settings := externalsecrets.DefaultOperator()
	settings.Replicas = 2
	values := componenttest.Run(t, install(&externalsecrets.OperatorArgs{OperatorSettings: settings})).One(t,
		chartType).At("values")
	assert.EqualValues(t, 2, componenttest.At(values, "replicaCount"))
	assert.Equal(t, true, componenttest.At(values, "leaderElect"))
	assert.Equal(t, true, componenttest.At(values, "podDisruptionBudget", "enabled"))
	assert.EqualValues(t, 2, componenttest.At(values, "webhook", "replicaCount"))
	assert.EqualValues(t, 1, componenttest.At(values, "webhook", "podDisruptionBudget", "minAvailable"))
}

func TestAnotherCloudHasAChartImagesAndEndpointsOfItsOwn(t *testing.T) {
	t.Parallel()
	settings := externalsecrets.DefaultOperator()
	settings.Chart, settings.Repository, settings.Image = "/charts/external-secrets", "",
		externalsecrets.Image{Repository: "local/operator", Tag: "v1"}
	chart := componenttest.Run(t, install(&externalsecrets.OperatorArgs{
		OperatorSettings: settings, STSEndpoint: "http://aws:4566", SecretsManagerEndpoint: "http://aws:4566",
	})).One(t, chartType)
	assert.Equal(t, "/charts/external-secrets", chart.At("chart"))
	assert.Nil(t, chart.At("version"))
	assert.Nil(t, chart.At("repositoryOpts"))
	assert.Equal(t, []any{
		map[string]any{"name": "AWS_STS_ENDPOINT", "value": "http://aws:4566"},
		map[string]any{"name": "AWS_SECRETSMANAGER_ENDPOINT", "value": "http://aws:4566"},
	}, chart.At("values", "extraEnv"))
	for _, part := range [][]any{
		{"values", "image"},
		{"values", "webhook", "image"},
		{"values", "certController", "image"},
	} {
		assert.Equal(t, map[string]any{"repository": "local/operator", "tag": "v1"}, chart.At(part...))
	}
}

func TestFurtherValuesOfTheChartAreMergedAndTheTiersOwnAreKept(t *testing.T) {
	t.Parallel()
	settings := externalsecrets.DefaultOperator()
	settings.Replicas, settings.WebhookPort = 2, 9443
	settings.Values = map[string]any{
		"concurrent":          8,
		"priorityClassName":   "platform",
		"tolerations":         []any{map[string]any{"key": "platform", "operator": "Exists"}},
		"extraEnv":            []any{map[string]any{"name": "HTTPS_PROXY", "value": "http://proxy:3128"}},
		"podDisruptionBudget": map[string]any{"minAvailable": 2},
	}
	values := componenttest.Run(t, install(&externalsecrets.OperatorArgs{
		OperatorSettings: settings, STSEndpoint: "http://aws:4566",
	}), componenttest.Preview()).One(t, chartType).At("values")
	assert.EqualValues(t, 8, componenttest.At(values, "concurrent"))
	assert.Equal(t, "platform", componenttest.At(values, "priorityClassName"))
	assert.Equal(t, "Exists", componenttest.At(values, "tolerations", 0, "operator"))
	assert.Equal(t, "AWS_STS_ENDPOINT", componenttest.At(values, "extraEnv", 0, "name"))
	assert.Equal(t, "HTTPS_PROXY", componenttest.At(values, "extraEnv", 1, "name"))
	assert.EqualValues(t, 2, componenttest.At(values, "podDisruptionBudget", "minAvailable"))
	assert.Equal(t, true, componenttest.At(values, "podDisruptionBudget", "enabled"))
	assert.EqualValues(t, 1, componenttest.At(values, "webhook", "podDisruptionBudget", "minAvailable"))
	assert.EqualValues(t, 9443, componenttest.At(values, "webhook", "port"))
	assert.Equal(t, true, componenttest.At(values, "installCRDs"))

	settings.WebhookPort = 443
	settings.Values = map[string]any{
		"installCRDs": false, "crds": map[string]any{"annotations": map[string]any{}},
		"image": map[string]any{"tag": "v1"}, "leaderElect": true,
		"webhook": map[string]any{"port": 9443, "replicaCount": 3, "image": map[string]any{}},
	}
	_, err := componenttest.Try(install(&externalsecrets.OperatorArgs{OperatorSettings: settings}))
	for _, fault := range []string{
		`values.installCRDs: false: cannot be set here: the stack installs`, `values.crds: {"annotations":{}}: cannot`,
		`use operator.image`, `values.leaderElect: true: cannot be set here: it follows operator.replicas`,
		`values.webhook.port: 9443: cannot be set here: use operator.webhookPort`, `values.webhook.replicaCount: 3`,
		`values.webhook.image: {}`, `webhookPort: 443: want 1024 to 65535`,
	} {
		require.ErrorContains(t, err, fault)
	}
}

// One unknown value would empty the chart's preview, and the policies would have nothing to check.
func TestTheChartsValuesAreAllKnownInAPreview(t *testing.T) {
	t.Parallel()
	args := &externalsecrets.OperatorArgs{OperatorSettings: externalsecrets.DefaultOperator()}
	known := componenttest.Run(t, install(args)).One(t, chartType).Inputs
	assert.Equal(t, known, componenttest.Run(t, install(args), componenttest.Preview()).One(t, chartType).Inputs)
}

func TestOperatorSettingsThatAreWrong(t *testing.T) {
	t.Parallel()
	recorded, err := componenttest.Try(install(
		&externalsecrets.OperatorArgs{OperatorSettings: externalsecrets.OperatorSettings{
			Namespace: "External", Repository: "https://charts.example", Version: "latest",
			Image: externalsecrets.Image{Tag: "v1"}, Replicas: 9,
		}}))
	assert.Empty(t, recorded.Each())
	for _, fault := range []string{
		`namespace: "External": want`, `chart: is missing`, `version: "latest": want the version of the chart`,
		`image: {"repository":"","tag":"v1"}: want both`, `replicas: 9: want 1 to 5`,
	} {
		require.ErrorContains(t, err, fault)
	}
	_, err = componenttest.Try(install(nil))
	assert.ErrorContains(t, err, "ExternalSecretsOperator operator: no arguments given")
}

func TestTheStoreTakesTheRoleOfItsServiceAndServesItsNamespaceOnly(t *testing.T) {
	t.Parallel()
	recorded := componenttest.Run(t, create(arguments(t)))
	account := recorded.One(t, accountType)
	assert.Equal(t, "arn:aws:iam::111122223333:role/myshop-secrets",
		account.At("metadata", "annotations", "eks.amazonaws.com/role-arn"))
	assert.Equal(t, false, account.At("automountServiceAccountToken"), "no pod runs as this account")
	store := recorded.One(t, clusterStoreType)
	assert.Equal(t, map[string]any{
		"provider": map[string]any{"aws": map[string]any{
			"service": "SecretsManager", "region": "ap-northeast-2",
			"auth": map[string]any{"jwt": map[string]any{
				"serviceAccountRef": map[string]any{"name": "myshop-secrets", "namespace": "myshop"},
			}},
		}},
		"conditions": []any{map[string]any{"namespaces": []any{"myshop"}}},
	}, store.At("spec"))
	assert.Nil(t, store.At("metadata", "namespace"))
	assert.Equal(t, "condition=Ready", store.At("metadata", "annotations", "pulumi.com/waitFor"))
	assert.True(t, recorded.Follows(store, account))
	assert.Equal(t, "myshop-prod", recorded.Outputs["store"])
}

func TestOtherNamespacesAreListed(t *testing.T) {
	t.Parallel()
	args := arguments(t)
	args.Namespaces = []string{"reports"}
	store := componenttest.Run(t, create(args)).One(t, clusterStoreType)
	assert.Equal(t, []any{"myshop", "reports"}, store.At("spec", "conditions", 0, "namespaces"))
}

func TestANamespacedStoreIsTheAlternative(t *testing.T) {
	t.Parallel()
	args := arguments(t)
	args.StoreKind = eso.SecretStore
	recorded := componenttest.Run(t, create(args))
	store := recorded.One(t, storeType)
	assert.Equal(t, "myshop", store.At("metadata", "namespace"))
	assert.Nil(t, store.At("spec", "conditions"))
	assert.Equal(t, map[string]any{"name": "myshop-secrets"},
		store.At("spec", "provider", "aws", "auth", "jwt", "serviceAccountRef"),
		"a SecretStore can only use ServiceAccounts of its own namespace")
	assert.Equal(t, "SecretStore", recorded.One(t, externalSecretType).At("spec", "dataFrom", 0, "sourceRef",
		"storeRef", "kind"))
}

func TestTheDirectSecretVerifiesTheInstance(t *testing.T) {
	t.Parallel()
	recorded := componenttest.Run(t, create(arguments(t)))
	secret := recorded.One(t, externalSecretType)
	assert.Equal(t, "myshop-api-db-direct", secret.At("metadata", "name"))
	assert.Equal(t, "1m", secret.At("spec", "refreshInterval"))
	assert.Equal(t, "Owner", secret.At("spec", "target", "creationPolicy"))
	assert.Equal(t, []any{map[string]any{
		"extract":   map[string]any{"key": componenttest.SecretArn},
		"sourceRef": map[string]any{"storeRef": map[string]any{"kind": "ClusterSecretStore", "name": "myshop-prod"}},
	}}, secret.At("spec", "dataFrom"), "one request to Secrets Manager per refresh")
	assert.True(t, recorded.Follows(secret, recorded.One(t, clusterStoreType)))
	authorities := recorded.One(t, "kubernetes:core/v1:ConfigMap")
	assert.Equal(t, bundle(t), authorities.At("data", contract.CAKey))
	assert.Equal(t, "myshop-api-rds-ca", recorded.Outputs["authorities"])
	assert.Equal(t, "myshop-api-db-direct", recorded.Outputs["direct"])
}

// psql needs only the environment. Its values are not encoded.
func TestTheDirectSecretHasLibpqsVariables(t *testing.T) {
	t.Parallel()
	data, _ := componenttest.Run(t, create(arguments(t))).One(t, externalSecretType).At("spec", "target", "template",
		"data").(map[string]any)
	delete(data, contract.DatabaseURL)
	assert.Equal(t, map[string]any{
		"PGHOST": "myshop-prod.abc.ap-northeast-2.rds.amazonaws.com", "PGPORT": "5432", "PGDATABASE": "myshop",
		"PGSSLMODE":     "verify-full",
		"PGSSLROOTCERT": "/etc/rds-ca/ca.pem", "PGUSER": "{{ .username }}", "PGPASSWORD": "{{ .password }}",
	}, data)
}

func TestAnyPasswordOfRdsSurvivesTheURL(t *testing.T) {
	t.Parallel()
	text := componenttest.Run(t, create(arguments(t))).One(t, externalSecretType).At("spec", "target", "template",
		"data", contract.DatabaseURL)
	render := func(password string) string {
		var out strings.Builder
		// The operator uses Go's template engine, in which urlquery is built in.
		values := map[string]string{"username": "myshop_admin", "password": password}
		require.NoError(t, template.Must(template.New("").Parse(text.(string))).Execute(&out, values))
		return out.String()
	}
	for _, password := range []string{"4k]-%hA|RI*[?j(-(l]{(", ":#&+$%2F=;,<>~^!`\\", "a:b%c#d?e*f[g&h+i"} {
		parsed, err := url.Parse(render(password))
		require.NoError(t, err, password)
		got, _ := parsed.User.Password()
		assert.Equal(t, password, got)
		assert.Equal(t, "myshop_admin", parsed.User.Username())
		assert.Equal(t, "myshop-prod.abc.ap-northeast-2.rds.amazonaws.com:5432", parsed.Host)
		assert.Equal(t, "/myshop", parsed.Path)
		assert.Equal(t, url.Values{"sslmode": {"verify-full"}, "sslrootcert": {"/etc/rds-ca/ca.pem"}}, parsed.Query())
	}
}

func TestSecretAndDependentInputsStayWhatTheyAre(t *testing.T) {
	t.Parallel()
	recorded := componenttest.Run(t, func(ctx *pulumi.Context) error {
		args := arguments(t)
		args.DatabaseHost = pulumi.ToSecret(pulumi.String("hidden.example")).(pulumi.StringOutput)
		_, err := externalsecrets.NewExternalSecretsStack(ctx, "secrets", args)
		return err
	})
	secret := recorded.One(t, externalSecretType)
	require.NotEmpty(t, secret.Secrets)
	assert.Contains(t, secret.Secrets[0], "template")
}

func TestOptionsOfTheComponentStayWithIt(t *testing.T) {
	t.Parallel()
	recorded := componenttest.Run(t, create(arguments(t), pulumi.IgnoreChanges([]string{"spec"})))
	component := recorded.One(t, externalsecrets.StackType)
	for _, child := range recorded.Each() {
		if child != component {
			assert.Equal(t, component.URN, componenttest.ParentOf(child), child.URN)
			assert.Empty(t, child.IgnoreChanges, child.URN)
		}
	}
}

func TestEveryFaultIsReportedAtOnce(t *testing.T) {
	t.Parallel()
	recorded, err := componenttest.Try(create(&externalsecrets.ExternalSecretsStackArgs{
		Settings: externalsecrets.Settings{StoreKind: "SecretStore", Namespaces: []string{"a", "a", "B"}, RefreshInterval: "2h"},
		Service:  "My Shop", Region: "Seoul", DatabaseName: "my-shop", CABundle: "none",
	}))
	assert.Empty(t, recorded.Each())
	for _, fault := range []string{
		`namespaces[1]: "a": is named twice`, `namespaces[2]: "B": want`, `namespaces: ["a","a","B"]: a SecretStore serves its own namespace`,
		`refreshInterval: "2h": want 10s to 1h`, `service: "My Shop"`, `namespace: ""`, `storeName: ""`, `serviceAccount: ""`, `roleArn: is missing`,
		`masterSecretArn: is missing`, `databaseHost: is missing`, `databasePort: is missing`, `region: "Seoul"`, `databaseName: "my-shop"`,
		`caBundle: is not a list of PEM certificates`,
	} {
		require.ErrorContains(t, err, fault)
	}
	_, err = componenttest.Try(create(nil))
	assert.ErrorContains(t, err, "ExternalSecretsStack secrets: no arguments given")
}
