package main

import (
	"maps"
	"slices"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"dbtier/config"
)

// outputs returns the outputs of the stack. None of them is secret.
func (t *tier) outputs() pulumi.Map {
	outputs := t.clusterOutputs()
	if t.stack.HoldsService() {
		maps.Copy(outputs, t.serviceOutputs())
		maps.Copy(outputs, t.pool.outputs())
	}
	return outputs
}

// clusterOutputs returns where the stack is, and what another stack in the same cluster can refer to.
func (t *tier) clusterOutputs() pulumi.Map {
	outputs := pulumi.Map{
		config.OutputCloud:               pulumi.String(t.stack.Cloud),
		config.OutputEnvironment:         pulumi.String(t.stack.Environment),
		config.OutputRegion:              pulumi.String(t.stack.AWS.Region),
		config.OutputSTSEndpoint:         pulumi.String(t.stack.STSEndpoint()),
		config.OutputOIDCProviderArn:     pulumi.String(t.stack.Cluster.OIDCProviderArn),
		config.OutputNodeSecurityGroupID: pulumi.String(t.stack.Cluster.NodeSecurityGroupID),
	}
	if t.stack.KnowsNetwork() {
		outputs[config.OutputVpcID] = pulumi.String(t.stack.Network.VpcID)
		outputs[config.OutputSubnetIDs] = pulumi.ToStringArray(t.stack.Network.SubnetIDs)
		outputs[config.OutputDatabaseCIDRs] = pulumi.ToStringArray(t.stack.Network.DatabaseCIDRs)
	}
	if t.stack.Operator.Install {
		outputs[config.OutputOperatorNamespace] = pulumi.String(t.stack.Operator.Namespace)
	}
	return outputs
}

// serviceOutputs returns where each part of the service's tier is.
func (t *tier) serviceOutputs() pulumi.Map {
	limit, _ := t.stack.Budget.Limit()
	outputs := pulumi.Map{
		config.OutputDatabaseIdentifier: t.database.Identifier,
		config.OutputDatabaseEndpoint:   t.database.Host,
		config.OutputDatabasePort:       t.database.Port,
		config.OutputDatabaseName:       t.database.DatabaseName,
		config.OutputDatabaseUser:       pulumi.String(t.stack.DatabaseUser()),
		config.OutputMasterSecretArn:    t.database.MasterSecretArn,
		config.OutputKmsKeyArn:          t.database.KmsKeyArn,

		config.OutputConnectionsPlanned: pulumi.Int(t.stack.Budget.Most()),
		config.OutputConnectionsLimit:   pulumi.Int(limit),
		config.OutputConnectionPlan:     pulumi.ToStringArray(t.stack.Budget.Lines()),

		config.OutputSecretsRoleArn:                 t.secretsRole.Arn,
		config.OutputSecretsServiceAccount:          t.secrets.ServiceAccount,
		config.OutputSecretsServiceAccountNamespace: pulumi.String(t.stack.Service.Namespace),

		config.OutputNamespace:            pulumi.String(t.stack.Service.Namespace),
		config.OutputSecretStore:          t.secrets.Store.Name,
		config.OutputExternalSecrets:      t.externalSecrets(),
		config.OutputRecoveries:           pulumi.Int(t.stack.Secrets.Recoveries),
		config.OutputDatabaseSecret:       t.pool.consumerSecret(),
		config.OutputDirectDatabaseSecret: t.secrets.DirectSecret,
		config.OutputPoolKind:             pulumi.String(t.stack.Pool.Kind),

		config.OutputDeployment: t.service.DeploymentName,
		// The container has the name of its Deployment.
		config.OutputContainer: t.service.DeploymentName,
		config.OutputService:   t.service.ServiceName,
	}
	if t.tokenRole != nil {
		outputs[config.OutputDatabaseRoleArn] = t.tokenRole.Arn
		outputs[config.OutputDatabaseIAMUser] = pulumi.String(t.stack.IAMUsers()[0])
	}
	if t.applicationRole != nil {
		outputs[config.OutputBootstrapJob] = t.applicationRole.JobName
		outputs[config.OutputDatabaseCredential] = t.applicationRole.CredentialSecret
		outputs[config.OutputRoleGeneration] = pulumi.Int(t.stack.Role.Generation)
		outputs[config.OutputRoleGenerationCreated] = t.applicationRole.Created
	}
	if t.migration != nil {
		outputs[config.OutputMigrationJob] = t.migration.JobName
	}
	if t.stack.Drills.Enabled {
		outputs[config.OutputDrillImage] = pulumi.String(t.stack.Drills.Image)
		outputs[config.OutputDrillConnections] = pulumi.Int(t.stack.Drills.Connections)
	}
	if t.stack.Reconnects() {
		outputs[config.OutputReconnectJob] = t.migration.ReconnectJobName
	}
	return outputs
}

// externalSecrets returns the names of all ExternalSecrets of the service, those of its database first.
func (t *tier) externalSecrets() pulumi.StringArrayOutput {
	own := pulumi.StringArray{t.secrets.DirectSecret}
	if t.applicationRole != nil {
		own = append(own, t.applicationRole.CredentialSecret)
	}
	return pulumi.All(own, t.pool.externalSecrets(), t.secrets.SecretNames).ApplyT(func(known []any) []string {
		others := known[2].(map[string]string)
		return slices.Concat(known[0].([]string), known[1].([]string), slices.Sorted(maps.Values(others)))
	}).(pulumi.StringArrayOutput)
}
