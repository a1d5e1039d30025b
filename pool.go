package main

import (
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"dbtier/components/consumer"
	"dbtier/components/migrationjob"
	"dbtier/config"
)

// pool is what the service connects through: PgBouncer or RDS Proxy. No other link depends on the kind.
type pool interface {
	// holders are the name labels of the pool's pods, which connect to the database.
	holders() []string
	// inDatabaseSubnets is true for a pool in the subnets of the database. The service's pods then reach these subnets,
	// and the pool is a member of the instance's client security group.
	inDatabaseSubnets() bool

	// addManagerSecrets creates the secrets in Secrets Manager that the pool logs in with, and returns the ARNs of
	// those that the operator fills with the password of the application's role. Only RDS Proxy has any.
	addManagerSecrets() (pushed []pulumi.StringInput, err error)
	// add creates the pool. Call the methods below only after add.
	add() error
	// ready is what the service waits for.
	ready() []pulumi.Resource
	// consumerSecret is the name of the Secret with the service's DATABASE_URL.
	consumerSecret() pulumi.StringOutput
	// consumerDatabase is what the service's pods need in addition to the Secret.
	consumerDatabase() consumer.Database
	// tokenLogin is where the service logs in with IAM tokens.
	tokenLogin() tokenLogin
	// console is how the migration makes the pool reconnect. It is nil if it does not.
	console() *migrationjob.Console
	// outputs are the pool's outputs of the stack, by which `dbtier verify` finds it.
	outputs() pulumi.Map
	// externalSecrets are the names of the pool's ExternalSecrets.
	externalSecrets() pulumi.StringArrayOutput
}

// tokenLogin is a database endpoint that accepts IAM tokens.
type tokenLogin struct {
	host pulumi.StringOutput
	port pulumi.IntOutput
	// resourceID is the instance or proxy that rds-db:connect names.
	resourceID pulumi.StringOutput
	// caConfigMap is the ConfigMap with the certificates that verify the endpoint. The service's pods find them at
	// caPath.
	caConfigMap pulumi.StringOutput
	caPath      string
}

func newPool(t *tier) pool {
	if t.stack.Pool.Kind == config.RDSProxy {
		return &rdsProxyPool{tier: t}
	}
	return &pgBouncerPool{tier: t}
}

// addPool creates the pool.
func (t *tier) addPool() error { return t.pool.add() }
