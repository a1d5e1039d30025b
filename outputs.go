package main

import (
	"maps"
	"slices"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"dbtier/components/consumer"
	"dbtier/components/externalsecrets"
	"dbtier/components/irsarole"
	"dbtier/components/pgbouncer"
	"dbtier/components/rdspostgres"
	"dbtier/config"
)

// tier is the whole chain.
type tier struct {
	database  *rdspostgres.RdsPostgres
	reader    *irsarole.IrsaRole
	secrets   *externalsecrets.ExternalSecretsStack
	role      role
	pool      *pool
	tokens    *irsarole.IrsaRole
	migration migration
	service   *consumer.Consumer
}

// exportCluster tells where the stack is, and what another stack in the same cluster may refer to.
func exportCluster(ctx *pulumi.Context, stack *config.Stack) {
	outputs := map[string]pulumi.Input{
		config.OutputCloud:               pulumi.String(stack.Cloud),
		config.OutputEnvironment:         pulumi.String(stack.Environment),
		config.OutputRegion:              pulumi.String(stack.AWS.Region),
		config.OutputSTSEndpoint:         pulumi.String(stack.STSEndpoint()),
		config.OutputOIDCProviderArn:     pulumi.String(stack.Cluster.OIDCProviderArn),
		config.OutputNodeSecurityGroupID: pulumi.String(stack.Cluster.NodeSecurityGroupID),
	}
	if stack.KnowsNetwork() {
		outputs[config.OutputVpcID] = pulumi.String(stack.Network.VpcID)
		outputs[config.OutputSubnetIDs] = pulumi.ToStringArray(stack.Network.SubnetIDs)
		outputs[config.OutputDatabaseCIDRs] = pulumi.ToStringArray(stack.Network.DatabaseCIDRs)
	}
	if stack.Operator.Install {
		outputs[config.OutputOperatorNamespace] = pulumi.String(stack.Operator.Namespace)
	}
	for name, value := range outputs {
		ctx.Export(name, value)
	}
}

// export tells where everything is of the service. Nothing secret is among it.
func export(ctx *pulumi.Context, stack *config.Stack, t *tier) {
	connections := stack.Budget()
	limit, _ := connections.Limit()
	outputs := map[string]pulumi.Input{
		config.OutputDatabaseIdentifier: t.database.Identifier,
		config.OutputDatabaseEndpoint:   t.database.Host,
		config.OutputDatabasePort:       t.database.Port,
		config.OutputDatabaseName:       t.database.DatabaseName,
		config.OutputDatabaseUser:       pulumi.String(stack.DatabaseUser()),
		config.OutputMasterSecretArn:    t.database.MasterSecretArn,
		config.OutputKmsKeyArn:          t.database.KmsKeyArn,

		config.OutputConnectionsPlanned: pulumi.Int(connections.Most()),
		config.OutputConnectionsLimit:   pulumi.Int(limit),

		config.OutputRoleArn:                 t.reader.Arn,
		config.OutputServiceAccount:          t.secrets.ServiceAccount,
		config.OutputServiceAccountNamespace: pulumi.String(stack.Service.Namespace),

		config.OutputNamespace:       pulumi.String(stack.Service.Namespace),
		config.OutputStore:           t.secrets.Store.Name,
		config.OutputExternalSecrets: t.externalSecrets(),
		config.OutputSecret:          t.pool.consumerSecret(),
		config.OutputDirectSecret:    t.secrets.DirectSecret,
		config.OutputPoolKind:        pulumi.String(stack.Pool.Kind),

		config.OutputDeployment: t.service.DeploymentName,
		config.OutputContainer:  t.service.DeploymentName,
		config.OutputService:    t.service.ServiceName,
	}
	if bouncer := t.pool.bouncer; bouncer != nil {
		outputs[config.OutputPoolSecret] = bouncer.ConfigSecretName
		outputs[config.OutputPool] = bouncer.DeploymentName
		outputs[config.OutputPoolContainer] = pulumi.String(pgbouncer.ContainerName)
		outputs[config.OutputPoolHost] = bouncer.Host
		outputs[config.OutputPoolSocketDir] = pulumi.String(pgbouncer.SocketDir)
	}
	if proxy := t.pool.proxy; proxy != nil {
		outputs[config.OutputProxy] = proxy.Name
		outputs[config.OutputPoolHost] = proxy.Host
	}
	if t.tokens != nil {
		outputs[config.OutputDatabaseRoleArn] = t.tokens.Arn
		outputs[config.OutputIAMUser] = pulumi.String(stack.IAMUsers()[0])
	}
	if t.role.made != nil {
		outputs[config.OutputBootstrapJob] = t.role.made.JobName
	}
	if t.migration.job != nil {
		outputs[config.OutputMigrationJob] = t.migration.job.JobName
		if stack.Reconnects() {
			outputs[config.OutputReconnectJob] = t.migration.job.ReconnectJobName
		}
	}
	for name, value := range outputs {
		ctx.Export(name, value)
	}
}

// externalSecrets are the names of all of them, the service's own database secrets first.
func (t *tier) externalSecrets() pulumi.StringArrayOutput {
	own := pulumi.StringArray{t.secrets.DirectSecret}
	if t.role.made != nil {
		own = append(own, t.role.made.CredentialSecret)
	}
	return pulumi.All(own, t.pool.externalSecrets(), t.secrets.SecretNames).ApplyT(func(known []any) []string {
		further := known[2].(map[string]string)
		return slices.Concat(known[0].([]string), known[1].([]string), slices.Sorted(maps.Values(further)))
	}).(pulumi.StringArrayOutput)
}
