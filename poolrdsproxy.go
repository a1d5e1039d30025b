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
	*tier
	users []rdsproxy.User
	proxy *rdsproxy.RdsProxy
}

func (p *rdsProxyPool) holders() []string { return nil }

func (p *rdsProxyPool) objectName() string { return "database" }

func (p *rdsProxyPool) inDatabaseSubnets() bool { return true }

// addSecrets creates a secret for each database user that the proxy logs in as. RDS writes the master user's secret.
// The operator pushes the password of the current generation's user. The previous generation's secret already has its
// password.
func (p *rdsProxyPool) addSecrets() ([]pulumi.StringInput, error) {
	if p.stack.Role.PoolUser == config.MasterUser {
		p.users = []rdsproxy.User{{
			Name: p.stack.DatabaseUser(), SecretArn: p.database.MasterSecretArn, KmsKeyArn: p.database.KmsKeyArn,
		}}
		return nil, nil
	}
	secrets, err := rdsproxy.NewProxySecrets(p.ctx, "proxy-secrets", &rdsproxy.ProxySecretsArgs{
		Prefix: p.stack.Database.Identifier, Users: p.stack.ProxyUsers(), KmsKeyArn: p.database.KmsKeyArn,
		Tags: p.stack.Tags(),
	}, p.providers)
	if err != nil {
		return nil, err
	}
	p.users = secrets.Users
	return []pulumi.StringInput{p.users[0].SecretArn}, nil
}

func (p *rdsProxyPool) add() error {
	args := &rdsproxy.RdsProxyArgs{
		Settings:               p.stack.Proxy,
		Service:                p.stack.Consumer.Name,
		Namespace:              p.stack.Service.Namespace,
		Region:                 p.stack.AWS.Region,
		AccountID:              p.stack.AWS.AccountID,
		Partition:              p.stack.AWS.Partition,
		PermissionsBoundaryArn: p.stack.AWS.PermissionsBoundaryArn,
		VpcID:                  pulumi.String(p.stack.Network.VpcID),
		SubnetIDs:              pulumi.ToStringArray(p.stack.Network.SubnetIDs),
		Clients: []rdsproxy.Client{{
			Name: nodes, SecurityGroupID: pulumi.String(p.stack.Cluster.NodeSecurityGroupID),
		}},

		DatabaseIdentifier:      p.database.Identifier,
		DatabaseName:            p.stack.Database.DatabaseName,
		DatabasePort:            p.stack.Database.Port,
		DatabaseSecurityGroupID: p.database.SecurityGroupID,
		DatabaseClientGroupID:   p.database.ClientSecurityGroupID,

		Users:           p.users,
		Store:           p.secrets.Store,
		RefreshInterval: p.stack.Secrets.RefreshInterval,
		DependsOn:       p.prepared,
		Tags:            p.stack.Tags(),
	}
	if p.role != nil {
		args.CredentialSecret = p.role.CredentialSecret
	}
	var err error
	p.proxy, err = rdsproxy.NewRdsProxy(p.ctx, "proxy", args, p.providers)
	return err
}

func (p *rdsProxyPool) ready() []pulumi.Resource { return p.proxy.Ready }

func (p *rdsProxyPool) consumerSecret() pulumi.StringOutput { return p.proxy.ConsumerSecretName }

// consumerDatabase has a revision that changes with the URL. Pods read the Secret when they start; the previous
// generation's user keeps working, so they can be replaced one by one.
func (p *rdsProxyPool) consumerDatabase() consumer.Database {
	return consumer.Database{
		CAConfigMap: p.proxy.CAConfigMap, CAPath: contract.ProxyCAPath,
		Revision: pulumi.Sprintf("%s@%s:%d/%s", p.stack.DatabaseUser(), p.proxy.Host, p.proxy.Port,
			p.stack.Database.DatabaseName),
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
