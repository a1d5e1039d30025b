package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"dbtier/components/componenttest"
	"dbtier/components/irsarole"
	"dbtier/config"
)

const (
	proxyExample   = "examples/proxy"
	roleType       = "aws:iam/role:Role"
	rolePolicyType = "aws:iam/rolePolicy:RolePolicy"
	proxyType      = "aws:rds/proxy:Proxy"
)

func proxyStack(t *testing.T, stack string) (recorded *componenttest.Recording, checkout string) {
	t.Helper()
	options, checkout := exampleStack(t, proxyExample, stack)
	return componenttest.Run(t, deploy, options...), checkout
}

func TestGoldenOfRDSProxy(t *testing.T) {
	t.Parallel()
	for _, stack := range []string{"password", "tokens"} {
		t.Run(stack, func(t *testing.T) {
			t.Parallel()
			recorded, checkout := proxyStack(t, stack)
			compareGolden(t, filepath.Join("tests", "golden", "proxy", stack+".yaml"), describe(t, recorded, checkout))
		})
	}
}

func TestRDSProxyStandsWhereThePoolDid(t *testing.T) {
	t.Parallel()
	recorded, _ := proxyStack(t, "password")
	assert.Empty(t, recorded.All("dbtier:components:PgBouncerPool"))
	assert.Equal(t, "rdsProxy", recorded.Outputs[config.OutputPoolKind])
	assert.Equal(t, "myshop-prod-proxy", recorded.Outputs[config.OutputProxy])
	assert.Equal(t, "myshop-api-db", recorded.Outputs[config.OutputDatabaseSecret])
	assert.ElementsMatch(t, []any{"myshop-api-db", "myshop-api-db-direct", "database-database-2"},
		recorded.Outputs[config.OutputExternalSecrets])
	assert.NotContains(t, recorded.Outputs, config.OutputPool)
	assert.Equal(t, "pgbouncer", run(t, "prod").Outputs[config.OutputPoolKind])

	service := recorded.Named(t, deploymentType, "consumer-deployment")
	pod := componenttest.At(service.Inputs, "spec", "template", "spec")
	assert.Equal(t, "myshop-api-db", componenttest.At(pod, "containers", 0, "envFrom", 1, "secretRef", "name"))
	assert.Equal(t, "/etc/database-ca", componenttest.At(pod, "containers", 0, "volumeMounts", 1, "mountPath"))
	assert.Equal(t, "myshop-api-proxy-ca", componenttest.At(pod, "volumes", 1, "configMap", "name"))
	assert.Equal(t, "myshop_app_b@myshop-prod-proxy.proxy-c9akciq32rgx.ap-northeast-2.rds.amazonaws.com:5432/myshop",
		service.At("spec", "template", "metadata", "annotations", "dbtier/database-revision"),
		"another user replaces the pods, which read the Secret when they start")
	for _, earlier := range []*componenttest.Resource{
		recorded.One(t, "aws:rds/proxyTarget:ProxyTarget"),
		recorded.One(t, "kubernetes:external-secrets.io/v1alpha1:PushSecret"),
		recorded.Named(t, externalSecretType, "proxy-consumer-secret"),
	} {
		assert.True(t, recorded.Follows(service, earlier), earlier.URN)
	}
	push := recorded.One(t, "kubernetes:external-secrets.io/v1alpha1:PushSecret")
	assert.True(t, recorded.Follows(push, recorded.Named(t, jobType, "role-job")),
		"the password is pushed once the database has it")
	assert.Equal(t, "database-database-2", push.At("spec", "selector", "secret", "name"))
}

// The operator may write the proxy's secrets and read the master user's secret, but not the reverse.
func TestTheOperatorWritesOnlyTheProxysSecrets(t *testing.T) {
	t.Parallel()
	recorded, _ := proxyStack(t, "password")
	policy := recorded.Named(t, rolePolicyType, "secrets-role-policy").Inputs["policy"].(string)
	put := regexp.MustCompile(`"secretsmanager:PutSecretValue"[^}]*"Resource":\[([^\]]*)\]`).FindStringSubmatch(policy)
	require.NotNil(t, put)
	assert.NotContains(t, put[1], "rds!db-")
	assert.Equal(t, 1, strings.Count(put[1], ":secret:"))
	assert.Contains(t, put[1], ":secret:myshop-prod/proxy/myshop_app_b-", "that of this generation's user")
	for _, stack := range []string{"dev", "prod", "local"} {
		assert.NotContains(t, run(t, stack).Named(t, rolePolicyType, "secrets-role-policy").Inputs["policy"],
			"PutSecretValue", stack)
	}
	group := recorded.Named(t, "aws:ec2/securityGroup:SecurityGroup", "database-security-group")
	assert.Len(t, group.Inputs["ingress"], 2,
		"the nodes, for migrations, and the proxy as a member of the clients' group")
}

func TestTheMasterUserThroughTheProxyNeedsNoFurtherSecret(t *testing.T) {
	t.Parallel()
	_, options := projectWith(t, "prod", func(text string) string {
		text = regexp.MustCompile(` {4}(# Made by .*\n {4})?image: .*/pgbouncer:.*\n`).ReplaceAllString(text, "    kind: rdsProxy\n")
		return text + "  dbtier:role: {poolUser: master}\n"
	})
	recorded := componenttest.Run(t, deploy, options...)
	assert.Equal(t, componenttest.SecretArn, recorded.One(t, proxyType).At("auths", 0, "secretArn"))
	assert.Empty(t, recorded.All("aws:secretsmanager/secret:Secret"))
	assert.Empty(t, recorded.All("kubernetes:external-secrets.io/v1alpha1:PushSecret"))
	assert.NotContains(t, recorded.Named(t, rolePolicyType, "secrets-role-policy").Inputs["policy"], "PutSecretValue")
}

func environment(deployment *componenttest.Resource) map[string]any {
	found := map[string]any{}
	variables, _ := deployment.At("spec", "template", "spec", "containers", 0, "env").([]any)
	for _, variable := range variables {
		found[componenttest.At(variable, "name").(string)] = componenttest.At(variable, "value")
	}
	return found
}

// With RDS Proxy the role names the proxy's resource id. The instance's id would not allow the connection.
func TestTokensThroughTheProxy(t *testing.T) {
	t.Parallel()
	recorded, _ := proxyStack(t, "tokens")
	assert.Equal(t, "REQUIRED", recorded.One(t, proxyType).At("auths", 0, "iamAuth"))
	policy := recorded.Named(t, rolePolicyType, "database-login-policy").Inputs["policy"].(string)
	assert.Contains(t, policy, "dbuser:"+componenttest.ProxyID+`/myshop_app_a"`)
	assert.Contains(t, policy, "dbuser:"+componenttest.ProxyID+`/myshop_app_b"`)
	association := recorded.One(t, irsarole.AssociationType)
	assert.Equal(t, "myshop-api", association.Inputs["serviceAccount"])
	assert.Equal(t, map[string]any{
		"AWS_REGION":       "ap-northeast-2",
		"DATABASE_IAM_URL": "postgresql://myshop_app_b@myshop-stage-proxy.proxy-c9akciq32rgx.ap-northeast-2.rds.amazonaws.com:5432/myshop?sslmode=verify-full&sslrootcert=/etc/database-ca/ca.pem",
	}, environment(recorded.Named(t, deploymentType, "consumer-deployment")),
		"the agent on the node gives the credentials")
	assert.NotContains(t, recorded.Named(t, externalSecretType, "proxy-consumer-secret").Text(), "password")
}

func TestTokensPastThePool(t *testing.T) {
	t.Parallel()
	_, options := projectWith(t, "local", func(text string) string {
		return text + "  dbtier:iam: {enabled: true, connections: 3}\n"
	})
	recorded := componenttest.Run(t, deploy, options...)
	assert.Contains(t, recorded.Named(t, rolePolicyType, "database-login-policy").Inputs["policy"],
		`"arn:aws:rds-db:ap-northeast-2:111122223333:dbuser:db-ABCDEFGHIJKLMNOPQRSTUVWXY0/myshop_iam"`)
	assert.Contains(t, recorded.Named(t, roleType, "database-login-role").Inputs["assumeRolePolicy"],
		`"system:serviceaccount:myshop:myshop-api"`)
	service := recorded.Named(t, deploymentType, "consumer-deployment")
	const host = "myshop-local.c9akciq32rgx.ap-northeast-2.rds.amazonaws.com"
	assert.Equal(t, map[string]any{
		"AWS_REGION": "ap-northeast-2", "AWS_ENDPOINT_URL_STS": "http://aws.localcloud.internal:4566",
		"AWS_ROLE_ARN":                             "arn:aws:iam::111122223333:role/myshop-local-ap-northeast-2-database",
		"AWS_WEB_IDENTITY_TOKEN_FILE":              "/var/run/secrets/eks.amazonaws.com/serviceaccount/token",
		"DATABASE_CONNECTION_MAX_LIFETIME_SECONDS": "60",
		"DATABASE_IAM_URL": "postgresql://myshop_iam@" + host +
			":5432/myshop?sslmode=verify-full&sslrootcert=/etc/rds-ca/ca.pem",
	}, environment(service))
	assert.True(t, recorded.Follows(service, recorded.Named(t, rolePolicyType, "database-login-policy")))
	assert.Equal(t, "sts.amazonaws.com", service.At("spec", "template", "spec", "volumes", 2, "projected", "sources", 0,
		"serviceAccountToken", "audience"))
	assert.Equal(t, run(t, "local").Named(t, deploymentType, "consumer-deployment").At("spec", "template", "metadata",
		"annotations"),
		service.At("spec", "template", "metadata", "annotations"), "tokens restart no pod")

	rule := recorded.Named(t, policyType, "namespace-database")
	assert.Contains(t, rule.At("spec", "podSelector", "matchExpressions", 0, "values"), "myshop-api",
		"its pods may reach the instance")
	bootstrap := recorded.Named(t, jobType, "role-job")
	assert.Contains(t, bootstrap.Text(), `{"name":"ROLE_IAM_USER","value":"myshop_iam"}`,
		"the user who is granted rds_iam")
	assert.Equal(t, "myshop_iam", recorded.Outputs[config.OutputDatabaseIAMUser])
	assert.NotContains(t, run(t, "local").Outputs, config.OutputDatabaseRoleArn)
}

// An account that requires a permissions boundary refuses every role without one: those of the operator, the proxy, the
// service and enhanced monitoring.
func TestABoundaryBoundsEveryRole(t *testing.T) {
	t.Parallel()
	const boundary = "arn:aws:iam::123456789012:policy/boundary"
	text, err := os.ReadFile(filepath.Join(proxyExample, "Pulumi.tokens.yaml"))
	require.NoError(t, err)
	_, options := projectWith(t, "prod", func(string) string {
		return strings.Replace(string(text), "  dbtier:aws:\n",
			"  dbtier:aws:\n    permissionsBoundaryArn: "+boundary+"\n", 1)
	})
	var bounded []string
	for _, role := range componenttest.Run(t, deploy, options...).All(roleType) {
		assert.Equal(t, boundary, role.Inputs["permissionsBoundary"], role.Name)
		bounded = append(bounded, role.Name)
	}
	assert.ElementsMatch(t, []string{
		"secrets-role-role", "proxy-role", "database-login-role",
		"database-monitoring-role",
	}, bounded)
}

// The stacks of the example use different names for their roles, secrets and objects, and contain no secret.
func TestNoSecretIsInAnyInputOfTheProxysStacks(t *testing.T) {
	t.Parallel()
	credential := regexp.MustCompile(`postgres(?:ql)?://[^@\s"]*:([^@\s"]*)@`)
	for _, stack := range []string{"password", "tokens"} {
		recorded, _ := proxyStack(t, stack)
		for _, resource := range recorded.Each() {
			assert.NotEqual(t, "kubernetes:core/v1:Secret", resource.Type)
			assert.NotEqual(t, "aws:secretsmanager/secretVersion:SecretVersion", resource.Type)
			for _, found := range credential.FindAllStringSubmatch(resource.Text(), -1) {
				assert.Equal(t, "{{ .password | urlquery }}", found[1], resource.URN)
			}
		}
	}
}
