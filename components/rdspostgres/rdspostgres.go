package rdspostgres

import (
	"errors"
	"strings"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/rds"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"dbtier/components/component"
)

// Type is the component's type in URNs.
const Type = "dbtier:components:RdsPostgres"

// RdsPostgres is a PostgreSQL instance with the resources that it needs.
type RdsPostgres struct {
	pulumi.ResourceState

	// Host is the instance's endpoint without a port. It is the name in the certificate, so verify-full needs it.
	Host pulumi.StringOutput `pulumi:"host"`
	// Port of the endpoint.
	Port pulumi.IntOutput `pulumi:"port"`
	// DatabaseName is the database created with the instance.
	DatabaseName pulumi.StringOutput `pulumi:"databaseName"`
	// MasterSecretArn is the Secrets Manager secret with the keys username and password. RDS creates and rotates it.
	MasterSecretArn pulumi.StringOutput `pulumi:"masterSecretArn"`
	// KmsKeyArn encrypts storage, secret and insights.
	KmsKeyArn pulumi.StringOutput `pulumi:"kmsKeyArn"`
	// SecurityGroupID of the instance.
	SecurityGroupID pulumi.StringOutput `pulumi:"securityGroupId"`
	// ClientSecurityGroupID is the group whose members may connect. It is empty without Settings.ClientSecurityGroup.
	ClientSecurityGroupID pulumi.StringOutput `pulumi:"clientSecurityGroupId"`
	// Identifier of the instance.
	Identifier pulumi.StringOutput `pulumi:"identifier"`
	// ResourceID is the immutable id (db-…) that rds-db:connect policies name.
	ResourceID pulumi.StringOutput `pulumi:"resourceId"`
	// Arn of the instance.
	Arn pulumi.StringOutput `pulumi:"arn"`
	// EngineVersion is the running minor version.
	EngineVersion pulumi.StringOutput `pulumi:"engineVersion"`
	// LogGroups are the names of the log groups.
	LogGroups pulumi.StringArrayOutput `pulumi:"logGroups"`
}

type builder struct {
	component.Scope

	args *RdsPostgresArgs
}

// NewRdsPostgres creates the instance.
func NewRdsPostgres(
	ctx *pulumi.Context, name string, args *RdsPostgresArgs, opts ...pulumi.ResourceOption,
) (*RdsPostgres, error) {
	return component.New(ctx, Type, name, args, build, opts...)
}

func build(s component.Scope, args *RdsPostgresArgs, out *RdsPostgres) error {
	b := &builder{s, args}
	key, err := b.key()
	if err != nil {
		return err
	}
	clients, err := b.clientGroup()
	if err != nil {
		return err
	}
	group, err := b.securityGroup(clients)
	if err != nil {
		return err
	}
	logs, err := b.logGroups(key)
	if err != nil {
		return err
	}
	monitoring, before, err := b.monitoringRole()
	if err != nil {
		return err
	}
	subnets, err := b.subnetGroup()
	if err != nil {
		return err
	}
	parameters, err := b.parameterGroup()
	if err != nil {
		return err
	}
	names := pulumi.StringArray{}
	// The log groups come before the instance: RDS creates a missing group itself, without retention and outside of the
	// stack. The attachment comes before it too, because RDS checks the role when it creates the instance.
	for _, log := range logs {
		before = append(before, log)
		names = append(names, log.Name)
	}
	instance, err := b.instance(&parts{
		key: key, group: group, subnetGroup: subnets, parameterGroup: parameters, monitoringRole: monitoring,
		before: before,
	})
	if err != nil {
		return err
	}
	out.Host = instance.Address
	out.Port = instance.Port
	out.DatabaseName = instance.DbName
	out.MasterSecretArn = masterSecretArn(b.Ctx, instance)
	out.KmsKeyArn = key
	out.SecurityGroupID = group.ID().ToStringOutput()
	if clients != nil {
		out.ClientSecurityGroupID = clients.ID().ToStringOutput()
	}
	out.Identifier = instance.Identifier
	out.ResourceID = instance.ResourceId
	out.Arn = instance.Arn
	out.EngineVersion = instance.EngineVersionActual
	out.LogGroups = names.ToStringArrayOutput()
	return errors.Join(b.rotation(out.MasterSecretArn), b.roles(instance), b.alarms(instance), b.events(instance))
}

func (b *builder) tags() pulumi.StringMap { return pulumi.ToStringMap(b.args.Tags) }

var errNoSecret = errors.New("RDS does not report the managed master secret yet; run `dbtier up` again in a minute")

// masterSecretArn returns the ARN. In a preview that turns on managed passwords for an existing instance, the list is
// known and empty. The ARN is then unknown, which is not an error.
func masterSecretArn(ctx *pulumi.Context, instance *rds.Instance) pulumi.StringOutput {
	return instance.MasterUserSecrets.ApplyT(func(secrets []rds.InstanceMasterUserSecret) (pulumi.StringOutput, error) {
		if len(secrets) > 0 && secrets[0].SecretArn != nil && strings.HasPrefix(*secrets[0].SecretArn, "arn:") {
			return pulumi.String(*secrets[0].SecretArn).ToStringOutput(), nil
		}
		if ctx.DryRun() {
			return pulumi.UnsafeUnknownOutput(nil).ApplyT(func(any) string { return "" }).(pulumi.StringOutput), nil
		}
		return pulumi.StringOutput{}, errNoSecret
	}).(pulumi.StringOutput)
}
