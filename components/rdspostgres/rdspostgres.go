package rdspostgres

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/cloudwatch"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/ec2"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/iam"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/kms"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/rds"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"dbtier/components/iampolicy"
	"dbtier/components/naming"
)

// Type is the component's type in URNs.
const Type = "dbtier:components:RdsPostgres"

// RdsPostgres is a PostgreSQL instance with what belongs to it.
type RdsPostgres struct {
	pulumi.ResourceState

	// Host is the instance's endpoint name without a port: the name in its certificate, so verify-full needs exactly
	// this one.
	Host pulumi.StringOutput `pulumi:"host"`
	// Port of the endpoint.
	Port pulumi.IntOutput `pulumi:"port"`
	// DatabaseName of the database made with the instance.
	DatabaseName pulumi.StringOutput `pulumi:"databaseName"`
	// MasterSecretArn is the Secrets Manager secret with the keys username and password, made and rotated by RDS.
	MasterSecretArn pulumi.StringOutput `pulumi:"masterSecretArn"`
	// KmsKeyArn encrypts storage, secret and insights.
	KmsKeyArn pulumi.StringOutput `pulumi:"kmsKeyArn"`
	// SecurityGroupID of the instance.
	SecurityGroupID pulumi.StringOutput `pulumi:"securityGroupId"`
	// ClientSecurityGroupID is the group whose members may connect; empty unless Settings.ClientSecurityGroup.
	ClientSecurityGroupID pulumi.StringOutput `pulumi:"clientSecurityGroupId"`
	// Identifier of the instance.
	Identifier pulumi.StringOutput `pulumi:"identifier"`
	// ResourceID is the immutable id (db-…) that rds-db:connect policies name.
	ResourceID pulumi.StringOutput `pulumi:"resourceId"`
	// Arn of the instance.
	Arn pulumi.StringOutput `pulumi:"arn"`
	// EngineVersion is the minor version that runs.
	EngineVersion pulumi.StringOutput `pulumi:"engineVersion"`
	// LogGroups are the names of the log groups.
	LogGroups pulumi.StringArrayOutput `pulumi:"logGroups"`
}

// builder makes the parts of one instance.
type builder struct {
	ctx    *pulumi.Context
	name   string
	args   *RdsPostgresArgs
	parent pulumi.ResourceOption
}

// NewRdsPostgres makes the instance. It returns every fault of the arguments at once, before it makes anything.
func NewRdsPostgres(
	ctx *pulumi.Context, name string, args *RdsPostgresArgs, opts ...pulumi.ResourceOption,
) (*RdsPostgres, error) {
	if args == nil {
		return nil, fmt.Errorf("database %s: no arguments given", name)
	}
	// A copy: defaults must not show up in the caller's value.
	own := *args
	own.setDefaults()
	if err := own.Validate(); err != nil {
		return nil, fmt.Errorf("database %s: %w", name, err)
	}
	component := &RdsPostgres{}
	if err := ctx.RegisterComponentResource(Type, name, component, opts...); err != nil {
		return nil, fmt.Errorf("registering database %s: %w", name, err)
	}
	b := &builder{ctx: ctx, name: name, args: &own, parent: pulumi.Parent(component)}
	if err := b.build(component); err != nil {
		return nil, fmt.Errorf("database %s: %w", name, err)
	}
	return component, ctx.RegisterResourceOutputs(component, pulumi.Map{
		"host":            component.Host,
		"port":            component.Port,
		"databaseName":    component.DatabaseName,
		"masterSecretArn": component.MasterSecretArn,
		"kmsKeyArn":       component.KmsKeyArn,
		"securityGroupId": component.SecurityGroupID,
		"identifier":      component.Identifier,
		"resourceId":      component.ResourceID,

		"clientSecurityGroupId": component.ClientSecurityGroupID,
		"arn":                   component.Arn,
		"engineVersion":         component.EngineVersion,
		"logGroups":             component.LogGroups,
	})
}

func (b *builder) build(component *RdsPostgres) error {
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
	// The instance comes after its log groups: RDS makes a missing one by itself, without retention and not ours. And
	// after the attachment, because RDS tries the role when the instance is made.
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
	component.Host = instance.Address
	component.Port = instance.Port
	component.DatabaseName = instance.DbName
	component.MasterSecretArn = masterSecretArn(b.ctx, instance)
	component.KmsKeyArn = key
	component.SecurityGroupID = group.ID().ToStringOutput()
	component.ClientSecurityGroupID = pulumi.String("").ToStringOutput()
	if clients != nil {
		component.ClientSecurityGroupID = clients.ID().ToStringOutput()
	}
	component.Identifier = instance.Identifier
	component.ResourceID = instance.ResourceId
	component.Arn = instance.Arn
	component.EngineVersion = instance.EngineVersionActual
	component.LogGroups = names.ToStringArrayOutput()
	return errors.Join(b.rotation(component.MasterSecretArn), b.roles(instance), b.alarms(instance), b.events(instance))
}

func (b *builder) tags() pulumi.StringMap { return pulumi.ToStringMap(b.args.Tags) }

// key is the ARN of the key that encrypts storage, secret, insights and logs.
func (b *builder) key() (pulumi.StringOutput, error) {
	if b.args.KmsKeyArn != "" {
		return pulumi.String(b.args.KmsKeyArn).ToStringOutput(), nil
	}
	policy, err := b.keyPolicy()
	if err != nil {
		return pulumi.StringOutput{}, err
	}
	key, err := kms.NewKey(b.ctx, b.name+"-key", &kms.KeyArgs{
		Description: pulumi.Sprintf("Storage, master secret, insights and logs of the RDS instance %s",
			b.args.Identifier),
		DeletionWindowInDays: pulumi.Int(b.args.KmsDeletionWindow),
		EnableKeyRotation:    pulumi.Bool(true),
		Policy:               pulumi.String(policy),
		Tags:                 b.tags(),
	}, b.parent)
	if err != nil {
		return pulumi.StringOutput{}, fmt.Errorf("the key: %w", err)
	}
	_, err = kms.NewAlias(b.ctx, b.name+"-key-alias", &kms.AliasArgs{
		Name:        pulumi.String("alias/rds/" + b.args.Identifier),
		TargetKeyId: key.KeyId,
	}, b.parent)
	if err != nil {
		return pulumi.StringOutput{}, fmt.Errorf("the key's alias: %w", err)
	}
	return key.Arn, nil
}

// keyPolicy leaves the key to the account's IAM policies, and to CloudWatch Logs for this instance's log groups.
func (b *builder) keyPolicy() (string, error) {
	account := fmt.Sprintf("arn:%s:iam::%s:root", b.args.Partition, b.args.AccountID)
	statements := []iampolicy.Statement{{
		Sid:       "AccountDecidesByIAM",
		Principal: &iampolicy.Principal{AWS: account},
		Actions:   []string{"kms:*"},
		Resources: []string{"*"},
	}}
	if len(b.args.LogExports) > 0 {
		statements = append(statements, iampolicy.Statement{
			Sid: "LogsOfThisInstance",
			Principal: &iampolicy.Principal{Service: fmt.Sprintf("logs.%s.%s", b.args.Region,
				iampolicy.Domain(b.args.Partition))},
			Actions: []string{
				"kms:Encrypt*", "kms:Decrypt*", "kms:ReEncrypt*", "kms:GenerateDataKey*",
				"kms:Describe*",
			},
			Resources: []string{"*"},
			Condition: iampolicy.Condition{"ArnLike": {
				"kms:EncryptionContext:aws:logs:arn": {fmt.Sprintf("arn:%s:logs:%s:%s:log-group:%s*",
					b.args.Partition, b.args.Region, b.args.AccountID, b.logGroupPrefix())},
			}},
		})
	}
	return iampolicy.JSON(statements...)
}

// clientGroup is a badge: it has no rules and opens nothing by itself, but its members may connect. It is nil when it
// is not asked for.
func (b *builder) clientGroup() (*ec2.SecurityGroup, error) {
	if !b.args.ClientSecurityGroup {
		return nil, nil //nolint:nilnil // no group and no error: none is wanted
	}
	group, err := ec2.NewSecurityGroup(b.ctx, b.name+"-client-security-group", &ec2.SecurityGroupArgs{
		Name:        pulumi.String(b.args.Identifier + "-rds-clients"),
		Description: pulumi.String("Members may connect to the RDS instance " + b.args.Identifier),
		VpcId:       b.args.VpcID,
		Ingress:     ec2.SecurityGroupIngressArray{},
		Egress:      ec2.SecurityGroupEgressArray{},
		Tags:        b.tags(),
	}, b.parent)
	if err != nil {
		return nil, fmt.Errorf("the clients' security group: %w", err)
	}
	return group, nil
}

// securityGroup opens the port to the clients. The rules are part of the group: a rule that someone adds by hand then
// shows as a difference, which separate rule resources would not notice.
func (b *builder) securityGroup(members *ec2.SecurityGroup) (*ec2.SecurityGroup, error) {
	rules := ec2.SecurityGroupIngressArray{}
	for _, client := range b.args.Clients {
		rule := b.rule(client.Name)
		if client.SecurityGroupID != nil {
			rule.SecurityGroups = pulumi.StringArray{client.SecurityGroupID}
		}
		var four, six pulumi.StringArray
		for _, cidr := range client.CIDRs {
			if strings.Contains(cidr, ":") {
				six = append(six, pulumi.String(cidr))
			} else {
				four = append(four, pulumi.String(cidr))
			}
		}
		if four != nil {
			rule.CidrBlocks = four
		}
		if six != nil {
			rule.Ipv6CidrBlocks = six
		}
		rules = append(rules, rule)
	}
	if members != nil {
		rule := b.rule("members of " + b.args.Identifier + "-rds-clients")
		rule.SecurityGroups = pulumi.StringArray{members.ID()}
		rules = append(rules, rule)
	}
	group, err := ec2.NewSecurityGroup(b.ctx, b.name+"-security-group", &ec2.SecurityGroupArgs{
		Name:        pulumi.String(b.args.Identifier + "-rds"),
		Description: pulumi.String("Clients of the RDS instance " + b.args.Identifier),
		VpcId:       b.args.VpcID,
		Ingress:     rules,
		// A database answers and opens nothing.
		Egress: ec2.SecurityGroupEgressArray{},
		Tags:   b.tags(),
	}, b.parent)
	if err != nil {
		return nil, fmt.Errorf("the security group: %w", err)
	}
	return group, nil
}

// rule opens the port, still to nobody.
func (b *builder) rule(client string) ec2.SecurityGroupIngressArgs {
	return ec2.SecurityGroupIngressArgs{
		Description: pulumi.String("PostgreSQL from " + client),
		Protocol:    pulumi.String("tcp"),
		FromPort:    pulumi.Int(b.args.Port),
		ToPort:      pulumi.Int(b.args.Port),
	}
}

func (b *builder) logGroupPrefix() string { return "/aws/rds/instance/" + b.args.Identifier + "/" }

func (b *builder) logGroups(key pulumi.StringOutput) ([]*cloudwatch.LogGroup, error) {
	var groups []*cloudwatch.LogGroup
	for _, log := range b.args.LogExports {
		args := &cloudwatch.LogGroupArgs{
			Name:            pulumi.String(b.logGroupPrefix() + log),
			RetentionInDays: pulumi.Int(b.args.LogRetention),
			LogGroupClass:   pulumi.String(b.args.LogGroupClass),
			SkipDestroy:     pulumi.Bool(b.args.LogSkipDestroy),
			Tags:            b.tags(),
		}
		switch {
		case b.args.LogKmsKeyArn != "":
			args.KmsKeyId = pulumi.String(b.args.LogKmsKeyArn)
		case b.args.KmsKeyArn == "":
			// The policy of a key that was given may not know CloudWatch Logs; ours does.
			args.KmsKeyId = key
		}
		group, err := cloudwatch.NewLogGroup(b.ctx, b.name+"-log-"+log, args, b.parent)
		if err != nil {
			return nil, fmt.Errorf("the log group of %s: %w", log, err)
		}
		groups = append(groups, group)
	}
	return groups, nil
}

// monitoringRole lets RDS deliver the instance's operating system metrics. Both results are nil when monitoring is off.
func (b *builder) monitoringRole() (pulumi.StringPtrInput, []pulumi.Resource, error) {
	switch {
	case b.args.MonitoringInterval == 0:
		return nil, nil, nil
	case b.args.MonitoringRoleArn != "":
		return pulumi.String(b.args.MonitoringRoleArn), nil, nil
	}
	trust, err := iampolicy.JSON(iampolicy.Statement{
		Principal: &iampolicy.Principal{Service: "monitoring.rds.amazonaws.com"},
		Actions:   []string{"sts:AssumeRole"},
		// Without this, RDS could be asked by another account to use our role (the confused deputy).
		Condition: iampolicy.Condition{"StringEquals": {
			"aws:SourceAccount": {b.args.AccountID},
			"aws:SourceArn": {fmt.Sprintf("arn:%s:rds:%s:%s:db:%s", b.args.Partition, b.args.Region,
				b.args.AccountID, b.args.Identifier)},
		}},
	})
	if err != nil {
		return nil, nil, err
	}
	args := &iam.RoleArgs{
		// Roles are global: two regions may hold an instance of the same name.
		Name: pulumi.String(naming.Join(naming.RoleLimit, b.args.Identifier, b.args.Region,
			"rds-monitoring")),
		Description:      pulumi.String("Enhanced monitoring of the RDS instance " + b.args.Identifier),
		AssumeRolePolicy: pulumi.String(trust),
		Tags:             b.tags(),
	}
	if b.args.PermissionsBoundaryArn != "" {
		args.PermissionsBoundary = pulumi.String(b.args.PermissionsBoundaryArn)
	}
	role, err := iam.NewRole(b.ctx, b.name+"-monitoring-role", args, b.parent)
	if err != nil {
		return nil, nil, fmt.Errorf("the monitoring role: %w", err)
	}
	attachment, err := iam.NewRolePolicyAttachment(b.ctx, b.name+"-monitoring-policy", &iam.RolePolicyAttachmentArgs{
		Role: role.Name,
		PolicyArn: pulumi.Sprintf("arn:%s:iam::aws:policy/service-role/AmazonRDSEnhancedMonitoringRole",
			b.args.Partition),
	}, b.parent)
	if err != nil {
		return nil, nil, fmt.Errorf("the monitoring role's policy: %w", err)
	}
	return role.Arn, []pulumi.Resource{attachment}, nil
}

// roles lets the database take IAM roles for its extensions (aws_s3, aws_lambda).
func (b *builder) roles(instance *rds.Instance) error {
	for _, feature := range slices.Sorted(maps.Keys(b.args.Roles)) {
		_, err := rds.NewRoleAssociation(b.ctx, b.name+"-role-"+strings.ToLower(feature), &rds.RoleAssociationArgs{
			DbInstanceIdentifier: instance.Identifier,
			FeatureName:          pulumi.String(feature),
			RoleArn:              pulumi.String(b.args.Roles[feature]),
		}, b.parent)
		if err != nil {
			return fmt.Errorf("the role of %s: %w", feature, err)
		}
	}
	return nil
}

func (b *builder) subnetGroup() (pulumi.StringInput, error) {
	if b.args.SubnetGroupName != "" {
		return pulumi.String(b.args.SubnetGroupName), nil
	}
	group, err := rds.NewSubnetGroup(b.ctx, b.name+"-subnet-group", &rds.SubnetGroupArgs{
		Name:        pulumi.String(b.args.Identifier),
		Description: pulumi.String("Subnets of the RDS instance " + b.args.Identifier),
		SubnetIds:   b.args.SubnetIDs,
		Tags:        b.tags(),
	}, b.parent)
	if err != nil {
		return nil, fmt.Errorf("the subnet group: %w", err)
	}
	return group.Name, nil
}

// parameterGroup has the family in its name, so that the group of a new major version is made beside the one in use,
// which goes after the instance has left it.
func (b *builder) parameterGroup() (pulumi.StringInput, error) {
	if b.args.ParameterGroupName != "" {
		return pulumi.String(b.args.ParameterGroupName), nil
	}
	parameters := rds.ParameterGroupParameterArray{}
	for _, name := range slices.Sorted(maps.Keys(b.args.Parameters)) {
		parameters = append(parameters, rds.ParameterGroupParameterArgs{
			Name:        pulumi.String(name),
			Value:       pulumi.String(b.args.Parameters[name].Value),
			ApplyMethod: pulumi.String(b.args.Parameters[name].ApplyMethod),
		})
	}
	group, err := rds.NewParameterGroup(b.ctx, b.name+"-parameter-group", &rds.ParameterGroupArgs{
		Name:        pulumi.String(b.args.Identifier + "-" + b.args.Family()),
		Description: pulumi.String("Parameters of the RDS instance " + b.args.Identifier),
		Family:      pulumi.String(b.args.Family()),
		Parameters:  parameters,
		Tags:        b.tags(),
	}, b.parent)
	if err != nil {
		return nil, fmt.Errorf("the parameter group: %w", err)
	}
	return group.Name, nil
}

// parts are what the instance is made of.
type parts struct {
	key                         pulumi.StringOutput
	group                       *ec2.SecurityGroup
	subnetGroup, parameterGroup pulumi.StringInput
	monitoringRole              pulumi.StringPtrInput
	before                      []pulumi.Resource
}

func (b *builder) instance(p *parts) (*rds.Instance, error) {
	instance, err := rds.NewInstance(b.ctx, b.name+"-instance", b.instanceArgs(p), b.instanceOptions(p)...)
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
	if a.AvailabilityZone != "" {
		args.AvailabilityZone = pulumi.String(a.AvailabilityZone)
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
		b.parent, pulumi.DependsOn(p.before),
		pulumi.Timeouts(&pulumi.CustomTimeouts{
			Create: timeouts.Create, Update: timeouts.Update,
			Delete: timeouts.Delete,
		}),
	}
	if b.args.Restore.restoring() {
		// The copy is made beside its source, under a name of its own, and the old instance goes last. Should the name
		// be taken, RDS refuses and nothing is lost.
		return append(options, pulumi.DeleteBeforeReplace(false))
	}
	return append(options,
		// The identifier is taken as long as the old instance lives.
		pulumi.DeleteBeforeReplace(true),
		// Where the data once came from is no reason to make the instance anew: else taking restore.pointInTime out of
		// the program would delete the database that was restored.
		pulumi.IgnoreChanges([]string{"restoreToPointInTime", "snapshotIdentifier"}))
}

// finalSnapshot names the snapshot that is taken when the instance goes. Pulumi deletes with what stands in its state,
// so the name has to be there from the first day; and it has to be another one for every life of the instance, because
// the snapshot of the last life still bears its name. A new life comes with a new security group, or with a change of
// one of the inputs that replace the instance.
func (b *builder) finalSnapshot(key pulumi.StringOutput, group *ec2.SecurityGroup) pulumi.StringOutput {
	identifier, username, database, origin := b.args.Identifier, b.args.MasterUsername, b.args.DatabaseName,
		b.args.Restore.life()
	return pulumi.All(key, group.ID().ToStringOutput()).ApplyT(func(parts []any) string {
		life := fmt.Sprint(parts[0], parts[1], username, database) + origin
		sum := sha256.Sum256([]byte(life))
		return naming.Join(naming.SnapshotLimit, "final", identifier, hex.EncodeToString(sum[:4]))
	}).(pulumi.StringOutput)
}

var errNoSecret = errors.New("RDS reports no managed master secret yet; run `dbtier up` again in a minute")

// masterSecretArn reads the ARN. In a preview that turns managed passwords on for an existing instance the list is
// known and empty: the ARN is then unknown and not an error.
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
