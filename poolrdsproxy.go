package main

import (
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"dbtier/components/consumer"
	"dbtier/components/contract"
	"dbtier/components/migrationjob"
	"dbtier/components/rdsproxy"
	"dbtier/config"
)

// rdsProxyPool is RDS Proxy, which AWS runs in the subnets of the database.
type rdsProxyPool struct {
	tier  *tier
	users []rdsproxy.User
	proxy *rdsproxy.RdsProxy
}

func (p *rdsProxyPool) holders() []string { return nil }

func (p *rdsProxyPool) inDatabaseSubnets() bool { return true }

// addManagerSecrets creates a secret for each database user that the proxy logs in as. RDS writes the master user's
// secret. The operator pushes the password of the current generation's user. The previous generation's secret already
// has its password.
func (p *rdsProxyPool) addManagerSecrets() ([]pulumi.StringInput, error) {
	if p.tier.stack.Role.PoolUser == config.MasterUser {
		p.users = []rdsproxy.User{{
			Name: p.tier.stack.DatabaseUser(), SecretArn: p.tier.database.MasterSecretArn,
			KmsKeyArn: p.tier.database.KmsKeyArn,
		}}
		return nil, nil
	}
	secrets, err := rdsproxy.NewProxySecrets(p.tier.ctx, "proxy-secrets", &rdsproxy.ProxySecretsArgs{
		Prefix: p.tier.stack.Database.Identifier, Users: p.tier.stack.ProxyUsers(),
		KmsKeyArn: p.tier.database.KmsKeyArn,
		Tags:      p.tier.stack.Tags(),
	}, p.tier.providers)
	if err != nil {
		return nil, err
	}
	p.users = secrets.Users
	return []pulumi.StringInput{p.users[0].SecretArn}, nil
}

func (p *rdsProxyPool) add() error {
	args := &rdsproxy.RdsProxyArgs{
		Settings:               p.tier.stack.Proxy,
		Service:                p.tier.stack.Consumer.Name,
		Namespace:              p.tier.stack.Service.Namespace,
		Region:                 p.tier.stack.AWS.Region,
		AccountID:              p.tier.stack.AWS.AccountID,
		Partition:              p.tier.stack.AWS.Partition,
		PermissionsBoundaryArn: p.tier.stack.AWS.PermissionsBoundaryArn,
		VpcID:                  pulumi.String(p.tier.stack.Network.VpcID),
		SubnetIDs:              pulumi.ToStringArray(p.tier.stack.Network.SubnetIDs),
		Clients: []rdsproxy.Client{{
			Name: nodes, SecurityGroupID: pulumi.String(p.tier.stack.Cluster.NodeSecurityGroupID),
		}},

		DatabaseIdentifier:      p.tier.database.Identifier,
		DatabaseName:            p.tier.stack.Database.DatabaseName,
		DatabasePort:            p.tier.stack.Database.Port,
		DatabaseSecurityGroupID: p.tier.database.SecurityGroupID,
		DatabaseClientGroupID:   p.tier.database.ClientSecurityGroupID,

		Users:           p.users,
		Store:           p.tier.secrets.Store,
		RefreshInterval: p.tier.stack.Secrets.RefreshInterval,
		DependsOn:       p.tier.prepared,
		KeepLogs:        p.tier.stack.Database.LogSkipDestroy,
		Protect:         p.tier.stack.Database.DeletionProtection,
		Tags:            p.tier.stack.Tags(),
	}
	if p.tier.applicationRole != nil {
		args.CredentialSecret = p.tier.applicationRole.CredentialSecret
	}
	var err error
	p.proxy, err = rdsproxy.NewRdsProxy(p.tier.ctx, "proxy", args, p.tier.providers)
	return err
}

func (p *rdsProxyPool) ready() []pulumi.Resource { return p.proxy.Ready }

func (p *rdsProxyPool) consumerSecret() pulumi.StringOutput { return p.proxy.ConsumerSecretName }

// consumerDatabase has a revision that changes with the URL. Pods read the Secret when they start; the previous
// generation's user keeps working, so they can be replaced one by one.
func (p *rdsProxyPool) consumerDatabase() consumer.Database {
	return consumer.Database{
		CAConfigMap: p.proxy.CAConfigMap, CAPath: contract.ProxyCAPath,
		Revision: pulumi.Sprintf("%s@%s:%d/%s", p.tier.stack.DatabaseUser(), p.proxy.Host, p.proxy.Port,
			p.tier.stack.Database.DatabaseName),
	}
}

func (p *rdsProxyPool) tokenLogin() tokenLogin {
	return tokenLogin{
		host: p.proxy.Host, port: p.proxy.Port, resourceID: p.proxy.ResourceID,
		caConfigMap: p.proxy.CAConfigMap, caPath: contract.ProxyCAPath,
	}
}

// console is nil: RDS Proxy has no console.
func (p *rdsProxyPool) console() *migrationjob.Console { return nil }

func (p *rdsProxyPool) outputs() pulumi.Map {
	return pulumi.Map{config.OutputProxy: p.proxy.Name, config.OutputPoolHost: p.proxy.Host}
}

func (p *rdsProxyPool) externalSecrets() pulumi.StringArrayOutput {
	return pulumi.StringArray{p.proxy.ConsumerSecretName}.ToStringArrayOutput()
}
