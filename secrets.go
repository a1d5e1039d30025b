package main

import (
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"dbtier/components/externalsecrets"
	"dbtier/components/naming"
)

// addSecrets creates the store of the service's secrets, and the Secrets that come from it.
func (t *tier) addSecrets() error {
	args := &externalsecrets.ExternalSecretsStackArgs{
		Settings:  t.stack.Secrets.Settings,
		Service:   t.stack.Consumer.Name,
		Namespace: t.stack.Service.Namespace,
		// A ClusterSecretStore belongs to the cluster. The environment separates two stacks of one service in a
		// cluster.
		StoreName:       naming.Join(naming.LabelLimit, t.stack.Service.Name, t.stack.Environment),
		ServiceAccount:  t.stack.SecretsServiceAccount(),
		RoleArn:         t.secretsRole.Arn,
		Region:          t.stack.AWS.Region,
		MasterSecretArn: t.database.MasterSecretArn,
		DatabaseHost:    t.database.Host,
		DatabasePort:    t.database.Port,
		DatabaseName:    t.stack.Database.DatabaseName,
		CABundle:        t.authorities,
	}
	for i := range t.stack.Secrets.Further {
		args.Secrets = append(args.Secrets, t.stack.Secrets.Further[i].Args())
	}
	var err error
	t.secrets, err = externalsecrets.NewExternalSecretsStack(t.ctx, "secrets", args, t.providers,
		pulumi.DependsOn(t.prepared))
	return err
}
