package main

import (
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"dbtier/components/consumer"
	"dbtier/components/contract"
	"dbtier/components/migrationjob"
	"dbtier/components/pgbouncer"
	"dbtier/config"
)

// pgBouncerPool is PgBouncer in the service's namespace.
type pgBouncerPool struct {
	*tier
	bouncer *pgbouncer.PgBouncerPool
}

func (p *pgBouncerPool) holders() []string { return []string{p.stack.Pool.Name} }

func (p *pgBouncerPool) objectName() string { return p.stack.Pool.Name }

func (p *pgBouncerPool) inDatabaseSubnets() bool { return false }

func (p *pgBouncerPool) addSecrets() ([]pulumi.StringInput, error) { return nil, nil }

func (p *pgBouncerPool) add() error {
	args := &pgbouncer.PgBouncerPoolArgs{
		Settings:      p.stack.Pool.Settings,
		Service:       p.stack.Consumer.Name,
		Namespace:     p.stack.Service.Namespace,
		Credential:    pgbouncer.Credential{Store: p.secrets.Store, Key: p.database.MasterSecretArn},
		Logins:        p.stack.PoolLogins(p.secrets.Store),
		CABundle:      p.authorities,
		Clients:       p.stack.PoolClients(),
		DatabaseCIDRs: p.stack.Network.DatabaseCIDRs,
		DependsOn:     p.prepared,
	}
	if p.role != nil {
		args.Credential = pgbouncer.Credential{Key: p.role.CredentialSecret}
	}
	for _, name := range p.stack.DatabaseNames() {
		args.Databases = append(args.Databases,
			pgbouncer.Database{Name: name, Host: p.database.Host, Port: p.database.Port})
	}
	if p.stack.Reconnects() {
		args.Console = &pgbouncer.Client{Labels: map[string]string{
			contract.NameLabel: migrationjob.ReconnectPodName(p.stack.Consumer.Name),
		}}
	}
	var err error
	p.bouncer, err = pgbouncer.NewPgBouncerPool(p.ctx, "pool", args, p.providers)
	return err
}

func (p *pgBouncerPool) ready() []pulumi.Resource { return p.bouncer.Ready }

func (p *pgBouncerPool) consumerSecret() pulumi.StringOutput { return p.bouncer.ConsumerSecretName }

func (p *pgBouncerPool) consumerDatabase() consumer.Database {
	return consumer.Database{Revision: p.bouncer.ConsumerRevision}
}

// tokenLogin is the instance: PgBouncer cannot renew tokens.
func (p *pgBouncerPool) tokenLogin() tokenLogin {
	return tokenLogin{
		host: p.database.Host, port: p.database.Port, resourceID: p.database.ResourceID,
		caConfigMap: p.secrets.CAConfigMap, caPath: contract.CAPath,
	}
}

func (p *pgBouncerPool) console() *migrationjob.Console {
	if !p.stack.Reconnects() {
		return nil
	}
	return &migrationjob.Console{
		Host:        p.bouncer.ConsoleHost,
		Port:        p.stack.Pool.ContainerPort,
		Secret:      p.bouncer.ConsoleSecretName,
		PoolName:    p.stack.Pool.Name,
		Image:       p.stack.Pool.Image,
		UID:         p.stack.Pool.UID,
		WaitSeconds: p.stack.Pool.TerminationGracePeriodSeconds + 30,
		DependsOn:   p.bouncer.Ready,
	}
}

func (p *pgBouncerPool) outputs() pulumi.Map {
	return pulumi.Map{
		config.OutputPoolSecret:    p.bouncer.ConfigSecretName,
		config.OutputPool:          p.bouncer.DeploymentName,
		config.OutputPoolContainer: pulumi.String(pgbouncer.ContainerName),
		config.OutputPoolHost:      p.bouncer.Host,
		config.OutputPoolSocketDir: pulumi.String(pgbouncer.SocketDir),
	}
}

func (p *pgBouncerPool) externalSecrets() pulumi.StringArrayOutput {
	return p.bouncer.ExternalSecretNames
}
