package config_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"dbtier/budget"
	"dbtier/components/eso"
	"dbtier/components/pgbouncer"
)

const (
	reportsArn = "arn:aws:secretsmanager:ap-northeast-2:123456789012:secret:my-shop/reports-AbCdEf"
	logins     = `  dbtier:pool:
    databases: [archive]
    clients: [{labels: {app: worker}}]
    logins:
      - name: reports
        credentialArn: ` + reportsArn + `
        databases: [my_shop, archive]
        poolSize: 5
      - name: batch
        credentialSecret: batch-database
        poolMode: session
        clients: [{namespace: batch, labels: {app: nightly}}]
`
)

func holder(t *testing.T, b budget.Budget, name string) budget.Holder {
	t.Helper()
	for _, h := range b.Holders {
		if h.Name == name {
			return h
		}
	}
	require.Failf(t, "no such holder", "%s is not among %v", name, b.Holders)
	return budget.Holder{}
}

func TestEveryPairOfLoginAndDatabaseIsInTheBudget(t *testing.T) {
	t.Parallel()
	stack, err := load(t, least+logins)
	require.NoError(t, err)
	b := stack.Budget
	own := holder(t, b, "pool pgbouncer")
	assert.Equal(t, 3, own.Pairs, "two databases of the service, and one of batch, whose pool is as large")
	assert.Equal(t, 2*3*20*2, own.Most(0))
	people := holder(t, b, "pool pgbouncer for people and tools")
	assert.Equal(t, 2*2*2*2, people.Most(0))
	assert.Equal(t, "pool.sessionPoolSize", people.Setting)
	reports := holder(t, b, "pool pgbouncer for reports")
	assert.Equal(t, 2*2*5*2, reports.Most(0))
	assert.Equal(t, "pool.logins[0].poolSize", reports.Setting)

	_, err = load(t, least+logins+"  dbtier:database: {instanceClass: db.t4g.micro}\n")
	require.ErrorContains(t, err,
		"pool pgbouncer: 2 replicas × 3 pairs of user and database × 20 × 2 (old and new pods of an update) = 240")
	require.ErrorContains(t, err,
		"pool pgbouncer for reports: 2 replicas × 2 pairs of user and database × 5 × 2 (old and new pods of an "+
			"update) = 40")
}

func TestLoginsOfTheConfigAreThoseOfThePool(t *testing.T) {
	t.Parallel()
	stack, err := load(t, least+logins)
	require.NoError(t, err)
	assert.Equal(t, []string{"my_shop", "archive"}, stack.DatabaseNames())
	store := eso.StoreRef{Kind: "SecretStore", Name: pulumi.String("my-shop")}
	assert.Equal(t, []pgbouncer.Login{
		{
			Name: "reports", Credential: pgbouncer.Credential{Store: store, Key: pulumi.String(reportsArn)},
			Databases: []string{"my_shop", "archive"}, PoolSize: 5,
		},
		{
			Name: "batch", Credential: pgbouncer.Credential{Key: pulumi.String("batch-database")}, PoolMode: "session",
			Clients: []pgbouncer.Client{{Namespace: "batch", Labels: map[string]string{"app": "nightly"}}},
		},
	}, stack.PoolLogins(store))
	assert.Equal(t, []pgbouncer.Client{
		{Labels: map[string]string{"app.kubernetes.io/name": "my-shop"}}, {Labels: map[string]string{"app": "worker"}},
	}, stack.PoolClients())
}

func TestFaultsOfLoginsAreReportedWithTheOthers(t *testing.T) {
	t.Parallel()
	_, err := load(t, least+`  dbtier:pool:
    replicas: 0
    databases: [my_shop, a b]
    clients: [{namespace: x}]
    logins:
      - {name: A, databases: [orders]}
      - {name: b, credentialArn: "arn:aws:secretsmanager:eu-west-1:123456789012:secret:x-AbCdEf", kmsKeyArn: alias/x}
      - {name: c, credentialArn: my-secret, credentialSecret: x, poolSize: 6000}
`)
	require.Error(t, err)
	for _, fault := range []string{
		`dbtier:pool.replicas: 0: want`,
		`dbtier:pool.databases[0]: "my_shop": is named twice, or is the service's own database`,
		`dbtier:pool.databases[1]: "a b": want`,
		`dbtier:pool.clients[0].labels: is missing`,
		`dbtier:pool.logins[0].name: "A": want`,
		`dbtier:pool.logins[0].databases[0]: "orders": is not a database of the pool`,
		`dbtier:pool.logins[0].credentialArn: "": want either credentialArn or credentialSecret`,
		`dbtier:pool.logins[1].credentialArn: "arn:aws:secretsmanager:eu-west-1:123456789012:secret:x-AbCdEf": is in the region eu-west-1, and the stack is in ap-northeast-2`,
		`dbtier:pool.logins[1].kmsKeyArn: "alias/x": want`,
		`dbtier:pool.logins[2].credentialArn: "my-secret": want either credentialArn or credentialSecret`,
		`dbtier:pool.logins[2].credentialArn: "my-secret": want the whole ARN of a secret`,
		`dbtier:pool.logins[2].poolSize: 6000: want 1 to 5000`,
	} {
		require.ErrorContains(t, err, fault)
	}
	_, err = load(t, least+"  dbtier:pool: {logins: [{name: a, credentialSecret: x, secret: my-shop-db}]}\n")
	require.ErrorContains(t, err,
		`dbtier:pool.logins[0].secret: "my-shop-db": is the name of another Secret of the pool`)
}

// The largest number of pods counts, not the initial one.
func TestTheServicesConnectionsFitIntoThePool(t *testing.T) {
	t.Parallel()
	const wide = least + "  dbtier:pool: {maxClientConn: 400}\n"
	_, err := load(t, strings.Replace(wide, `image: "registry.example/my-shop:1"`,
		`image: a:1, replicas: 4, connections: 50`, 1))
	require.NoError(t, err)
	_, err = load(t, strings.Replace(wide, `image: "registry.example/my-shop:1"`,
		`image: a:1, replicas: 4, connections: 51`, 1))
	require.ErrorContains(t, err,
		"dbtier:pool.maxClientConn: 400: is too few: 4 pods × consumer.connections 51 × 2 (old and new pods of an "+
			"update) = 408, "+
			"and the pool accepts 400 while one of its replicas is away; want 408")
	_, err = load(t, strings.Replace(wide, `image: "registry.example/my-shop:1"`,
		`image: a:1, replicas: 2, autoscaling: {enabled: true, maxReplicas: 5}`, 1))
	require.ErrorContains(t, err, "is too few: 5 pods × consumer.connections 50")
}

func TestADirectClientOfManyPodsIsCountedByPodsAndTheServicesByWhatItMayGrowTo(t *testing.T) {
	t.Parallel()
	with := func(consumer, clients string) string {
		text := strings.Replace(least, `image: "registry.example/my-shop:1"`, "image: a:1"+consumer, 1)
		return strings.Replace(text, "    databaseCidrs", "    directClients: ["+clients+"]\n    databaseCidrs", 1)
	}
	stack, err := load(t, with(", autoscaling: {enabled: true, maxReplicas: 6}",
		"{name: my-shop, connectionsPerPod: 4}, {name: cron, connections: 3}"))
	require.NoError(t, err)
	b := stack.Budget
	own := holder(t, b, "direct client my-shop")
	assert.Equal(t, 6*4*2, own.Most(0))
	assert.Equal(t, "network.directClients[0].connectionsPerPod", own.Setting)
	cron := holder(t, b, "direct client cron")
	assert.Equal(t, 3, cron.Most(0))
	assert.Equal(t, 3, stack.Consumer.LeastReplicas(), "by default the number of replicas")

	_, err = load(t,
		with("", "{name: a, connectionsPerPod: 4}, {name: b, connections: 1, connectionsPerPod: 4, replicas: 2}, "+
			"{name: c, connections: 1, replicas: 2}"))
	for _, fault := range []string{
		`network.directClients[0].replicas: 0: want 1 to 500 pods`,
		`network.directClients[1].connections: 1: and connectionsPerPod are both given`,
		`network.directClients[2].replicas: 2: is for connectionsPerPod`,
	} {
		require.ErrorContains(t, err, fault)
	}
}

func TestConnectionsThatOutliveTheGraceOfThePoolAreAFault(t *testing.T) {
	t.Parallel()
	with := func(seconds int) string {
		return strings.Replace(least, `image: "registry.example/my-shop:1"`,
			fmt.Sprintf("image: a:1, connectionMaxLifetimeSeconds: %d", seconds), 1) +
			"  dbtier:pool: {terminationGracePeriodSeconds: 100, drainSeconds: 20}\n"
	}
	_, err := load(t, with(70))
	require.NoError(t, err)
	_, err = load(t, with(71))
	require.ErrorContains(t, err, "dbtier:consumer.connectionMaxLifetimeSeconds: 71: is too long: an old pod of the pool "+
		"serves a connection for 70 seconds at most")
}
