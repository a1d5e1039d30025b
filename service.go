package main

import (
	"slices"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"dbtier/components/consumer"
	"dbtier/components/contract"
	"dbtier/components/irsarole"
	"dbtier/config"
)

// addService runs the service.
func (t *tier) addService() error {
	args := &consumer.ConsumerArgs{
		Settings:       t.stack.Consumer.Settings,
		Namespace:      t.stack.Service.Namespace,
		ServiceAccount: t.namespace.ServiceAccount,
		DatabaseSecret: t.pool.consumerSecret(),
		Database:       t.consumerDatabase(),
		Protect:        t.stack.Database.DeletionProtection,
		Scheduling:     t.stack.Scheduling.OfService(),
	}
	for i := range t.stack.Secrets.Further {
		secret := &t.stack.Secrets.Further[i]
		// This is the component's output, so that the pods wait for the Secret.
		name := t.secrets.SecretNames.MapIndex(pulumi.String(secret.Name))
		switch {
		case secret.InEnvironment():
			args.EnvSecrets = append(args.EnvSecrets, name)
		case secret.Use == config.Files:
			args.SecretMounts = append(args.SecretMounts, consumer.SecretMount{Secret: name, Path: secret.MountPath})
		}
	}
	after := slices.Clone(t.pool.ready())
	if t.migration != nil {
		after = slices.Concat(t.migration.Done, after)
	}
	var err error
	t.service, err = consumer.NewConsumer(t.ctx, "consumer", args, t.providers, pulumi.DependsOn(after))
	return err
}

// consumerDatabase is what the service's pods need in addition to DATABASE_URL.
func (t *tier) consumerDatabase() consumer.Database {
	database := t.pool.consumerDatabase()
	if t.tokenRole == nil {
		return database
	}
	login := t.pool.tokenLogin()
	database.CAConfigMap, database.CAPath = login.caConfigMap, login.caPath
	database.IAM = &consumer.IAM{
		URL: pulumi.All(login.host, login.port).ApplyT(func(known []any) string {
			return contract.URL(t.stack.IAMUsers()[0], known[0].(string), known[1].(int), t.stack.Database.DatabaseName,
				login.caPath)
		}).(pulumi.StringOutput),
		Region:      t.stack.AWS.Region,
		STSEndpoint: t.stack.AWS.ClusterEndpoint,
	}
	if t.stack.IAM.Binding == irsarole.WebIdentity {
		database.IAM.RoleArn = t.tokenRole.Arn
	}
	return database
}
