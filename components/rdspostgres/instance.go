package rdspostgres

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/ec2"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/rds"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"dbtier/components/naming"
)

// parts are the resources that the instance needs.
type parts struct {
	key                         pulumi.StringOutput
	group                       *ec2.SecurityGroup
	subnetGroup, parameterGroup pulumi.StringInput
	monitoringRole              pulumi.StringPtrInput
	before                      []pulumi.Resource
}

func (b *builder) instance(p *parts) (*rds.Instance, error) {
	instance, err := rds.NewInstance(b.Ctx, b.Child("instance"), b.instanceArgs(p), b.instanceOptions(p)...)
	if err != nil {
		return nil, fmt.Errorf("the instance: %w", err)
	}
	return instance, nil
}

func (b *builder) instanceArgs(p *parts) *rds.InstanceArgs {
	a := b.args
	args := &rds.InstanceArgs{
		Identifier:               pulumi.String(a.Identifier),
		Engine:                   pulumi.String("postgres"),
		EngineVersion:            pulumi.String(a.EngineVersion),
		EngineLifecycleSupport:   pulumi.String(a.EngineLifecycleSupport),
		AutoMinorVersionUpgrade:  pulumi.Bool(a.AutoMinorVersionUpgrade),
		AllowMajorVersionUpgrade: pulumi.Bool(a.AllowMajorVersionUpgrade),
		ApplyImmediately:         pulumi.Bool(a.ApplyImmediately),

		InstanceClass:       pulumi.String(a.InstanceClass),
		AllocatedStorage:    pulumi.Int(a.AllocatedStorage),
		MaxAllocatedStorage: pulumi.Int(a.MaxAllocatedStorage),
		StorageType:         pulumi.String(a.StorageType),
		StorageEncrypted:    pulumi.Bool(true),
		DedicatedLogVolume:  pulumi.Bool(a.DedicatedLogVolume),
		KmsKeyId:            p.key,
		MultiAz:             pulumi.Bool(a.MultiAZ),
		AvailabilityZone:    optional(a.AvailabilityZone),

		DbName:                   pulumi.String(a.DatabaseName),
		Username:                 pulumi.String(a.MasterUsername),
		ManageMasterUserPassword: pulumi.Bool(true),
		MasterUserSecretKmsKeyId: p.key,

		IamDatabaseAuthenticationEnabled: pulumi.Bool(a.IamDatabaseAuthentication),

		DbSubnetGroupName:   p.subnetGroup.ToStringOutput(),
		ParameterGroupName:  p.parameterGroup.ToStringOutput(),
		VpcSecurityGroupIds: pulumi.StringArray{p.group.ID()},
		NetworkType:         pulumi.String(a.NetworkType),
		Port:                pulumi.Int(a.Port),
		PubliclyAccessible:  pulumi.Bool(false),
		CaCertIdentifier:    pulumi.String(a.CACertIdentifier),

		BackupRetentionPeriod:  pulumi.Int(a.BackupRetentionPeriod),
		BackupWindow:           pulumi.String(a.BackupWindow),
		MaintenanceWindow:      pulumi.String(a.MaintenanceWindow),
		CopyTagsToSnapshot:     pulumi.Bool(true),
		DeleteAutomatedBackups: pulumi.Bool(a.DeleteAutomatedBackups),
		DeletionProtection:     pulumi.Bool(a.DeletionProtection),
		SkipFinalSnapshot:      pulumi.Bool(!a.FinalSnapshot),

		DatabaseInsightsMode:         pulumi.String(a.DatabaseInsightsMode),
		PerformanceInsightsEnabled:   pulumi.Bool(a.PerformanceInsights),
		EnabledCloudwatchLogsExports: pulumi.ToStringArray(a.LogExports),
		MonitoringInterval:           pulumi.Int(a.MonitoringInterval),
		MonitoringRoleArn:            p.monitoringRole,

		Tags: b.tags(),
	}
	if a.Iops != 0 {
		args.Iops = pulumi.Int(a.Iops)
	}
	if a.StorageThroughput != 0 {
		args.StorageThroughput = pulumi.Int(a.StorageThroughput)
	}
	if a.PerformanceInsights {
		args.PerformanceInsightsKmsKeyId = p.key
		args.PerformanceInsightsRetentionPeriod = pulumi.Int(a.PerformanceInsightsRetentionPeriod)
	}
	if a.FinalSnapshot {
		args.FinalSnapshotIdentifier = b.finalSnapshot(p.key, p.group)
	}
	if a.Restore.restoring() {
		b.restore(args)
	}
	return args
}

func (b *builder) instanceOptions(p *parts) []pulumi.ResourceOption {
	timeouts := b.args.Timeouts
	options := []pulumi.ResourceOption{
		b.Parent, pulumi.DependsOn(p.before),
		// Otherwise an engine that is told to destroy the stack deletes pods and pool before RDS refuses.
		pulumi.Protect(b.args.DeletionProtection),
		// The provider would rename the instance, and then fail to move it to the subnet group of the new name. As a
		// replacement, the change is a loss of data that a person must allow, or a restore.
		pulumi.ReplaceOnChanges([]string{"identifier"}),
		pulumi.Timeouts(&pulumi.CustomTimeouts{
			Create: timeouts.Create, Update: timeouts.Update,
			Delete: timeouts.Delete,
		}),
	}
	if b.args.Restore.restoring() {
		// The copy is created beside its source under another name, and the old instance is deleted last. If the name
		// is taken, RDS refuses and nothing is lost.
		return append(options, pulumi.DeleteBeforeReplace(false))
	}
	return append(options,
		// The identifier is taken as long as the old instance exists.
		pulumi.DeleteBeforeReplace(true),
		// A change of the data's origin must not replace the instance: otherwise removing restore.pointInTime from the
		// config would delete the restored database.
		pulumi.IgnoreChanges([]string{"restoreToPointInTime", "snapshotIdentifier"}))
}

// finalSnapshot returns the name of the snapshot that is taken when the instance is deleted. Pulumi deletes with the
// inputs in its state, so the name must be in the state from the start. Each replacement of the instance needs another
// name, because the snapshot of the replaced instance keeps its own. A replacement has a new security group, or differs
// in one of the inputs that replace the instance.
func (b *builder) finalSnapshot(key pulumi.StringOutput, group *ec2.SecurityGroup) pulumi.StringOutput {
	identifier, username, database, origin := b.args.Identifier, b.args.MasterUsername, b.args.DatabaseName,
		b.args.Restore.life()
	return pulumi.All(key, group.ID().ToStringOutput()).ApplyT(func(parts []any) string {
		life := fmt.Sprint(parts[0], parts[1], username, database) + origin
		sum := sha256.Sum256([]byte(life))
		return naming.Join(naming.SnapshotLimit, "final", identifier, hex.EncodeToString(sum[:4]))
	}).(pulumi.StringOutput)
}

// roles associates IAM roles with the instance, for its extensions (aws_s3, aws_lambda).
func (b *builder) roles(instance *rds.Instance) error {
	for _, feature := range slices.Sorted(maps.Keys(b.args.Roles)) {
		_, err := rds.NewRoleAssociation(b.Ctx, b.Child("role-"+strings.ToLower(feature)), &rds.RoleAssociationArgs{
			DbInstanceIdentifier: instance.Identifier,
			FeatureName:          pulumi.String(feature),
			RoleArn:              pulumi.String(b.args.Roles[feature]),
		}, b.Parent)
		if err != nil {
			return fmt.Errorf("the role of %s: %w", feature, err)
		}
	}
	return nil
}
