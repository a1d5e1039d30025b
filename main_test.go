package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"

	"dbtier/components/componenttest"
	"dbtier/components/rdsca"
	"dbtier/config"
)

const (
	instanceType       = "aws:rds/instance:Instance"
	chartType          = "kubernetes:helm.sh/v4:Chart"
	deploymentType     = "kubernetes:apps/v1:Deployment"
	jobType            = "kubernetes:batch/v1:Job"
	externalSecretType = "kubernetes:external-secrets.io/v1:ExternalSecret"
	policyType         = "kubernetes:networking.k8s.io/v1:NetworkPolicy"
	storeType          = "kubernetes:external-secrets.io/v1:ClusterSecretStore"
)

// projectWith returns a project folder with the stack's config and the files that the local cloud writes.
func projectWith(
	t *testing.T, stack string, changes func(text string) string,
) (root string, options []componenttest.Option) {
	t.Helper()
	text, err := os.ReadFile("Pulumi." + stack + ".yaml")
	require.NoError(t, err)
	if changes != nil {
		text = []byte(changes(string(text)))
	}
	root = t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(root, "Pulumi."+stack+".yaml"), text, 0o600))
	authorities, err := rdsca.Bundle(componenttest.Region)
	require.NoError(t, err)
	state := filepath.Join(root, ".localcloud", "state")
	require.NoError(t, os.MkdirAll(state, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(state, "rds-ca.pem"), []byte(authorities), 0o600))

	var file struct{ Config map[string]any }
	require.NoError(t, yaml.Unmarshal(text, &file))
	values := map[string]string{}
	for key, value := range file.Config {
		if plain, ok := value.(string); ok {
			values[key] = plain
			continue
		}
		encoded, err := json.Marshal(value)
		require.NoError(t, err)
		values[key] = string(encoded)
	}
	return root, []componenttest.Option{
		componenttest.Stack(stack), componenttest.Root(root),
		componenttest.Config(values),
	}
}

func run(t *testing.T, stack string, more ...componenttest.Option) *componenttest.Recording {
	t.Helper()
	_, options := projectWith(t, stack, nil)
	return componenttest.Run(t, deploy, append(options, more...)...)
}

var stacks = []string{"dev", "prod", "local"}

func TestEachStackIsTheWholeChain(t *testing.T) {
	t.Parallel()
	for _, stack := range stacks {
		t.Run(stack, func(t *testing.T) {
			t.Parallel()
			types := run(t, stack).Types()
			for resourceType, count := range map[string]int{
				"dbtier:components:ServiceNamespace": 1, "dbtier:components:ExternalSecretsOperator": 1,
				"dbtier:components:RdsPostgres": 1,
				"dbtier:components:IrsaRole":    1, "dbtier:components:ExternalSecretsStack": 1,
				"dbtier:components:PgBouncerPool": 1,
				"dbtier:components:MigrationJob":  1, "dbtier:components:Consumer": 1,
				"pulumi:providers:aws": 1, "pulumi:providers:kubernetes": 1,
				instanceType: 1, "aws:kms/key:Key": 1, "aws:ec2/securityGroup:SecurityGroup": 1, "aws:iam/role:Role": 2,
				"aws:iam/rolePolicy:RolePolicy": 1,
				chartType:                       1, storeType: 1, externalSecretType: 9, deploymentType: 2, jobType: 3,
				"dbtier:components:DatabaseRole": 1, "kubernetes:core/v1:Namespace": 2,
			} {
				assert.Equal(t, count, types[resourceType], resourceType)
			}
		})
	}
}

func TestTheChainIsMadeInItsOrder(t *testing.T) {
	t.Parallel()
	recorded := run(t, "prod")
	instance, chart, store := recorded.One(t, instanceType), recorded.One(t, chartType), recorded.One(t, storeType)
	direct := recorded.Named(t, externalSecretType, "secrets-direct")
	pool, service := recorded.Named(t, deploymentType, "pool-deployment"),
		recorded.Named(t, deploymentType, "consumer-deployment")
	job, bootstrap := recorded.Named(t, jobType, "migration-job"), recorded.Named(t, jobType, "role-job")
	for _, order := range []struct{ later, earlier *componenttest.Resource }{
		{store, chart},
		{store, recorded.Named(t, "aws:iam/rolePolicy:RolePolicy", "secrets-role-policy")},
		{recorded.Named(t, "aws:iam/rolePolicy:RolePolicy", "secrets-role-policy"), instance},
		{direct, store},
		{direct, instance},
		{recorded.Named(t, externalSecretType, "pool-config"), store},
		{pool, recorded.Named(t, externalSecretType, "pool-config")},
		{job, direct},
		{bootstrap, direct},
		{job, bootstrap}, // the bootstrap sets the role's rights on what the migration creates
		{recorded.Named(t, externalSecretType, "pool-config"), bootstrap},
		// Connections with plans of the old schema are closed before the first pod of the new version starts.
		{recorded.Named(t, jobType, "migration-reconnect"), job},
		{recorded.Named(t, jobType, "migration-reconnect"), pool},
		{service, recorded.Named(t, jobType, "migration-reconnect")},
		{service, job},
		{service, pool},
		{service, recorded.Named(t, externalSecretType, "pool-consumer-secret")},
		{
			recorded.Named(t, policyType, "namespace-database"),
			recorded.Named(t, "kubernetes:core/v1:Namespace", "namespace-namespace"),
		},
	} {
		assert.True(t, recorded.Follows(order.later, order.earlier), "%s comes after %s", order.later.URN,
			order.earlier.URN)
	}
	for _, apart := range []struct{ one, other *componenttest.Resource }{
		{chart, instance},
		{instance, chart},
		{job, pool},
		{pool, job},
	} {
		assert.False(t, recorded.Follows(apart.one, apart.other), "%s does not wait for %s, which takes minutes",
			apart.one.URN, apart.other.URN)
	}
}

// The additional logins and secrets of the config appear in the role, the store's Secrets, the pool and the pods.
func TestFurtherLoginsAndSecretsGoTheWholeWay(t *testing.T) {
	t.Parallel()
	const reports, cache, key = "arn:aws:secretsmanager:ap-northeast-2:123456789012:secret:myshop/reports-AbCdEf",
		"arn:aws:secretsmanager:ap-northeast-2:123456789012:secret:myshop/cache-AbCdEf",
		"arn:aws:kms:ap-northeast-2:123456789012:key/cache"
	_, options := projectWith(t, "prod", func(text string) string {
		return strings.Replace(text, "  dbtier:pool:\n", `  dbtier:pool:
    clientAffinity: true
    metrics: {enabled: true, serviceMonitor: true}
    logins: [{name: reports, credentialArn: "`+reports+`", poolSize: 2}]
`, 1) + `  dbtier:secrets:
    further:
      - {name: cache, arn: "` + cache + `", kmsKeyArn: "` + key + `", keys: {CACHE_TOKEN: token}}
      - {name: files, arn: "` + cache + `", use: files, mountPath: /etc/cache}
`
	})
	recorded := componenttest.Run(t, deploy, options...)
	policy := recorded.Named(t, "aws:iam/rolePolicy:RolePolicy", "secrets-role-policy").Text()
	for _, arn := range []string{reports, cache, key, componenttest.SecretArn, componenttest.KeyArn} {
		assert.Contains(t, policy, arn)
	}
	data := recorded.Named(t, externalSecretType, "pool-config").At("spec", "data")
	assert.Equal(t, reports, componenttest.At(data, 6, "remoteRef", "key"))
	assert.Equal(t, "ClusterSecretStore", componenttest.At(data, 6, "sourceRef", "storeRef", "kind"))
	service := recorded.Named(t, deploymentType, "consumer-deployment")
	assert.Contains(t, service.Text(), `"secretRef":{"name":"cache"}`)
	assert.Contains(t, service.Text(), `"mountPath":"/etc/cache"`)
	for _, name := range []string{"secrets-secret-cache", "secrets-secret-files"} {
		assert.True(t, recorded.Follows(service, recorded.Named(t, externalSecretType, name)), name)
	}
	assert.Subset(t, recorded.Outputs[config.OutputExternalSecrets],
		[]string{"cache", "files", "reports-db", "pgbouncer-login-reports"})
	assert.EqualValues(t, 94+2*2*2, recorded.Outputs[config.OutputConnectionsPlanned])
}

func TestEveryResourceHasTheStacksOwnProvider(t *testing.T) {
	t.Parallel()
	for _, resource := range run(t, "prod").Each() {
		if resource.Custom && !strings.HasPrefix(resource.Type, "pulumi:providers:") {
			name, _, _ := strings.Cut(resource.Type, ":")
			assert.Contains(t, resource.Provider, "::pulumi:providers:"+name+"::"+name+"::", resource.URN)
		}
	}
}

// A DSN in the program is a template that the operator fills. The outputs that the stack shows are public.
func TestNoSecretIsInAnyInputOrOutput(t *testing.T) {
	t.Parallel()
	credential := regexp.MustCompile(`postgres(?:ql)?://([^@\s"]*)@`)
	for _, stack := range stacks {
		recorded := run(t, stack)
		for _, resource := range recorded.Each() {
			assert.Empty(t, resource.Secrets, resource.URN)
			assert.NotEqual(t, "kubernetes:core/v1:Secret", resource.Type,
				"the operator creates the Secrets, the program does not")
			assert.Nil(t, resource.At("password"), resource.URN)
			for _, found := range credential.FindAllStringSubmatch(resource.Text(), -1) {
				assert.Regexp(t, `^\{\{ .*urlquery \}\}:\{\{ .*urlquery \}\}$`, found[1], resource.URN)
			}
		}
		for name, value := range recorded.Outputs {
			assert.NotRegexp(t, credential, fmt.Sprint(value), name)
		}
	}
}

func TestEveryOutputIsThereForTheDriver(t *testing.T) {
	t.Parallel()
	outputs := run(t, "local").Outputs
	for name, want := range map[string]any{
		config.OutputCloud:                          "local",
		config.OutputRegion:                         "ap-northeast-2",
		config.OutputSTSEndpoint:                    "http://127.0.0.1:14566",
		config.OutputDatabaseIdentifier:             "myshop-local",
		config.OutputDatabaseName:                   "myshop",
		config.OutputDatabaseUser:                   "myshop_app_a",
		config.OutputMasterSecretArn:                componenttest.SecretArn,
		config.OutputSecretsServiceAccount:          "myshop-secrets",
		config.OutputSecretsServiceAccountNamespace: "myshop",
		config.OutputNamespace:                      "myshop",
		config.OutputSecretStore:                    "myshop-local",
		config.OutputDatabaseSecret:                 "myshop-api-db",
		config.OutputDirectDatabaseSecret:           "myshop-api-db-direct",
		config.OutputDatabaseCredential:             "pgbouncer-database-1",
		config.OutputPoolLogin:                      "pgbouncer-login",
		config.OutputRecoveries:                     0,
		config.OutputRoleGeneration:                 1,
		config.OutputRoleGenerationCreated:          componenttest.Created,
		config.OutputPool:                           "pgbouncer",
		config.OutputPoolContainer:                  "pgbouncer",
		config.OutputDeployment:                     "myshop-api",
		config.OutputContainer:                      "myshop-api",
		config.OutputService:                        "myshop-api",
		config.OutputConnectionsPlanned:             118,
		config.OutputPoolSessionDatabase:            "myshop-session",
		config.OutputConnectionsLimit:               327,
	} {
		assert.Equal(t, want, outputs[name], name)
	}
	assert.ElementsMatch(t, []string{
		"myshop-api-db", "myshop-api-db-direct", "pgbouncer-config", "pgbouncer-console", "pgbouncer-database-1",
		"pgbouncer-kept-database-1", "pgbouncer-kept-login", "pgbouncer-login", "myshop-api-db-login",
	}, outputs[config.OutputExternalSecrets])
	assert.Equal(t, "https://sts.ap-northeast-2.amazonaws.com", run(t, "prod").Outputs[config.OutputSTSEndpoint])
}

// The stand-in serves only a stack with this mark, and no call of a local stack can reach AWS.
func TestOnlyTheLocalStackNamesTheStandIn(t *testing.T) {
	t.Parallel()
	root, options := projectWith(t, "local", nil)
	recorded := componenttest.Run(t, deploy, options...)
	provider := recorded.One(t, "pulumi:providers:aws")
	for _, service := range []string{"sts", "rds", "secretsmanager", "kms", "iam", "ec2", "cloudwatchlogs"} {
		assert.Equal(t, "http://127.0.0.1:14566", provider.At("endpoints", 0, service), service)
	}
	assert.Equal(t, filepath.Join(root, ".localcloud", "state", "kubeconfig"),
		recorded.One(t, "pulumi:providers:kubernetes").Inputs["kubeconfig"])
	assert.Equal(t, filepath.Join(root, ".localcloud", "cache", "charts", "external-secrets"),
		recorded.One(t, chartType).At("chart"))
	for _, stack := range []string{"dev", "prod"} {
		recorded := run(t, stack)
		assert.NotContains(t, recorded.One(t, "pulumi:providers:aws").Inputs, "endpoints", stack)
		assert.NotContains(t, recorded.One(t, chartType).Text(), "ENDPOINT", stack)
		for _, resource := range recorded.Each() {
			assert.NotContains(t, resource.Text(), "localcloud", resource.URN)
		}
	}
}

func TestAPreviewNeedsNoAnswerFromAnyCloud(t *testing.T) {
	t.Parallel()
	for _, stack := range stacks {
		assert.Equal(t, run(t, stack).Types()[deploymentType],
			run(t, stack, componenttest.Preview()).Types()[deploymentType], stack)
	}
}

func TestNothingButConfigNamesTheExampleService(t *testing.T) {
	t.Parallel()
	_, options := projectWith(t, "prod", func(text string) string {
		return strings.ReplaceAll(text, "myshop", "ledger")
	})
	for _, resource := range componenttest.Run(t, deploy, options...).Each() {
		assert.NotContains(t, resource.Text(), "myshop", resource.URN)
	}
}

func TestAClustersOtherStacksInstallNoOperator(t *testing.T) {
	t.Parallel()
	_, options := projectWith(t, "prod", func(text string) string {
		return strings.Replace(text, "config:\n", "config:\n  dbtier:operator: {install: false}\n", 1)
	})
	recorded := componenttest.Run(t, deploy, options...)
	assert.Empty(t, recorded.All(chartType))
	assert.Len(t, recorded.All(storeType), 1)
}

func TestAServiceWithoutMigrations(t *testing.T) {
	t.Parallel()
	_, options := projectWith(t, "prod", func(text string) string {
		return strings.Replace(text, "command: [alembic, upgrade, head]", "enabled: false", 1)
	})
	recorded := componenttest.Run(t, deploy, options...)
	assert.Len(t, recorded.All(jobType), 1, "the Job that creates the role")
	assert.NotContains(t, recorded.Outputs, config.OutputMigrationJob)
}

// A recovery counts like a generation, and the service's pods start again, because their login can be another.
func TestARecoveryIsTheNextGenerationAndReplacesTheServicesPods(t *testing.T) {
	t.Parallel()
	_, options := projectWith(t, "prod", func(text string) string {
		return strings.Replace(text, "config:\n", "config:\n  dbtier:secrets: {recoveries: 1}\n", 1)
	})
	first, second := run(t, "prod"), componenttest.Run(t, deploy, options...)
	assert.Equal(t, "myshop_app_b", second.Outputs[config.OutputDatabaseUser])
	assert.Equal(t, "pgbouncer-database-2", second.Outputs[config.OutputDatabaseCredential])
	assert.EqualValues(t, 1, second.Outputs[config.OutputRecoveries])
	assert.EqualValues(t, 2, second.Outputs[config.OutputRoleGeneration])
	template := func(r *componenttest.Recording, name string) any {
		return r.Named(t, deploymentType, name).At("spec", "template")
	}
	assert.NotEqual(t, template(first, "consumer-deployment"), template(second, "consumer-deployment"))
	assert.Equal(t, template(first, "pool-deployment"), template(second, "pool-deployment"))
}

// The pool switches to another user only when that user can log in. The service's own Secret does not change.
func TestAnotherGenerationIsAnotherUserOfThePool(t *testing.T) {
	t.Parallel()
	_, options := projectWith(t, "prod", func(text string) string {
		return strings.Replace(text, "config:\n", "config:\n  dbtier:role: {generation: 2}\n", 1)
	})
	first, second := run(t, "prod"), componenttest.Run(t, deploy, options...)
	assert.Equal(t, "myshop_app_b", second.Outputs[config.OutputDatabaseUser])
	pool := second.Named(t, externalSecretType, "pool-config")
	assert.Contains(t, pool.Text(), `"pgbouncer-kept-database-2"`)
	assert.Contains(t, second.Named(t, externalSecretType, "pool-kept-credential-2").Text(), `"pgbouncer-database-2"`)
	job := second.Named(t, jobType, "role-job")
	assert.True(t, second.Follows(pool, job))
	// The Job is deleted before it is replaced, and with it what would be replaced because of its inputs.
	for _, secret := range second.All(externalSecretType) {
		if !slices.Contains(secret.ReplaceOnChanges, "spec") {
			continue
		}
		for input, from := range secret.PropertyDependencies {
			for _, urn := range from {
				assert.NotEqual(t, job.Name, urn[strings.LastIndex(urn, ":")+1:], "%s.%s", secret.Name, input)
			}
		}
	}
	for _, unchanged := range []struct{ kind, name string }{
		{externalSecretType, "pool-consumer-secret"},
		{deploymentType, "pool-deployment"},
		{deploymentType, "consumer-deployment"},
		{jobType, "migration-job"},
	} {
		assert.Equal(t, first.Named(t, unchanged.kind, unchanged.name).Text(),
			second.Named(t, unchanged.kind, unchanged.name).Text(), unchanged.name)
	}
}

// A restored or replaced instance has neither the current schema nor the current password.
func TestTheJobsThatPrepareADatabaseRunAgainForItsNextLife(t *testing.T) {
	t.Parallel()
	r := run(t, "prod")
	life := r.One(t, instanceType).Answered["resourceId"].StringValue()
	require.NotEmpty(t, life)
	for _, name := range []string{"role-job", "migration-job"} {
		assert.Equal(t, life, r.Named(t, jobType, name).ReplacementTrigger, name)
	}
}

// Pods read DATABASE_URL when they start.
func TestAnotherURLOfTheDatabaseIsOtherPods(t *testing.T) {
	t.Parallel()
	revision := func(options []componenttest.Option) any {
		r := componenttest.Run(t, deploy, options...)
		return r.Named(t, deploymentType, "consumer-deployment").At("spec", "template", "metadata", "annotations",
			"dbtier/database-revision")
	}
	_, first := projectWith(t, "prod", nil)
	_, second := projectWith(t, "prod", func(text string) string {
		return strings.Replace(text, "config:\n", "config:\n  dbtier:database: {databaseName: another}\n", 1)
	})
	require.NotNil(t, revision(first))
	assert.NotEqual(t, revision(first), revision(second))
}

func TestThePoolCanBeTheMasterUser(t *testing.T) {
	t.Parallel()
	_, options := projectWith(t, "prod", func(text string) string {
		return strings.Replace(text, "config:\n", "config:\n  dbtier:role: {poolUser: master}\n", 1)
	})
	recorded := componenttest.Run(t, deploy, options...)
	assert.Empty(t, recorded.All("dbtier:components:DatabaseRole"))
	assert.Equal(t, "myshop_admin", recorded.Outputs[config.OutputDatabaseUser])
	assert.NotContains(t, recorded.Outputs, config.OutputBootstrapJob)
	assert.Contains(t, recorded.Named(t, externalSecretType, "pool-config").Text(), componenttest.SecretArn)
}

func TestEveryPodOfOursMeetsTheRestrictedStandard(t *testing.T) {
	t.Parallel()
	recorded := run(t, "prod")
	pods := recorded.All(deploymentType)
	for _, resource := range append(pods, recorded.All(jobType)...) {
		pod := resource.At("spec", "template", "spec")
		assert.Equal(t, true, componenttest.At(pod, "securityContext", "runAsNonRoot"), resource.URN)
		assert.Equal(t, "RuntimeDefault", componenttest.At(pod, "securityContext", "seccompProfile", "type"),
			resource.URN)
		assert.GreaterOrEqual(t, componenttest.At(pod, "securityContext", "runAsUser"), 10001.0, resource.URN)
		assert.Equal(t, false, componenttest.At(pod, "automountServiceAccountToken"), resource.URN)
		containers, ok := componenttest.At(pod, "containers").([]any)
		require.True(t, ok)
		for _, container := range containers {
			name := fmt.Sprint(resource.URN, " ", componenttest.At(container, "name"))
			assert.Equal(t, false, componenttest.At(container, "securityContext", "allowPrivilegeEscalation"), name)
			assert.Equal(t, true, componenttest.At(container, "securityContext", "readOnlyRootFilesystem"), name)
			assert.Equal(t, []any{"ALL"}, componenttest.At(container, "securityContext", "capabilities", "drop"), name)
			assert.NotNil(t, componenttest.At(container, "resources", "limits", "memory"), name)
		}
	}
}

// The namespace's rule keeps all pods except the holders from the database, so the rule must list every component that
// holds connections, by the name label of its pods.
func TestHoldersOfConnectionsAreExemptFromTheNamespacesRule(t *testing.T) {
	t.Parallel()
	recorded := run(t, "prod")
	rule := recorded.Named(t, "kubernetes:networking.k8s.io/v1:NetworkPolicy", "namespace-database")
	holders, _ := rule.At("spec", "podSelector", "matchExpressions", 0, "values").([]any)
	name := func(resource *componenttest.Resource) any {
		return resource.At("spec", "template", "metadata", "labels", "app.kubernetes.io/name")
	}
	assert.Contains(t, holders, name(recorded.Named(t, deploymentType, "pool-deployment")))
	assert.Contains(t, holders, name(recorded.Named(t, jobType, "migration-job")))
	assert.Contains(t, holders, name(recorded.Named(t, jobType, "role-job")))
	assert.Contains(t, holders, name(recorded.Named(t, jobType, "migration-reconnect")),
		"its own rule keeps it from the database and everything else")
	assert.NotContains(t, holders, name(recorded.Named(t, deploymentType, "consumer-deployment")),
		"the service goes through the pool")
}

func TestTheServiceLogsInToThePoolThatTheSecretNames(t *testing.T) {
	t.Parallel()
	recorded := run(t, "prod")
	service := recorded.Named(t, deploymentType, "consumer-deployment")
	secret := recorded.Named(t, externalSecretType, "pool-consumer-secret")
	assert.Equal(t, secret.At("metadata", "name"),
		service.At("spec", "template", "spec", "containers", 0, "envFrom", 1, "secretRef", "name"))
	assert.Contains(t, secret.Text(), "@pgbouncer.myshop.svc")
}

func TestWithoutItsAuthoritiesALocalStackSaysWhatToStart(t *testing.T) {
	t.Parallel()
	root, options := projectWith(t, "local", nil)
	require.NoError(t, os.RemoveAll(filepath.Join(root, ".localcloud")))
	_, err := componenttest.Try(deploy, options...)
	require.ErrorContains(t, err, "network.caBundle")
	assert.ErrorContains(t, err, "dbtier local start")
}

func TestAFaultInTheConfigMakesNothing(t *testing.T) {
	t.Parallel()
	_, options := projectWith(t, "prod", func(text string) string {
		return strings.NewReplacer("vpcId: vpc-0b1c2d3e4f5a6b7c8", "vpcId: main", "profile: production",
			"profile: large").Replace(text)
	})
	recorded, err := componenttest.Try(deploy, options...)
	assert.Empty(t, recorded.Each())
	require.ErrorContains(t, err, `Pulumi.prod.yaml: dbtier:profile: "large": want one of production, development`)
	assert.ErrorContains(t, err, `Pulumi.prod.yaml: dbtier:network.vpcId: "main": want the id`)
}

func TestKubeconfigsOfAwsStacksAreRelativeToTheProject(t *testing.T) {
	t.Parallel()
	root, options := projectWith(t, "prod", func(text string) string {
		return strings.Replace(text, "context: prod", "kubeconfig: secret/kubeconfig", 1)
	})
	provider := componenttest.Run(t, deploy, options...).One(t, "pulumi:providers:kubernetes")
	assert.Equal(t, filepath.Join(root, "secret", "kubeconfig"), provider.Inputs["kubeconfig"])
	assert.NotContains(t, provider.Inputs, "context")
	assert.Equal(t, "prod", run(t, "prod").One(t, "pulumi:providers:kubernetes").Inputs["context"])
	assert.NotContains(t, run(t, "prod").One(t, "pulumi:providers:kubernetes").Inputs, "kubeconfig")
}
