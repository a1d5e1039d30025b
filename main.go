// Command dbtier is one program with two doors. Started by the Pulumi engine it is the program that declares a
// PostgreSQL tier; started by a person it is the driver around the same program (dbtier up, preview, verify, …).
package main

import (
	"fmt"
	"os"
	"slices"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"dbtier/components/consumer"
	"dbtier/components/externalsecrets"
	"dbtier/components/irsarole"
	"dbtier/components/rdspostgres"
	"dbtier/components/servicenamespace"
	"dbtier/config"
	"dbtier/internal/driver"
	"dbtier/internal/project"
)

func main() {
	if startedByEngine() {
		pulumi.Run(deploy)
		return
	}
	os.Exit(driver.Main(deploy))
}

// startedByEngine tells `pulumi up`, which gives its programs the addresses to talk to, from a person's shell.
func startedByEngine() bool {
	return os.Getenv(pulumi.EnvMonitor) != "" && os.Getenv(pulumi.EnvEngine) != ""
}

// deploy declares what the stack holds: a cluster's operator, a service's tier from the database to its pods, or both.
func deploy(ctx *pulumi.Context) error {
	root, err := projectRoot(ctx)
	if err != nil {
		return err
	}
	stack, err := config.Load(ctx, root)
	if err != nil {
		return err
	}
	providers, err := newProviders(ctx, stack, root)
	if err != nil {
		return err
	}

	// The operator starts while RDS makes the instance: neither needs the other.
	operator, err := newOperator(ctx, stack, root, providers)
	if err != nil {
		return err
	}
	exportCluster(ctx, stack)
	if !stack.HoldsService() {
		return nil
	}
	namespace, err := servicenamespace.NewServiceNamespace(ctx, "namespace", namespaceArgs(stack), providers)
	if err != nil {
		return err
	}
	database, err := rdspostgres.NewRdsPostgres(ctx, "database", databaseArgs(stack), providers)
	if err != nil {
		return err
	}
	proxied, err := proxiedUsers(ctx, stack, database, providers)
	if err != nil {
		return err
	}
	reader, err := irsarole.NewIrsaRole(ctx, "secrets-role", roleArgs(stack, database, proxied), providers)
	if err != nil {
		return err
	}
	authorities, err := certificateAuthorities(stack, root)
	if err != nil {
		return err
	}
	prepared := slices.Concat(namespace.Ready, operator)
	secrets, err := externalsecrets.NewExternalSecretsStack(ctx, "secrets",
		secretsArgs(stack, database, reader, authorities), providers,
		pulumi.DependsOn(prepared))
	if err != nil {
		return err
	}
	// Before the migration, whose objects the role has rights to by default privileges.
	role, err := newDatabaseRole(ctx, stack, database, secrets, providers, prepared)
	if err != nil {
		return err
	}
	pool, err := newPool(ctx, stack, database, secrets, role, proxied, authorities, prepared, providers)
	if err != nil {
		return err
	}
	tokens, err := newTokenRole(ctx, stack, database, pool, providers)
	if err != nil {
		return err
	}
	// The migration does not go through the pool, so it runs while the pool starts. Then the pool opens new
	// connections.
	migration, err := newMigration(ctx, stack, namespace, database, secrets, pool,
		slices.Concat(prepared, role.resources()), providers)
	if err != nil {
		return err
	}
	// New pods come last: a migration that fails leaves the old ones serving.
	service, err := consumer.NewConsumer(ctx, "consumer",
		consumerArgs(stack, namespace, secrets, pool, consumerDatabase(stack, database, secrets, pool, tokens)),
		providers,
		pulumi.DependsOn(slices.Concat(migration.resources(), pool.ready())))
	if err != nil {
		return err
	}

	export(ctx, stack, &tier{database, reader, secrets, role, pool, tokens, migration, service})
	return nil
}

// projectRoot is the folder of Pulumi.yaml. As an inline program of the driver this one is not told.
func projectRoot(ctx *pulumi.Context) (string, error) {
	if root := ctx.RootDirectory(); root != "" {
		return root, nil
	}
	found, err := project.Find(".")
	if err != nil {
		return "", fmt.Errorf("finding the project: %w", err)
	}
	return found.Dir, nil
}
