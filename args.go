package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"dbtier/components/consumer"
	"dbtier/components/contract"
	"dbtier/components/databaserole"
	"dbtier/components/externalsecrets"
	"dbtier/components/irsarole"
	"dbtier/components/migrationjob"
	"dbtier/components/naming"
	"dbtier/components/pgbouncer"
	"dbtier/components/rdsca"
	"dbtier/components/rdspostgres"
	"dbtier/components/rdsproxy"
	"dbtier/components/servicenamespace"
	"dbtier/components/workload"
	"dbtier/config"
)

func namespaceArgs(stack *config.Stack) *servicenamespace.ServiceNamespaceArgs {
	var holders []string
	if stack.Pool.Kind == config.PgBouncer {
		holders = append(holders, stack.Pool.Name)
	}
	holders = append(holders, migrationjob.PodName(stack.Consumer.Name))
	// RDS Proxy lies in the subnets of the database.
	if stack.Pool.Kind == config.RDSProxy || stack.IAM.Enabled {
		holders = append(holders, stack.Consumer.Name)
	}
	for _, client := range stack.Network.DirectClients {
		holders = append(holders, client.Name)
	}
	if stack.Role.PoolUser == config.RoleUser {
		holders = append(holders, databaserole.PodName(roleObjects(stack)))
	}
	if stack.Reconnects() {
		// It has a rule of its own, which is narrower: the namespace's would add to it.
		holders = append(holders, migrationjob.ReconnectPodName(stack.Consumer.Name))
	}
	return &servicenamespace.ServiceNamespaceArgs{
		Name:           stack.Service.Namespace,
		Service:        stack.Service.Name,
		ServiceAccount: stack.Consumer.Name,
		Existing:       stack.Service.ExistingNamespace,
		DatabaseCIDRs:  stack.Network.DatabaseCIDRs,
		DatabasePort:   stack.Database.Port,
		Holders:        holders,
	}
}

// newOperator installs the cluster's operator, unless another stack of the cluster does; then there is nothing to wait
// for.
func newOperator(
	ctx *pulumi.Context, stack *config.Stack, root string, providers pulumi.ResourceOption,
) ([]pulumi.Resource, error) {
	if !stack.Operator.Install {
		return nil, nil
	}
	args := &externalsecrets.OperatorArgs{
		OperatorSettings:       stack.Operator,
		STSEndpoint:            stack.AWS.ClusterEndpoint,
		SecretsManagerEndpoint: stack.AWS.ClusterEndpoint,
	}
	if args.Repository == "" {
		args.Chart = inProject(root, args.Chart)
	}
	operator, err := externalsecrets.NewExternalSecretsOperator(ctx, "operator", args, providers)
	if err != nil {
		return nil, err
	}
	// The chart and not the component, which may not know its children yet.
	return []pulumi.Resource{operator.Chart}, nil
}

func databaseArgs(stack *config.Stack) *rdspostgres.RdsPostgresArgs {
	clients := []rdspostgres.Client{{
		Name:            "EKS nodes",
		SecurityGroupID: pulumi.String(stack.Cluster.NodeSecurityGroupID),
	}}
	for _, client := range stack.Network.Clients {
		clients = append(clients, rdspostgres.Client{
			Name: client.Name, SecurityGroupID: pulumi.String(client.SecurityGroupID),
		})
	}
	subnets := pulumi.StringArrayInput(pulumi.ToStringArray(stack.Network.SubnetIDs))
	if stack.Database.SubnetGroupName != "" {
		subnets = nil
	}
	connections := stack.Budget()
	limit, _ := connections.Limit()
	settings := stack.Database
	// The proxy comes in as a member of it.
	settings.ClientSecurityGroup = settings.ClientSecurityGroup || stack.Pool.Kind == config.RDSProxy
	return &rdspostgres.RdsPostgresArgs{
		Settings: settings,
		// Above what the tier plans with, somebody else holds connections.
		ConnectionLimit:        limit,
		Region:                 stack.AWS.Region,
		AccountID:              stack.AWS.AccountID,
		Partition:              stack.AWS.Partition,
		PermissionsBoundaryArn: stack.AWS.PermissionsBoundaryArn,
		VpcID:                  pulumi.String(stack.Network.VpcID),
		SubnetIDs:              subnets,
		Clients:                clients,
		Tags:                   stack.Tags(),
	}
}

// roleArgs is the role with which the operator reads this service's secrets, and no other service's.
func roleArgs(stack *config.Stack, database *rdspostgres.RdsPostgres, proxied []rdsproxy.User) *irsarole.IrsaRoleArgs {
	return &irsarole.IrsaRoleArgs{
		// Roles are global to an account: the region keeps two regions' stacks apart.
		Name: naming.Join(naming.RoleLimit, stack.Service.Name, stack.Environment, stack.AWS.Region,
			"secrets"),
		Description: fmt.Sprintf("Reads the secrets of %s in %s, as its ServiceAccount", stack.Service.Name,
			stack.Environment),
		OIDCProviderArn: stack.Cluster.OIDCProviderArn,
		Region:          stack.AWS.Region,
		ServiceAccounts: []irsarole.ServiceAccount{
			{Namespace: stack.Service.Namespace, Name: stack.SecretsServiceAccount()},
		},
		PolicyName:             "read-secrets",
		PermissionsBoundaryArn: stack.AWS.PermissionsBoundaryArn,
		Permissions:            secretPermissions(stack, database, proxied),
		Tags:                   stack.Tags(),
	}
}

// certificateAuthorities is the PEM text of those that sign the instance's certificate.
func certificateAuthorities(stack *config.Stack, root string) (string, error) {
	if stack.Network.CABundle == "" {
		return rdsca.Bundle(stack.AWS.Region)
	}
	text, err := os.ReadFile(inProject(root, stack.Network.CABundle))
	if err != nil {
		fix := ""
		if stack.Cloud == config.Local {
			fix = " (the local cloud writes it: start it with `dbtier local start`)"
		}
		return "", fmt.Errorf("network.caBundle: reading the authorities of the database's certificate: %w%s", err, fix)
	}
	return string(text), nil
}

func secretsArgs(
	stack *config.Stack, database *rdspostgres.RdsPostgres, role *irsarole.IrsaRole, authorities string,
) *externalsecrets.ExternalSecretsStackArgs {
	var further []externalsecrets.Secret
	for i := range stack.Secrets.Further {
		further = append(further, stack.Secrets.Further[i].Args())
	}
	return &externalsecrets.ExternalSecretsStackArgs{
		Settings:  stack.Secrets.Settings,
		Secrets:   further,
		Service:   stack.Consumer.Name,
		Namespace: stack.Service.Namespace,
		// A ClusterSecretStore is the cluster's: the environment keeps two stacks of one service in one cluster apart.
		StoreName:       naming.Join(naming.LabelLimit, stack.Service.Name, stack.Environment),
		ServiceAccount:  stack.SecretsServiceAccount(),
		RoleArn:         role.Arn,
		Region:          stack.AWS.Region,
		MasterSecretArn: database.MasterSecretArn,
		DatabaseHost:    database.Host,
		DatabasePort:    database.Port,
		DatabaseName:    stack.Database.DatabaseName,
		CABundle:        authorities,
	}
}

// role is the application's role in the database, where the pool is not the master user.
type role struct{ made *databaserole.DatabaseRole }

func (r role) resources() []pulumi.Resource {
	if r.made == nil {
		return nil
	}
	return r.made.Done
}

// credential is what the pool logs in with.
func (r role) credential(
	database *rdspostgres.RdsPostgres, secrets *externalsecrets.ExternalSecretsStack,
) pgbouncer.Credential {
	if r.made == nil {
		return pgbouncer.Credential{
			Store: secrets.Store,
			Key:   database.MasterSecretArn,
		}
	}
	return pgbouncer.Credential{Key: r.made.CredentialSecret}
}

func newDatabaseRole(
	ctx *pulumi.Context, stack *config.Stack, database *rdspostgres.RdsPostgres,
	secrets *externalsecrets.ExternalSecretsStack,
	providers pulumi.ResourceOption, after []pulumi.Resource,
) (role, error) {
	if stack.Role.PoolUser == config.MasterUser {
		return role{}, nil
	}
	made, err := databaserole.NewDatabaseRole(ctx, "role", &databaserole.DatabaseRoleArgs{
		Settings:     stack.Role.Settings,
		Service:      stack.Consumer.Name,
		Namespace:    stack.Service.Namespace,
		ObjectName:   roleObjects(stack),
		DirectSecret: secrets.DirectSecret,
		CAConfigMap:  secrets.CAConfigMap,
		CAKey:        contract.CAKey,
		CAMountPath:  migrationjob.DefaultCAMountPath,
		DatabasePort: stack.Database.Port,
		DatabaseLife: database.ResourceID,
		UID:          stack.Pool.UID,
	}, providers, pulumi.DependsOn(after))
	return role{made}, err
}

func poolArgs(
	stack *config.Stack, database *rdspostgres.RdsPostgres, secrets *externalsecrets.ExternalSecretsStack,
	credential pgbouncer.Credential, authorities string,
	after []pulumi.Resource,
) *pgbouncer.PgBouncerPoolArgs {
	args := &pgbouncer.PgBouncerPoolArgs{
		Settings:      stack.Pool.Settings,
		Service:       stack.Consumer.Name,
		Namespace:     stack.Service.Namespace,
		Credential:    credential,
		Logins:        stack.PoolLogins(secrets.Store),
		CABundle:      authorities,
		Clients:       stack.PoolClients(),
		DatabaseCIDRs: stack.Network.DatabaseCIDRs,
		DependsOn:     after,
	}
	for _, name := range stack.DatabaseNames() {
		args.Databases = append(args.Databases, pgbouncer.Database{
			Name: name, Host: database.Host, Port: database.Port,
		})
	}
	if stack.Reconnects() {
		args.Console = &pgbouncer.Client{Labels: map[string]string{
			workload.NameLabel: migrationjob.ReconnectPodName(stack.Consumer.Name),
		}}
	}
	return args
}

// migration is the Job of this version, if there is one.
type migration struct{ job *migrationjob.MigrationJob }

func (m migration) resources() []pulumi.Resource {
	if m.job == nil {
		return nil
	}
	return m.job.Done
}

func newMigration(
	ctx *pulumi.Context, stack *config.Stack, namespace *servicenamespace.ServiceNamespace,
	database *rdspostgres.RdsPostgres,
	secrets *externalsecrets.ExternalSecretsStack, pool *pool, after []pulumi.Resource, providers pulumi.ResourceOption,
) (migration, error) {
	if !stack.Migration.Enabled {
		return migration{}, nil
	}
	args := stack.Migration.Args()
	args.Service = stack.Consumer.Name
	args.Namespace = stack.Service.Namespace
	args.Image = stack.Consumer.Image
	args.ServiceAccount = namespace.ServiceAccount
	args.DirectSecret = secrets.DirectSecret
	args.CAConfigMap = secrets.CAConfigMap
	args.CAKey = contract.CAKey
	args.DatabasePort = stack.Database.Port
	args.DatabaseLife = database.ResourceID
	args.UID = stack.Consumer.UID
	if pool := pool.bouncer; stack.Reconnects() {
		args.Pool = &migrationjob.Console{
			Host:        pool.ConsoleHost,
			Port:        stack.Pool.ContainerPort,
			Secret:      pool.ConsoleSecretName,
			PoolName:    stack.Pool.Name,
			Image:       stack.Pool.Image,
			UID:         stack.Pool.UID,
			WaitSeconds: stack.Pool.TerminationGracePeriodSeconds + 30,
			DependsOn:   pool.Ready,
		}
	}
	job, err := migrationjob.NewMigrationJob(ctx, "migration", args, providers, pulumi.DependsOn(after))
	return migration{job}, err
}

func consumerArgs(
	stack *config.Stack, namespace *servicenamespace.ServiceNamespace, secrets *externalsecrets.ExternalSecretsStack,
	pool *pool, database consumer.Database,
) *consumer.ConsumerArgs {
	args := stack.Consumer.Args()
	args.Namespace = stack.Service.Namespace
	args.ServiceAccount = namespace.ServiceAccount
	args.DatabaseSecret = pool.consumerSecret()
	args.Database = database
	for i := range stack.Secrets.Further {
		further := &stack.Secrets.Further[i]
		// The component's output, so that pods wait for the Secret.
		name := secrets.SecretNames.MapIndex(pulumi.String(further.Name))
		switch {
		case further.InEnvironment():
			args.EnvSecrets = append(args.EnvSecrets, name)
		case further.Use == config.Files:
			args.SecretMounts = append(args.SecretMounts, consumer.SecretMount{Secret: name, Path: further.MountPath})
		}
	}
	return args
}

// inProject takes a path of the stack's config as relative to the project.
func inProject(root, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(root, path)
}
