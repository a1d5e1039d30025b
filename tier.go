package main

import (
	"fmt"
	"path/filepath"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"dbtier/components/consumer"
	"dbtier/components/databaserole"
	"dbtier/components/externalsecrets"
	"dbtier/components/irsarole"
	"dbtier/components/migrationjob"
	"dbtier/components/rdspostgres"
	"dbtier/components/servicenamespace"
	"dbtier/config"
	"dbtier/internal/project"
)

// tier holds what the chain has built so far. Each link is a method in a file of the same name. It reads the fields of
// the links before it and sets its own. The pool has a file for each kind.
//
// stack.Service is the team's service, whose name is part of every other name. stack.Consumer is its Deployment, and
// the argument Service of the components is the Deployment's name.
type tier struct {
	ctx       *pulumi.Context
	stack     *config.Stack
	providers pulumi.ResourceOption
	// chart is the operator's chart: a name in a repository, or an absolute path.
	chart string
	// authorities are the certificates, in PEM, that verify the instance's certificate.
	authorities string

	// prepared is what everything in the cluster waits for: the operator and the namespace.
	prepared  []pulumi.Resource
	namespace *servicenamespace.ServiceNamespace
	database  *rdspostgres.RdsPostgres
	// secretsRole is the IAM role with which the operator reads the service's secrets.
	secretsRole *irsarole.IrsaRole
	secrets     *externalsecrets.ExternalSecretsStack
	// applicationRole is a role of the database. It is nil if the pool logs in as the master user.
	applicationRole *databaserole.DatabaseRole
	pool            pool
	// tokenRole is the IAM role with which the service logs in to the database. It is nil without IAM tokens.
	tokenRole *irsarole.IrsaRole
	// migration is nil if migrations are disabled.
	migration *migrationjob.MigrationJob
	service   *consumer.Consumer
}

// newTier reads the stack's config and the files that it names, and registers the providers.
func newTier(ctx *pulumi.Context) (*tier, error) {
	root, err := projectRoot(ctx)
	if err != nil {
		return nil, err
	}
	t := &tier{ctx: ctx}
	if t.stack, err = config.Load(ctx, root); err != nil {
		return nil, err
	}
	t.chart = t.stack.Operator.Chart
	if t.stack.Operator.Repository == "" {
		t.chart = inProject(root, t.chart)
	}
	if t.stack.HoldsService() {
		if t.authorities, err = t.stack.Authorities(root); err != nil {
			return nil, err
		}
	}
	t.pool = newPool(t)
	t.providers, err = newProviders(ctx, t.stack, root)
	return t, err
}

// projectRoot returns the folder of Pulumi.yaml. The engine does not pass it to an inline program of the driver.
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

// inProject resolves a path of the stack's config, which is relative to the project.
func inProject(root, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(root, path)
}
