package main

import (
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"dbtier/components/consumer"
	"dbtier/components/contract"
	"dbtier/components/databaserole"
	"dbtier/components/migrationjob"
	"dbtier/components/pgbouncer"
	"dbtier/config"
)

// pgBouncerPool is PgBouncer in the service's namespace.
type pgBouncerPool struct {
	tier    *tier
	bouncer *pgbouncer.PgBouncerPool
}

func (p *pgBouncerPool) holders() []string { return []string{p.tier.stack.Pool.Name} }

func (p *pgBouncerPool) inDatabaseSubnets() bool { return false }

func (p *pgBouncerPool) addManagerSecrets() ([]pulumi.StringInput, error) { return nil, nil }

func (p *pgBouncerPool) add() error {
	args := &pgbouncer.PgBouncerPoolArgs{
		Settings:      p.tier.stack.Pool.Settings,
		Service:       p.tier.stack.Consumer.Name,
		Namespace:     p.tier.stack.Service.Namespace,
		Credential:    pgbouncer.Credential{Store: p.tier.secrets.Store, Key: p.tier.database.MasterSecretArn},
		Logins:        p.tier.stack.PoolLogins(p.tier.secrets.Store),
		CABundle:      p.tier.authorities,
		Clients:       p.tier.stack.PoolClients(),
		DatabaseCIDRs: p.tier.stack.Network.DatabaseCIDRs,
		Protect:       p.tier.stack.Database.DeletionProtection,
		Scheduling:    p.tier.stack.Scheduling.OfPool(),
		DependsOn:     p.tier.prepared,
	}
	if p.tier.applicationRole != nil {
		args.Credential = pgbouncer.Credential{
			Key: p.tier.applicationRole.CredentialSecret, User: p.tier.stack.Role.User(),
			Generated:  databaserole.CredentialSecret(p.tier.stack.RoleObjects(), p.tier.stack.Role.Generation),
			Generation: p.tier.stack.Role.Generation, After: p.tier.applicationRole.Done,
		}
	}
	for _, name := range p.tier.stack.DatabaseNames() {
		args.Databases = append(args.Databases,
			pgbouncer.Database{Name: name, Host: p.tier.database.Host, Port: p.tier.database.Port})
	}
	if p.tier.stack.Reconnects() {
		args.Console = &pgbouncer.Client{Labels: map[string]string{
			contract.NameLabel: migrationjob.ReconnectPodName(p.tier.stack.Consumer.Name),
		}}
	}
	var err error
	p.bouncer, err = pgbouncer.NewPgBouncerPool(p.tier.ctx, "pool", args, p.tier.providers)
	return err
}

func (p *pgBouncerPool) ready() []pulumi.Resource { return p.bouncer.Ready }

func (p *pgBouncerPool) consumerSecret() pulumi.StringOutput { return p.bouncer.ConsumerSecretName }

func (p *pgBouncerPool) consumerDatabase() consumer.Database {
	revision := p.bouncer.ConsumerRevision
	if recoveries := p.tier.stack.Secrets.Recoveries; recoveries > 0 {
		// The URL has another password, which the revision does not contain.
		revision = pulumi.Sprintf("%s-%d", revision, recoveries)
	}
	return consumer.Database{Revision: revision}
}

// tokenLogin is the instance: PgBouncer cannot renew tokens.
func (p *pgBouncerPool) tokenLogin() tokenLogin {
	return tokenLogin{
		host: p.tier.database.Host, port: p.tier.database.Port, resourceID: p.tier.database.ResourceID,
		caConfigMap: p.tier.secrets.CAConfigMap, caPath: contract.CAPath,
	}
}

func (p *pgBouncerPool) console() *migrationjob.Console {
	if !p.tier.stack.Reconnects() {
		return nil
	}
	return &migrationjob.Console{
		Host:        p.bouncer.ConsoleHost,
		Port:        p.tier.stack.Pool.ContainerPort,
		Secret:      p.bouncer.ConsoleSecretName,
		PoolName:    p.tier.stack.Pool.Name,
		Image:       p.tier.stack.Pool.Image,
		UID:         p.tier.stack.Pool.UID,
		WaitSeconds: p.tier.stack.Pool.TerminationGracePeriodSeconds + 30,
		DependsOn:   p.bouncer.Ready,
	}
}

func (p *pgBouncerPool) outputs() pulumi.Map {
	return pulumi.Map{
		config.OutputPoolSecret:    p.bouncer.ConfigSecretName,
		config.OutputPoolLogin:     p.bouncer.LoginSecretName,
		config.OutputPool:          p.bouncer.DeploymentName,
		config.OutputPoolContainer: pulumi.String(pgbouncer.ContainerName),
		config.OutputPoolHost:      p.bouncer.Host,
		config.OutputPoolSessionDatabase: pulumi.String(
			pgbouncer.SessionDatabase(p.tier.stack.Database.DatabaseName)),
		config.OutputPoolSocketDir: pulumi.String(pgbouncer.SocketDir),
	}
}

func (p *pgBouncerPool) externalSecrets() pulumi.StringArrayOutput {
	return p.bouncer.ExternalSecretNames
}
