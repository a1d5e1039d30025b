package config_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"dbtier/budget"
	"dbtier/components/rdsproxy"
	"dbtier/config"
)

const proxied = least + "  dbtier:pool: {kind: rdsProxy}\n"

func TestWithoutAChoiceThePoolIsPgBouncerAndNobodyHasTokens(t *testing.T) {
	t.Parallel()
	stack, err := load(t, least)
	require.NoError(t, err)
	assert.Equal(t, config.PgBouncer, stack.Pool.Kind)
	assert.False(t, stack.IAM.Enabled)
	assert.Empty(t, stack.Role.IAMUser)
}

func TestRDSProxyIsChosenByItsKind(t *testing.T) {
	t.Parallel()
	stack, err := load(t, proxied+"  dbtier:proxy: {maxConnectionsPercent: 50}\n")
	require.NoError(t, err)
	want := rdsproxy.Defaults()
	want.Name, want.MaxConnectionsPercent, want.LogRetention = "my-shop-prod-proxy", 50, 365
	assert.Equal(t, want, stack.Proxy)
	assert.Equal(t, []string{"my_shop_app_a"}, stack.ProxyUsers())
	b := stack.Budget
	assert.Equal(t, budget.Holder{
		Name: "proxy my-shop-prod-proxy", Setting: "proxy.maxConnectionsPercent",
		Percent: 50,
	}, b.Holders[0])
	assert.Equal(t, 414+1+5, b.Most(), "half of 828, the bootstrap and the migration")
}

// Old and new user are both valid until every pod has the new one.
func TestTheUserOfTheLastGenerationStillComesThroughTheProxy(t *testing.T) {
	t.Parallel()
	for generation, users := range map[string][]string{
		"1": {"my_shop_app_a"}, "2": {"my_shop_app_b", "my_shop_app_a"}, "3": {"my_shop_app_a", "my_shop_app_b"},
	} {
		stack, err := load(t, proxied+"  dbtier:role: {generation: "+generation+"}\n")
		require.NoError(t, err)
		assert.Equal(t, users, stack.ProxyUsers(), generation)
	}
	stack, err := load(t, proxied+"  dbtier:role: {poolUser: master, generation: 4}\n")
	require.NoError(t, err)
	assert.Equal(t, []string{"my_shop_admin"}, stack.ProxyUsers())
}

func TestTokensPastThePoolHaveAUserAndEnterTheBudget(t *testing.T) {
	t.Parallel()
	stack, err := load(t, least+"  dbtier:iam: {enabled: true, connections: 4}\n")
	require.NoError(t, err)
	assert.Equal(t, "my_shop_iam", stack.Role.IAMUser)
	assert.Equal(t, []string{"my_shop_iam"}, stack.IAMUsers())
	assert.Empty(t, stack.ClusterArn())
	b := stack.Budget
	assert.Equal(t, budget.Holder{
		Name: "service with tokens", Instances: 3, Setting: "iam.connections", Value: 4,
		Rolling: true,
	}, holder(t, b, "service with tokens"))

	stack, err = load(t,
		least+"  dbtier:role: {iamUser: other, name: reader}\n  dbtier:iam: {enabled: true, binding: podIdentity, "+
			"clusterName: prod}\n")
	require.NoError(t, err)
	assert.Equal(t, []string{"other"}, stack.IAMUsers(), "a named user stays")
	assert.Equal(t, "arn:aws:eks:ap-northeast-2:123456789012:cluster/prod", stack.ClusterArn())
}

func TestTokensThroughTheProxyAreThoseOfItsUsers(t *testing.T) {
	t.Parallel()
	stack, err := load(t,
		proxied+"  dbtier:proxy: {iamAuth: REQUIRED}\n  dbtier:iam: {enabled: true}\n  dbtier:role: {generation: 2}\n")
	require.NoError(t, err)
	assert.Equal(t, []string{"my_shop_app_b", "my_shop_app_a"}, stack.IAMUsers())
	assert.Empty(t, stack.Role.IAMUser, "the proxy logs in with passwords, and a user with rds_iam cannot")
	b := stack.Budget
	for _, holder := range b.Holders {
		assert.NotEqual(t, "service with tokens", holder.Name, "its connections are the proxy's")
	}
}

func TestWaysToTheDatabaseThatAreNone(t *testing.T) {
	t.Parallel()
	local := strings.NewReplacer("cloud: aws", "cloud: local", `accountId: "123456789012"}`,
		`accountId: "123456789012", endpoint: "http://127.0.0.1:14566", clusterEndpoint: "http://aws.localcloud.internal:4566"}`)
	for name, c := range map[string]struct{ text, fault string }{
		"another kind": {
			least + "  dbtier:pool: {kind: pgcat}\n",
			`pool.kind: "pgcat": want one of pgbouncer, rdsProxy`,
		},
		"locally": {
			local.Replace(proxied),
			`pool.kind: "rdsProxy": the local cloud has no RDS Proxy; use pgbouncer there`,
		},
		"PgBouncer's settings": {
			least + "  dbtier:pool: {kind: rdsProxy, replicas: 3}\n",
			`pool.replicas: 3: is for PgBouncer, and pool.kind is rdsProxy: it would have no effect`,
		},
		"no setting at all": {
			least + "  dbtier:pool: {kind: rdsProxy, replica: 3}\n",
			`pool.replica: is not a setting; did you mean replicas?`,
		},
		"the proxy's settings": {
			least + "  dbtier:proxy: {idleClientTimeout: 60}\n",
			`proxy: is for RDS Proxy, and pool.kind is pgbouncer: it would have no effect`,
		},
		"the proxy's faults": {
			proxied + "  dbtier:proxy: {idleClientTimeout: 0}\n",
			`proxy.idleClientTimeout: 0: want 1 to 28800 seconds`,
		},
		"too large a share": {
			proxied + "  dbtier:proxy: {maxConnectionsPercent: 90}\n",
			`it fits with proxy.maxConnectionsPercent 78`,
		},
		"tokens and none": {
			proxied + "  dbtier:iam: {enabled: true}\n",
			`proxy.iamAuth: "DISABLED": makes the proxy refuse tokens, but iam.enabled is true; want REQUIRED`,
		},
		"a proxy without a login": {
			proxied + "  dbtier:proxy: {iamAuth: REQUIRED}\n",
			`iam.enabled: false: leaves the service without a login`,
		},
		"binding": {
			least + "  dbtier:iam: {enabled: true, binding: kiam}\n",
			`iam.binding: "kiam": want one of irsa, podIdentity`,
		},
		"no EKS": {
			local.Replace(least) + "  dbtier:iam: {enabled: true, binding: podIdentity, clusterName: a}\n",
			`iam.binding: "podIdentity": the local cloud is not EKS`,
		},
		"no cluster": {
			least + "  dbtier:iam: {enabled: true, binding: podIdentity}\n",
			`iam.clusterName: "": want the name of the EKS cluster`,
		},
		"cluster of IRSA": {
			least + "  dbtier:iam: {enabled: true, clusterName: prod}\n",
			`iam.clusterName: "prod": is for the binding podIdentity`,
		},
		"no connections": {
			least + "  dbtier:iam: {enabled: true, connections: 0}\n",
			`iam.connections: 0: want 1 to 1000 of each replica`,
		},
		"too many": {
			least + "  dbtier:iam: {enabled: true, connections: 500}\n",
			`service with tokens: 3 replicas × 500 × 2 (old and new pods of an update) = 3000`,
		},
		"instance without tokens": {
			least + "  dbtier:iam: {enabled: true}\n  dbtier:database: {iamDatabaseAuthentication: false}\n",
			`database.iamDatabaseAuthentication: false: makes the instance refuse tokens`,
		},
		"no bootstrap to create the user": {
			least + "  dbtier:iam: {enabled: true}\n  dbtier:role: {poolUser: master}\n",
			`role.poolUser: "master": does not create the user`,
		},
		"the operator by Pod Identity": {
			least + "  dbtier:secrets: {binding: podIdentity}\n",
			`secrets.binding: "podIdentity": want irsa: the operator takes the service's role with a token`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := load(t, c.text)
			require.ErrorContains(t, err, "Pulumi.test.yaml: dbtier:")
			require.ErrorContains(t, err, c.fault)
		})
	}
}

// Otherwise a stack that lost its section service would be taken for a cluster's stack, and its database deleted.
func TestASectionOfTheProxyOrOfTokensIsAServices(t *testing.T) {
	t.Parallel()
	for _, section := range []string{"proxy: {}", "role: {}", "iam: {}"} {
		_, err := load(t, clusterOnly+"  dbtier:"+section+"\n")
		require.ErrorContains(t, err, `service.name: "": want`, section)
	}
}
