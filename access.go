package main

import (
	"fmt"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"dbtier/components/consumer"
	"dbtier/components/contract"
	"dbtier/components/externalsecrets"
	"dbtier/components/irsarole"
	"dbtier/components/migrationjob"
	"dbtier/components/naming"
	"dbtier/components/permission"
	"dbtier/components/pgbouncer"
	"dbtier/components/rdspostgres"
	"dbtier/components/rdsproxy"
	"dbtier/config"
)

// The service's way to its database: through a pool of one of two kinds, and with tokens of its own role where that is
// asked for.

// pool is what the service connects to, one of the two.
type pool struct {
	bouncer *pgbouncer.PgBouncerPool
	proxy   *rdsproxy.RdsProxy
}

func (p *pool) consumerSecret() pulumi.StringOutput {
	if p.proxy != nil {
		return p.proxy.ConsumerSecretName
	}
	return p.bouncer.ConsumerSecretName
}

// externalSecrets are the names of the pool's.
func (p *pool) externalSecrets() pulumi.StringArrayOutput {
	if p.proxy != nil {
		return pulumi.StringArray{p.proxy.ConsumerSecretName}.ToStringArrayOutput()
	}
	return p.bouncer.ExternalSecretNames
}

func (p *pool) ready() []pulumi.Resource {
	if p.proxy != nil {
		return p.proxy.Ready
	}
	return p.bouncer.Ready
}

// roleObjects begins the names of the objects that make the application's role: the pool's name, where there is one of
// ours.
func roleObjects(stack *config.Stack) string {
	if stack.Pool.Kind == config.RDSProxy {
		return "database"
	}
	return stack.Pool.Name
}

// proxiedUsers are the database users who come through RDS Proxy, with their secrets; there are none with another pool.
// The master user's secret is there already.
func proxiedUsers(
	ctx *pulumi.Context, stack *config.Stack, database *rdspostgres.RdsPostgres, providers pulumi.ResourceOption,
) ([]rdsproxy.User, error) {
	if stack.Pool.Kind != config.RDSProxy {
		return nil, nil
	}
	if stack.Role.PoolUser == config.MasterUser {
		return []rdsproxy.User{{
			Name: stack.DatabaseUser(), SecretArn: database.MasterSecretArn,
			KmsKeyArn: database.KmsKeyArn,
		}}, nil
	}
	secrets, err := rdsproxy.NewProxySecrets(ctx, "proxy-secrets", &rdsproxy.ProxySecretsArgs{
		Prefix: stack.Database.Identifier, Users: stack.ProxyUsers(), KmsKeyArn: database.KmsKeyArn, Tags: stack.Tags(),
	}, providers)
	if err != nil {
		return nil, err
	}
	return secrets.Users, nil
}

// secretPermissions are what the operator may do for this service: read its secrets, and write those of the proxy.
func secretPermissions(
	stack *config.Stack, database *rdspostgres.RdsPostgres, proxied []rdsproxy.User,
) []permission.Permission {
	read := permission.ReadSecrets{Arns: []pulumi.StringInput{database.MasterSecretArn}}
	use := permission.UseKeys{Arns: []pulumi.StringInput{database.KmsKeyArn}, Via: "secretsmanager"}
	also := func(arn, key string) {
		if arn == "" {
			return
		}
		read.Arns = append(read.Arns, pulumi.String(arn))
		if key != "" {
			use.Arns = append(use.Arns, pulumi.String(key))
		}
	}
	for i := range stack.Pool.Logins {
		also(stack.Pool.Logins[i].CredentialArn, stack.Pool.Logins[i].KmsKeyArn)
	}
	for i := range stack.Secrets.Further {
		also(stack.Secrets.Further[i].Arn, stack.Secrets.Further[i].KmsKeyArn)
	}
	// RDS itself writes the master user's.
	if len(proxied) == 0 || stack.Role.PoolUser == config.MasterUser {
		return []permission.Permission{read, use}
	}
	// The user of the last generation has its password already.
	push := permission.PushSecrets{Arns: []pulumi.StringInput{proxied[0].SecretArn}}
	encrypt := permission.UseKeys{Arns: []pulumi.StringInput{database.KmsKeyArn}, Via: "secretsmanager", Encrypt: true}
	if use.Arns = use.Arns[1:]; len(use.Arns) == 0 {
		return []permission.Permission{read, push, encrypt}
	}
	return []permission.Permission{read, push, encrypt, use}
}

func newPool(
	ctx *pulumi.Context, stack *config.Stack, database *rdspostgres.RdsPostgres,
	secrets *externalsecrets.ExternalSecretsStack, role role,
	proxied []rdsproxy.User, authorities string, prepared []pulumi.Resource, providers pulumi.ResourceOption,
) (*pool, error) {
	if stack.Pool.Kind != config.RDSProxy {
		made, err := pgbouncer.NewPgBouncerPool(ctx, "pool",
			poolArgs(stack, database, secrets, role.credential(database, secrets), authorities, prepared), providers)
		return &pool{bouncer: made}, err
	}
	args := &rdsproxy.RdsProxyArgs{
		Settings:               stack.Proxy,
		Service:                stack.Consumer.Name,
		Namespace:              stack.Service.Namespace,
		Region:                 stack.AWS.Region,
		AccountID:              stack.AWS.AccountID,
		Partition:              stack.AWS.Partition,
		PermissionsBoundaryArn: stack.AWS.PermissionsBoundaryArn,
		VpcID:                  pulumi.String(stack.Network.VpcID),
		SubnetIDs:              pulumi.ToStringArray(stack.Network.SubnetIDs),
		Clients: []rdsproxy.Client{
			{Name: "EKS nodes", SecurityGroupID: pulumi.String(stack.Cluster.NodeSecurityGroupID)},
		},

		DatabaseIdentifier:      database.Identifier,
		DatabaseName:            stack.Database.DatabaseName,
		DatabasePort:            stack.Database.Port,
		DatabaseSecurityGroupID: database.SecurityGroupID,
		DatabaseClientGroupID:   database.ClientSecurityGroupID,

		Users:           proxied,
		Store:           rdsproxy.Store{Kind: secrets.Store.Kind, Name: secrets.Store.Name},
		RefreshInterval: stack.Secrets.RefreshInterval,
		DependsOn:       prepared,
		Tags:            stack.Tags(),
	}
	if role.made != nil {
		args.CredentialSecret = role.made.CredentialSecret
	}
	made, err := rdsproxy.NewRdsProxy(ctx, "proxy", args, providers)
	return &pool{proxy: made}, err
}

// consumerDatabase is what the service's pods need besides DATABASE_URL; tokens is the role by which they log in with
// tokens, if there is one.
func consumerDatabase(
	stack *config.Stack, database *rdspostgres.RdsPostgres, secrets *externalsecrets.ExternalSecretsStack, pool *pool,
	tokens *irsarole.IrsaRole,
) consumer.Database {
	var out consumer.Database
	host, port := database.Host, database.Port
	if pool.bouncer != nil {
		out.Revision = pool.bouncer.ConsumerRevision
	}
	switch {
	case pool.proxy != nil:
		host, port = pool.proxy.Host, pool.proxy.Port
		out.CAConfigMap, out.CAKey, out.CAPath = pool.proxy.CAConfigMap, rdsproxy.CAKey, rdsproxy.CAPath
		// Pods read the Secret when they start. The last generation's user goes on working, so they may do it one after
		// the other.
		out.Revision = pulumi.Sprintf("%s@%s:%d/%s", stack.DatabaseUser(), host, port, stack.Database.DatabaseName)
	case tokens != nil:
		out.CAConfigMap, out.CAKey, out.CAPath = secrets.CAConfigMap, contract.CAKey,
			migrationjob.DefaultCAMountPath
	}
	if tokens == nil {
		return out
	}
	out.IAM = &consumer.IAM{
		URL: pulumi.Sprintf("postgresql://%s@%s:%d/%s?sslmode=verify-full&sslrootcert=%s",
			stack.IAMUsers()[0], host, port, stack.Database.DatabaseName, out.CAPath),
		Region:      stack.AWS.Region,
		STSEndpoint: stack.AWS.ClusterEndpoint,
	}
	if stack.IAM.Binding == irsarole.WebIdentity {
		out.IAM.RoleArn = tokens.Arn
	}
	return out
}

// newTokenRole is the role with which the service's pods log in to the database; nil where nobody asked for it.
func newTokenRole(
	ctx *pulumi.Context, stack *config.Stack, database *rdspostgres.RdsPostgres, pool *pool,
	providers pulumi.ResourceOption,
) (*irsarole.IrsaRole, error) {
	if !stack.IAM.Enabled {
		return nil, nil //nolint:nilnil // no role and no error: none is wanted
	}
	args := &irsarole.IrsaRoleArgs{
		Name: naming.Join(naming.RoleLimit, stack.Service.Name, stack.Environment, stack.AWS.Region,
			"database"),
		Description: fmt.Sprintf("Logs in to the database of %s in %s, as its pods", stack.Service.Name,
			stack.Environment),
		Binding:    stack.IAM.Binding,
		ClusterArn: stack.ClusterArn(),
		Region:     stack.AWS.Region,
		ServiceAccounts: []irsarole.ServiceAccount{
			{Namespace: stack.Service.Namespace, Name: stack.Consumer.Name},
		},
		PolicyName:             "connect",
		PermissionsBoundaryArn: stack.AWS.PermissionsBoundaryArn,
		Tags:                   stack.Tags(),
	}
	if stack.IAM.Binding == irsarole.WebIdentity {
		args.OIDCProviderArn = stack.Cluster.OIDCProviderArn
	}
	connect := permission.ConnectAsDatabaseUser{ResourceID: database.ResourceID, Users: stack.IAMUsers()}
	if pool.proxy != nil {
		connect.ResourceID = pool.proxy.ResourceID
	}
	args.Permissions = []permission.Permission{connect}
	return irsarole.NewIrsaRole(ctx, "database-login", args, providers)
}
