package rdspostgres_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/ec2"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"dbtier/components/componenttest"
	"dbtier/components/rdspostgres"
)

const (
	securityGroupType = "aws:ec2/securityGroup:SecurityGroup"
	parameterType     = "aws:rds/parameterGroup:ParameterGroup"
	rotationType      = "aws:secretsmanager/secretRotation:SecretRotation"
	alarmType         = "aws:cloudwatch/metricAlarm:MetricAlarm"
	eventType         = "aws:rds/eventSubscription:EventSubscription"
	associationType   = "aws:rds/roleAssociation:RoleAssociation"
	topicArn          = "arn:aws:sns:ap-northeast-2:111122223333:oncall"
	roleArn           = "arn:aws:iam::111122223333:role/monitoring"
)

// with returns a production instance with a change.
func with(change func(*rdspostgres.RdsPostgresArgs)) *rdspostgres.RdsPostgresArgs {
	args := arguments(rdspostgres.Production())
	change(args)
	return args
}

func TestExistingResourcesAreUsedAndNotCreated(t *testing.T) {
	t.Parallel()
	recorded := componenttest.Run(t, create(with(func(a *rdspostgres.RdsPostgresArgs) {
		a.SubnetGroupName, a.SubnetIDs = "databases", nil
		a.ParameterGroupName = "team-postgres16"
		a.MonitoringRoleArn = roleArn
	})))
	for _, created := range []string{
		"aws:rds/subnetGroup:SubnetGroup", parameterType, "aws:iam/role:Role",
		"aws:iam/rolePolicyAttachment:RolePolicyAttachment",
	} {
		assert.Empty(t, recorded.All(created))
	}
	instance := recorded.One(t, instanceType)
	assert.Equal(t, "databases", instance.Inputs["dbSubnetGroupName"])
	assert.Equal(t, "team-postgres16", instance.Inputs["parameterGroupName"])
	assert.Equal(t, roleArn, instance.Inputs["monitoringRoleArn"])
}

func TestTheMonitoringRoleHasTheAccountsBoundary(t *testing.T) {
	t.Parallel()
	const boundary = "arn:aws:iam::111122223333:policy/boundary"
	recorded := componenttest.Run(t, create(
		with(func(a *rdspostgres.RdsPostgresArgs) { a.PermissionsBoundaryArn = boundary }),
	))
	assert.Equal(t, boundary, recorded.One(t, "aws:iam/role:Role").Inputs["permissionsBoundary"])
}

func TestInsightsVolumesZonesAndNetworksArePassedOn(t *testing.T) {
	t.Parallel()
	instance := componenttest.Run(t, create(with(func(a *rdspostgres.RdsPostgresArgs) {
		a.DatabaseInsightsMode, a.PerformanceInsightsRetentionPeriod = "advanced", 465
		a.StorageType, a.AllocatedStorage, a.MaxAllocatedStorage, a.Iops, a.DedicatedLogVolume = "io2", 200, 0, 5000,
			true
		a.MultiAZ, a.AvailabilityZone = false, "ap-northeast-2c"
		a.NetworkType = "DUAL"
		a.EngineLifecycleSupport = rdspostgres.ExtendedSupport
		a.IamDatabaseAuthentication = false
		a.Timeouts.Create = "3h"
	}))).One(t, instanceType)
	for key, want := range map[string]any{
		"databaseInsightsMode": "advanced", "performanceInsightsRetentionPeriod": 465.0, "dedicatedLogVolume": true,
		"iops":             5000.0,
		"availabilityZone": "ap-northeast-2c", "networkType": "DUAL",
		"engineLifecycleSupport":           "open-source-rds-extended-support",
		"iamDatabaseAuthenticationEnabled": false,
	} {
		assert.Equal(t, want, instance.Inputs[key], key)
	}
}

func TestLogGroupsMayHaveAKeyOfTheirOwn(t *testing.T) {
	t.Parallel()
	const key = "arn:aws:kms:ap-northeast-2:111122223333:key/10c5"
	group := componenttest.Run(t, create(with(func(a *rdspostgres.RdsPostgresArgs) {
		a.LogKmsKeyArn, a.LogGroupClass = key, "INFREQUENT_ACCESS"
		a.KmsKeyArn = "arn:aws:kms:ap-northeast-2:111122223333:key/0a1b"
	}))).One(t, "aws:cloudwatch/logGroup:LogGroup")
	assert.Equal(t, key, group.Inputs["kmsKeyId"])
	assert.Equal(t, "INFREQUENT_ACCESS", group.Inputs["logGroupClass"])
}

func TestTheKeyStaysAsLongAsWhatItEncrypts(t *testing.T) {
	t.Parallel()
	nothing := func(a *rdspostgres.RdsPostgresArgs) {
		a.FinalSnapshot, a.DeleteAutomatedBackups, a.LogSkipDestroy = false, true, false
	}
	for name, c := range map[string]struct {
		change func(*rdspostgres.RdsPostgresArgs)
		kept   bool
	}{
		"nothing stays":       {func(*rdspostgres.RdsPostgresArgs) {}, false},
		"the final snapshot":  {func(a *rdspostgres.RdsPostgresArgs) { a.FinalSnapshot = true }, true},
		"retained backups":    {func(a *rdspostgres.RdsPostgresArgs) { a.DeleteAutomatedBackups = false }, true},
		"logs under this key": {func(a *rdspostgres.RdsPostgresArgs) { a.LogSkipDestroy = true }, true},
		"logs under another key": {func(a *rdspostgres.RdsPostgresArgs) {
			a.LogSkipDestroy, a.LogKmsKeyArn = true, "arn:aws:kms:ap-northeast-2:111122223333:key/10c5"
		}, false},
		"no logs": {func(a *rdspostgres.RdsPostgresArgs) { a.LogSkipDestroy, a.LogExports = true, nil }, false},
		"no backups": {func(a *rdspostgres.RdsPostgresArgs) {
			a.DeleteAutomatedBackups, a.BackupRetentionPeriod, a.MultiAZ, a.DeletionProtection = false, 0, false, false
		}, false},
	} {
		recorded := componenttest.Run(t, create(with(func(a *rdspostgres.RdsPostgresArgs) {
			nothing(a)
			c.change(a)
		})))
		for _, kept := range []string{"aws:kms/key:Key", "aws:kms/alias:Alias"} {
			assert.Equal(t, c.kept, recorded.One(t, kept).RetainOnDelete, "%s: %s", name, kept)
		}
	}
}

func TestLogGroupsThatStayRemainReadableUnderTheKey(t *testing.T) {
	t.Parallel()
	for keep, admitted := range map[bool]string{
		true: "/aws/rds/instance/*", false: "/aws/rds/instance/myshop-prod/*",
	} {
		recorded := componenttest.Run(t, create(with(func(a *rdspostgres.RdsPostgresArgs) { a.LogSkipDestroy = keep })))
		assert.Equal(t, keep, recorded.One(t, "aws:cloudwatch/logGroup:LogGroup").RetainOnDelete)
		assert.Contains(t, recorded.One(t, "aws:kms/key:Key").Inputs["policy"],
			`"arn:aws:logs:ap-northeast-2:111122223333:log-group:`+admitted+`"`)
	}
}

func TestARotationScheduleIsSetOnTheSecretThatRDSCreated(t *testing.T) {
	t.Parallel()
	rotation := componenttest.Run(t, create(with(func(a *rdspostgres.RdsPostgresArgs) {
		a.Rotation = rdspostgres.Rotation{ScheduleExpression: "cron(0 3 ? * SUN *)", Duration: "2h"}
	}))).One(t, rotationType)
	assert.Equal(t, componenttest.SecretArn, rotation.Inputs["secretId"])
	assert.Equal(t, map[string]any{"scheduleExpression": "cron(0 3 ? * SUN *)", "duration": "2h"},
		rotation.Inputs["rotationRules"])
	assert.Equal(t, false, rotation.Inputs["rotateImmediately"],
		"the provider's default would change the password at once")
	assert.True(t, rotation.RetainOnDelete, "deleting a schedule would turn rotation off")

	rotation = componenttest.Run(t, create(with(func(a *rdspostgres.RdsPostgresArgs) {
		a.Rotation = rdspostgres.Rotation{AutomaticallyAfterDays: 30, RotateImmediately: true}
	}))).One(t, rotationType)
	assert.Equal(t, map[string]any{"automaticallyAfterDays": 30.0}, rotation.Inputs["rotationRules"])
	assert.Equal(t, true, rotation.Inputs["rotateImmediately"])

	none := componenttest.Run(t, create(arguments(rdspostgres.Production())))
	assert.Empty(t, none.All(rotationType), "RDS rotates by itself")
}

func TestARestoredInstanceIsCreatedBesideItsSource(t *testing.T) {
	t.Parallel()
	restored := with(func(a *rdspostgres.RdsPostgresArgs) {
		a.Identifier = "myshop-prod-2"
		a.Restore.PointInTime = rdspostgres.PointInTime{
			RestoreTime: "2026-11-03T04:05:06Z", SourceDBInstanceIdentifier: "myshop-prod",
		}
	})
	instance := componenttest.Run(t, create(restored)).One(t, instanceType)
	assert.Equal(t, map[string]any{"restoreTime": "2026-11-03T04:05:06Z", "sourceDbInstanceIdentifier": "myshop-prod"},
		instance.Inputs["restoreToPointInTime"])
	for _, ofTheSource := range []string{"dbName", "username", "allocatedStorage"} {
		assert.NotContains(t, instance.Inputs, ofTheSource)
	}
	assert.Equal(t, true, instance.Inputs["manageMasterUserPassword"], "RDS gives the copy a new managed password")
	assert.False(t, instance.DeleteBeforeReplace, "the source must exist while it is copied")
	assert.Empty(t, instance.IgnoreChanges)

	lives := componenttest.Run(t, create(arguments(rdspostgres.Production()))).One(t, instanceType)
	assert.True(t, lives.DeleteBeforeReplace)
	assert.Equal(t, []string{"restoreToPointInTime", "snapshotIdentifier"}, lives.IgnoreChanges,
		"a later change of the origin replaces nothing")
	assert.NotEqual(t, lives.Inputs["finalSnapshotIdentifier"], instance.Inputs["finalSnapshotIdentifier"])
}

func TestARestoreKnowsItsSources(t *testing.T) {
	t.Parallel()
	snapshot := componenttest.Run(t, create(with(func(a *rdspostgres.RdsPostgresArgs) {
		a.Restore.SnapshotIdentifier = "rds:myshop-prod-2026-11-03-03-05"
	}))).One(t, instanceType)
	assert.Equal(t, "rds:myshop-prod-2026-11-03-03-05", snapshot.Inputs["snapshotIdentifier"])
	assert.NotContains(t, snapshot.Inputs, "restoreToPointInTime")
	assert.NotContains(t, snapshot.Inputs, "username")
	first := snapshot.Inputs["finalSnapshotIdentifier"]
	other := componenttest.Run(t, create(with(func(a *rdspostgres.RdsPostgresArgs) {
		a.Restore.SnapshotIdentifier = "before-the-mistake"
	}))).One(t, instanceType)
	assert.NotEqual(t, first, other.Inputs["finalSnapshotIdentifier"], "another origin gives another name")

	latest := componenttest.Run(t, create(with(func(a *rdspostgres.RdsPostgresArgs) {
		a.Restore.PointInTime = rdspostgres.PointInTime{
			UseLatestRestorableTime: true,
			BackupsArn:              "arn:aws:rds:ap-northeast-2:111122223333:auto-backup:ab-0a1b2c",
		}
	}))).One(t, instanceType)
	assert.Equal(t, map[string]any{
		"useLatestRestorableTime":             true,
		"sourceDbInstanceAutomatedBackupsArn": "arn:aws:rds:ap-northeast-2:111122223333:auto-backup:ab-0a1b2c",
	}, latest.Inputs["restoreToPointInTime"])
}

func TestRolesAreAssociatedByFeature(t *testing.T) {
	t.Parallel()
	recorded := componenttest.Run(t, create(with(func(a *rdspostgres.RdsPostgresArgs) {
		a.Roles = map[string]string{"s3Export": roleArn, "Lambda": roleArn}
	})))
	association := recorded.Named(t, associationType, "database-role-s3export")
	assert.Equal(t, "s3Export", association.Inputs["featureName"])
	assert.Equal(t, "myshop-prod", association.Inputs["dbInstanceIdentifier"])
	assert.True(t, recorded.Follows(association, recorded.One(t, instanceType)))
	assert.Equal(t, "Lambda", recorded.Named(t, associationType, "database-role-lambda").Inputs["featureName"])
}

func TestAlarmsTellTheirTopicsOfBeginningAndEnd(t *testing.T) {
	t.Parallel()
	recorded := componenttest.Run(t, create(with(func(a *rdspostgres.RdsPostgresArgs) {
		a.Alarms.TopicArns, a.ConnectionLimit = []string{topicArn}, 400
	})))
	alarms := map[string][]any{}
	for _, alarm := range recorded.All(alarmType) {
		alarms[alarm.Inputs["metricName"].(string)] = []any{
			alarm.Inputs["name"], alarm.Inputs["comparisonOperator"], alarm.Inputs["threshold"],
			alarm.Inputs["evaluationPeriods"], alarm.Inputs["treatMissingData"],
		}
		assert.Equal(t, map[string]any{"DBInstanceIdentifier": "myshop-prod"}, alarm.Inputs["dimensions"])
		assert.Equal(t, []any{topicArn}, alarm.Inputs["alarmActions"])
		assert.Equal(t, []any{topicArn}, alarm.Inputs["okActions"])
		assert.True(t, recorded.Follows(alarm, recorded.One(t, instanceType)))
	}
	assert.Equal(t, map[string][]any{
		"CPUUtilization": {"myshop-prod-cpu", "GreaterThanThreshold", 80.0, 3.0, "missing"},
		"FreeStorageSpace": {
			"myshop-prod-free-storage", "LessThanThreshold", 5.0 * (1 << 30), 3.0,
			"breaching",
		},
		"FreeableMemory": {
			"myshop-prod-freeable-memory", "LessThanThreshold", 256.0 * (1 << 20), 3.0,
			"missing",
		},
		"MaximumUsedTransactionIDs": {"myshop-prod-transaction-ids", "GreaterThanThreshold", 1e9, 3.0, "missing"},
		"OldestReplicationSlotLag": {
			"myshop-prod-replication-slots", "GreaterThanThreshold", 5.0 * (1 << 30), 3.0, "notBreaching",
		},
		"DatabaseConnections": {"myshop-prod-connections", "GreaterThanThreshold", 320.0, 1.0, "missing"},
	}, alarms)
}

func TestWithoutABudgetNothingWatchesConnectionsAndDevelopmentHasNoAlarms(t *testing.T) {
	t.Parallel()
	production := componenttest.Run(t, create(with(func(a *rdspostgres.RdsPostgresArgs) { a.Alarms.FreeStorage = 20 })))
	assert.Len(t, production.All(alarmType), 5)
	storage := production.Named(t, alarmType, "database-alarm-free-storage")
	assert.InDelta(t, 20.0*(1<<30), storage.Inputs["threshold"], 0)
	assert.NotContains(t, storage.Inputs, "alarmActions")
	assert.Empty(t, componenttest.Run(t, create(arguments(rdspostgres.Development()))).All(alarmType))
}

// RDS has grown the disk: the thresholds are those of the size that the provider reads.
func TestTheThresholdsFollowAGrownDisk(t *testing.T) {
	t.Parallel()
	settings := with(func(a *rdspostgres.RdsPostgresArgs) { a.Alarms.Dashboard = true })
	recorded := componenttest.Run(t, create(settings),
		componenttest.Reads(instanceType, map[string]any{"allocatedStorage": 200}))
	for part, description := range map[string]string{
		"free-storage":      "less than 20.0 GiB of storage free for 15 min",
		"replication-slots": "a replication slot holds more than 20.0 GiB of write-ahead log",
	} {
		alarm := recorded.Named(t, alarmType, "database-alarm-"+part)
		assert.InDelta(t, 20.0*(1<<30), alarm.Inputs["threshold"], 0)
		assert.Equal(t, "myshop-prod: "+description, alarm.Inputs["alarmDescription"])
	}
	body := recorded.One(t, "aws:cloudwatch/dashboard:Dashboard").Inputs["dashboardBody"].(string)
	assert.Contains(t, body, fmt.Sprintf(`{"label":"alarm","value":%d}`, 20<<30))
}

func TestTheDashboardShowsEveryAlarm(t *testing.T) {
	t.Parallel()
	recorded := componenttest.Run(t, create(with(func(a *rdspostgres.RdsPostgresArgs) {
		a.Alarms.Dashboard, a.ConnectionLimit = true, 400
	})))
	dashboard := recorded.One(t, "aws:cloudwatch/dashboard:Dashboard")
	assert.Equal(t, "myshop-prod", dashboard.Inputs["dashboardName"])
	var body struct {
		Widgets []struct {
			Type                string
			X, Y, Width, Height int
			Properties          struct {
				Region      string
				Metrics     [][]string
				Annotations struct{ Horizontal []struct{ Value float64 } }
			}
		}
	}
	require.NoError(t, json.Unmarshal([]byte(dashboard.Inputs["dashboardBody"].(string)), &body))
	limits := map[string]float64{}
	taken := map[[2]int]bool{}
	for _, w := range body.Widgets {
		assert.Equal(t, "metric", w.Type)
		assert.Equal(t, "ap-northeast-2", w.Properties.Region)
		assert.False(t, taken[[2]int{w.X, w.Y}], "two widgets at %d, %d", w.X, w.Y)
		taken[[2]int{w.X, w.Y}] = true
		assert.LessOrEqual(t, w.X+w.Width, 24)
		for _, metric := range w.Properties.Metrics {
			require.Len(t, metric, 4)
			assert.Equal(t, []string{"AWS/RDS", "DBInstanceIdentifier", "myshop-prod"}, []string{
				metric[0], metric[2],
				metric[3],
			})
		}
		if lines := w.Properties.Annotations.Horizontal; len(lines) > 0 {
			limits[w.Properties.Metrics[0][1]] = lines[0].Value
		}
	}
	thresholds := map[string]float64{}
	for _, alarm := range recorded.All(alarmType) {
		thresholds[alarm.Inputs["metricName"].(string)] = alarm.Inputs["threshold"].(float64)
	}
	assert.Equal(t, thresholds, limits)
	without := componenttest.Run(t, create(arguments(rdspostgres.Production())))
	assert.Empty(t, without.All("aws:cloudwatch/dashboard:Dashboard"))
}

func TestEventsGoToTheTopic(t *testing.T) {
	t.Parallel()
	recorded := componenttest.Run(t, create(
		with(func(a *rdspostgres.RdsPostgresArgs) { a.Events.TopicArn = topicArn }),
	))
	subscription := recorded.One(t, eventType)
	assert.Equal(t, topicArn, subscription.Inputs["snsTopic"])
	assert.Equal(t, "db-instance", subscription.Inputs["sourceType"])
	assert.Equal(t, []any{"myshop-prod"}, subscription.Inputs["sourceIds"])
	for _, category := range []string{"configuration change", "failure", "maintenance"} {
		assert.Contains(t, subscription.Inputs["eventCategories"], category, "Security Hub RDS.20")
	}
	assert.Empty(t, componenttest.Run(t, create(arguments(rdspostgres.Production()))).All(eventType))
}

func TestNamedAddressRangesAndMembersOfTheClientGroupMayConnect(t *testing.T) {
	t.Parallel()
	recorded := componenttest.Run(t, create(with(func(a *rdspostgres.RdsPostgresArgs) {
		a.ClientSecurityGroup = true
		a.Clients = []rdspostgres.Client{{Name: "office VPN", CIDRs: []string{"10.9.0.0/24", "fd00:9::/64"}}}
	})))
	clients := recorded.Named(t, securityGroupType, "database-client-security-group")
	assert.Equal(t, []any{}, clients.Inputs["ingress"])
	assert.Equal(t, []any{}, clients.Inputs["egress"], "the group itself has no rules")
	group := recorded.Named(t, securityGroupType, "database-security-group")
	rules := group.Inputs["ingress"].([]any)
	require.Len(t, rules, 2)
	assert.Equal(t, map[string]any{
		"description": "PostgreSQL from office VPN", "protocol": "tcp", "fromPort": 5432.0, "toPort": 5432.0,
		"cidrBlocks": []any{"10.9.0.0/24"}, "ipv6CidrBlocks": []any{"fd00:9::/64"},
	}, rules[0])
	assert.Equal(t, "PostgreSQL from members of myshop-prod-rds-clients", componenttest.At(rules[1], "description"))
	assert.Len(t, componenttest.At(rules[1], "securityGroups"), 1)
	assert.True(t, recorded.Follows(group, clients))
}

// The group of a new major version is another resource with another name. The old one is deleted after the instance has
// left it, because nothing asks for it to be deleted first.
func TestAChangeOfFamilyDoesNotCollide(t *testing.T) {
	t.Parallel()
	group := func(version string) *componenttest.Resource {
		return componenttest.Run(t, create(with(func(a *rdspostgres.RdsPostgresArgs) {
			a.EngineVersion, a.AllowMajorVersionUpgrade = version, true
		}))).One(t, parameterType)
	}
	before, after := group("16"), group("17")
	assert.Equal(t, before.URN, after.URN, "the same resource is replaced")
	assert.NotEqual(t, before.Inputs["name"], after.Inputs["name"])
	assert.False(t, after.DeleteBeforeReplace)
}

// The component keeps secrets secret, and keeps dependencies.
func TestOutputsAndInputsCarrySecretsAndDependencies(t *testing.T) {
	t.Parallel()
	recorded := componenttest.Run(t, func(ctx *pulumi.Context) error {
		vpn, err := ec2.NewSecurityGroup(ctx, "vpn", nil)
		if err != nil {
			return err
		}
		args := arguments(rdspostgres.Production())
		args.Rotation.AutomaticallyAfterDays = 30
		args.Clients = append(args.Clients, rdspostgres.Client{Name: "vpn", SecurityGroupID: vpn.ID().ToStringOutput()})
		args.SubnetIDs = pulumi.ToSecret(pulumi.ToStringArray(
			[]string{"subnet-a", "subnet-b"},
		)).(pulumi.StringArrayOutput)
		database, err := rdspostgres.NewRdsPostgres(ctx, "database", args)
		if err != nil {
			return err
		}
		// What uses the outputs waits for the instance, and not for the rotation.
		_, err = ec2.NewSecurityGroup(ctx, "after",
			&ec2.SecurityGroupArgs{Name: database.MasterSecretArn, Description: database.Host})
		return err
	})
	assert.Equal(t, []string{"subnetIds"}, recorded.One(t, "aws:rds/subnetGroup:SubnetGroup").Secrets)
	instance := recorded.One(t, instanceType)
	assert.True(t, recorded.Follows(recorded.Named(t, securityGroupType, "after"), instance))
	assert.True(t, recorded.Follows(recorded.One(t, rotationType), instance))
	assert.True(t, recorded.Follows(instance, recorded.Named(t, securityGroupType, "vpn")))
	for _, resource := range recorded.Each() {
		assert.NotContains(t, resource.Inputs, "password", resource.URN)
	}
}

func TestFaultsOneByOne(t *testing.T) {
	t.Parallel()
	type args = rdspostgres.RdsPostgresArgs
	const key = "arn:aws:kms:eu-west-1:111122223333:key/0a1b"
	for fault, change := range map[string]func(*args){
		`identifier: "default": gives names that AWS reserves`: func(a *args) { a.Identifier = "default" },
		`identifier: "sg-shop": gives names that AWS reserves`: func(a *args) { a.Identifier = "sg-shop" },
		`engineLifecycleSupport: "forever": want one of`: func(a *args) {
			a.EngineLifecycleSupport = "forever"
		},
		`blueGreenUpdate: true: RDS makes no blue/green deployment`: func(a *args) { a.BlueGreenUpdate = true },
		`replicateSourceDb: "myshop": RDS makes no read replica`: func(a *args) {
			a.ReplicateSourceDb = "myshop"
		},
		`dedicatedLogVolume: true: needs storageType io1 or io2, not gp3`: func(a *args) {
			a.DedicatedLogVolume = true
		},
		`availabilityZone: "c": want a zone such as`: func(a *args) {
			a.MultiAZ, a.AvailabilityZone = false, "c"
		},
		`availabilityZone: "ap-northeast-2a": RDS places`: func(a *args) {
			a.AvailabilityZone = "ap-northeast-2a"
		},
		`availabilityZone: "eu-west-1a": is not a zone of ap-northeast-2`: func(a *args) {
			a.MultiAZ, a.AvailabilityZone = false, "eu-west-1a"
		},
		`networkType: "IPV6": want one of IPV4, DUAL`: func(a *args) { a.NetworkType = "IPV6" },
		`subnetGroupName: "a/b": want the name`: func(a *args) {
			a.SubnetIDs, a.SubnetGroupName = nil, "a/b"
		},
		`subnetIds: is not used with subnetGroupName`: func(a *args) {
			a.SubnetGroupName = "databases"
		},
		`parameterGroupName: "Team": want the name`: func(a *args) {
			a.ParameterGroupName = "Team"
		},
		`databaseInsightsMode: "full": want one of`: func(a *args) {
			a.DatabaseInsightsMode = "full"
		},
		`databaseInsightsMode: "advanced": needs performanceInsights true`: func(a *args) {
			a.DatabaseInsightsMode = "advanced"
		},
		`at least 465 days (have false, 465)`: func(a *args) {
			a.DatabaseInsightsMode, a.PerformanceInsights, a.PerformanceInsightsRetentionPeriod = "advanced", false, 465
		},
		`monitoringRoleArn: "monitoring": want the ARN`: func(a *args) {
			a.MonitoringRoleArn = "monitoring"
		},
		`monitoringRoleArn: "` + roleArn + `": is not used, because monitoringInterval is 0`: func(a *args) {
			a.MonitoringRoleArn, a.MonitoringInterval = roleArn, 0
		},
		`permissionsBoundaryArn: "x": want the ARN of a managed policy`: func(a *args) {
			a.PermissionsBoundaryArn = "x"
		},
		`logGroupClass: "DELIVERY": want one of`: func(a *args) { a.LogGroupClass = "DELIVERY" },
		`logKmsKeyArn: "alias/logs": want the ARN`: func(a *args) {
			a.LogKmsKeyArn = "alias/logs"
		},
		`logKmsKeyArn: "` + key + `": is in the region eu-west-1`: func(a *args) { a.LogKmsKeyArn = key },
		`kmsKeyArn: "` + key + `": is in the region eu-west-1`:    func(a *args) { a.KmsKeyArn = key },
		`roles.s3import: "s3import": want one of s3Import`: func(a *args) {
			a.Roles = map[string]string{"s3import": roleArn}
		},
		`roles.Lambda: "caller": want the ARN of a role`: func(a *args) {
			a.Roles = map[string]string{"Lambda": "caller"}
		},
		`timeouts.create: "soon": want a duration`:                    func(a *args) { a.Timeouts.Create = "soon" },
		`timeouts.delete: "1s": want a duration of at least a minute`: func(a *args) { a.Timeouts.Delete = "1s" },
		`rotation.automaticallyAfterDays: 1001: want 1 to 1000`: func(a *args) {
			a.Rotation.AutomaticallyAfterDays = 1001
		},
		`rotation.duration: "2h": needs`: func(a *args) { a.Rotation.Duration = "2h" },
		`rotation.rotateImmediately: true: needs`: func(a *args) {
			a.Rotation.RotateImmediately = true
		},
		`rotation.scheduleExpression: "rate(9 days)": conflicts`: func(a *args) {
			a.Rotation = rdspostgres.Rotation{AutomaticallyAfterDays: 9, ScheduleExpression: "rate(9 days)"}
		},
		`rotation.scheduleExpression: "weekly": want rate(`: func(a *args) {
			a.Rotation.ScheduleExpression = "weekly"
		},
		`rotation.scheduleExpression: "rate(3 hours)": want`: func(a *args) {
			a.Rotation.ScheduleExpression = "rate(3 hours)"
		},
		`rotation.scheduleExpression: "cron(5 3 ? * SUN *)": has the minute "5"`: func(a *args) {
			a.Rotation.ScheduleExpression = "cron(5 3 ? * SUN *)"
		},
		`rotation.scheduleExpression: "cron(0 24 ? * SUN *)": has the hour "24": want 0 to 23`: func(a *args) {
			a.Rotation.ScheduleExpression = "cron(0 24 ? * SUN *)"
		},
		`rotation.duration: "soon": want whole hours`: func(a *args) {
			a.Rotation = rdspostgres.Rotation{AutomaticallyAfterDays: 9, Duration: "soon"}
		},
		`rotation.duration: "2h": ends after the UTC day`: func(a *args) {
			a.Rotation = rdspostgres.Rotation{ScheduleExpression: "cron(0 23 * * ? *)", Duration: "2h"}
		},
		`rotation.duration: "5h": ends after`: func(a *args) {
			a.Rotation = rdspostgres.Rotation{ScheduleExpression: "rate(4 hours)", Duration: "5h"}
		},
		`restore.snapshotIdentifier: "no snapshot": want the name`: func(a *args) {
			a.Restore.SnapshotIdentifier = "no snapshot"
		},
		`restore.pointInTime.restoreTime: "": give either a time`: func(a *args) {
			a.Restore.PointInTime.SourceDBInstanceIdentifier = "other"
		},
		`restore.pointInTime.restoreTime: "2026-11-03T04:05:06+09:00": want a time in`: func(a *args) {
			a.Restore.PointInTime.RestoreTime = "2026-11-03T04:05:06+09:00"
		},
		`restore.pointInTime: want exactly one of sourceDbInstanceIdentifier`: func(a *args) {
			a.Restore.PointInTime.UseLatestRestorableTime = true
		},
		`sourceDbInstanceIdentifier: "myshop-prod": is this instance itself`: func(a *args) {
			a.Restore.PointInTime.SourceDBInstanceIdentifier = "myshop-prod"
		},
		`sourceDbInstanceIdentifier: "My": want the identifier`: func(a *args) {
			a.Restore.PointInTime.SourceDBInstanceIdentifier = "My"
		},
		`sourceDbiResourceId: "db-1": want a resource id`: func(a *args) {
			a.Restore.PointInTime.SourceDbiResourceID = "db-1"
		},
		`sourceDbInstanceAutomatedBackupsArn: "ab-1": want an ARN`: func(a *args) {
			a.Restore.PointInTime.BackupsArn = "ab-1"
		},
		`restore.snapshotIdentifier: "daily": conflicts with pointInTime`: func(a *args) {
			a.Restore.SnapshotIdentifier, a.Restore.PointInTime.UseLatestRestorableTime = "daily", true
		},
		`alarms.topicArns[0]: "oncall": want the ARN`: func(a *args) {
			a.Alarms.TopicArns = []string{"oncall"}
		},
		`alarms.topicArns[1]: "` + topicArn + `": is named twice`: func(a *args) {
			a.Alarms.TopicArns = []string{topicArn, topicArn}
		},
		`alarms.topicArns[0]: "arn:aws:sns:eu-west-1:111122223333:x": is in`: func(a *args) {
			a.Alarms.TopicArns = []string{"arn:aws:sns:eu-west-1:111122223333:x"}
		},
		`alarms.topicArns[0]: "` + topicArn + `.fifo": want the ARN of a standard`: func(a *args) {
			a.Alarms.TopicArns = []string{topicArn + ".fifo"}
		},
		`alarms.topicArns: 6: want at most 5`: func(a *args) {
			a.Alarms.TopicArns = slices.Repeat([]string{topicArn}, 6)
		},
		`are never notified`: func(a *args) {
			a.Alarms.Enabled, a.Alarms.TopicArns = false, []string{topicArn}
		},
		`alarms.cpu: 101: want 1 to 100 percent`: func(a *args) {
			a.Alarms.CPU = 101
		},
		`alarms.freeStorage: 50: want 0 for a tenth`: func(a *args) {
			a.Alarms.FreeStorage = 50
		},
		`alarms.freeableMemory: 0: want a number of MiB`: func(a *args) {
			a.Alarms.FreeableMemory = 0
		},
		`alarms.connections: 0: want 1 to 100 percent`: func(a *args) {
			a.Alarms.Connections = 0
		},
		`events.topicArn: "oncall": want the ARN`: func(a *args) {
			a.Events.TopicArn = "oncall"
		},
		`events.topicArn: "arn:aws:sns:eu-west-1:111122223333:x": is in`: func(a *args) {
			a.Events.TopicArn = "arn:aws:sns:eu-west-1:111122223333:x"
		},
		`events.categories: is missing`: func(a *args) {
			a.Events = rdspostgres.Events{TopicArn: topicArn}
		},
		`events.categories[0]: "disaster": want one of availability, backup`: func(a *args) {
			a.Events = rdspostgres.Events{TopicArn: topicArn, Categories: []string{"disaster"}}
		},
		`events.categories[1]: "failure": is named twice`: func(a *args) {
			a.Events = rdspostgres.Events{TopicArn: topicArn, Categories: []string{"failure", "failure"}}
		},
		`connectionLimit: -1: want 0`: func(a *args) {
			a.ConnectionLimit = -1
		},
		`clients: is missing: without clients nothing can connect`: func(a *args) {
			a.Clients = nil
		},
		`clients[0].cidrs: ["10.0.0.0/8"]: and securityGroupId are both given`: func(a *args) {
			a.Clients[0].CIDRs = []string{"10.0.0.0/8"}
		},
		`clients[0].cidrs[0]: "10.0.0.0/33": want an address range`: func(a *args) {
			a.Clients[0] = rdspostgres.Client{Name: "vpn", CIDRs: []string{"10.0.0.0/33"}}
		},
		`clients[0].cidrs[0]: "10.0.0.1/8": has bits set after its prefix length; want 10.0.0.0`: func(a *args) {
			a.Clients[0] = rdspostgres.Client{Name: "vpn", CIDRs: []string{"10.0.0.1/8"}}
		},
		`clients[0].cidrs[0]: "0.0.0.0/0": is the whole internet`: func(a *args) {
			a.Clients[0] = rdspostgres.Client{Name: "vpn", CIDRs: []string{"0.0.0.0/0"}}
		},
		`clients[0].cidrs[0]: "::/0": is the whole internet`: func(a *args) {
			a.Clients[0] = rdspostgres.Client{Name: "vpn", CIDRs: []string{"::/0"}}
		},
		`parameters: cannot be set in the group team-postgres16`: func(a *args) {
			a.ParameterGroupName, a.Parameters = "team-postgres16",
				map[string]rdspostgres.Parameter{"work_mem": {Value: "16384"}}
		},
	} {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			assert.ErrorContains(t, with(change).Validate(), fault)
		})
	}
}

func TestValidSettingsAreAccepted(t *testing.T) {
	t.Parallel()
	type args = rdspostgres.RdsPostgresArgs
	for name, change := range map[string]func(*args){
		"production":    func(*args) {},
		"members alone": func(a *args) { a.Clients, a.ClientSecurityGroup = nil, true },
		"a topic in GovCloud": func(a *args) {
			a.Region, a.Alarms.TopicArns = "us-gov-west-1", []string{"arn:aws-us-gov:sns:us-gov-west-1:111122223333:x"}
		},
		"a rate": func(a *args) {
			a.Rotation = rdspostgres.Rotation{
				ScheduleExpression: "rate(4 hours)", Duration: "4h",
			}
		},
		"every day at one": func(a *args) {
			a.Rotation = rdspostgres.Rotation{ScheduleExpression: "cron(0 1 * * ? *)", Duration: "23h"}
		},
		"every twelve hours": func(a *args) { a.Rotation.ScheduleExpression = "cron(0 */12 ? * MON-FRI *)" },
		"a snapshot of another": func(a *args) {
			a.Restore.SnapshotIdentifier = "arn:aws:rds:ap-northeast-2:444455556666:snapshot:shared"
		},
		"a deleted instance": func(a *args) {
			a.Restore.PointInTime = rdspostgres.PointInTime{
				UseLatestRestorableTime: true, SourceDbiResourceID: "db-ABCDEFGHIJKLMNOPQRSTUVWXY0",
			}
		},
		"no alarms": func(a *args) { a.Alarms = rdspostgres.Alarms{} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.NoError(t, with(change).Validate())
		})
	}
}

func TestFaultsOfAllPartsComeTogether(t *testing.T) {
	t.Parallel()
	recorded, err := componenttest.Try(create(with(func(a *rdspostgres.RdsPostgresArgs) {
		a.BlueGreenUpdate = true
		a.Rotation.Duration = "2h"
		a.Restore.PointInTime.UseLatestRestorableTime = true
		a.Alarms.CPU = 0
		a.Events.TopicArn = "oncall"
		a.Roles = map[string]string{"s3": "x"}
		a.Timeouts.Update = ""
	})))
	require.Error(t, err)
	assert.Empty(t, recorded.Each())
	for _, part := range []string{
		"blueGreenUpdate", "rotation.duration", "restore.pointInTime", "alarms.cpu",
		"events.topicArn", "roles.s3", "timeouts.update",
	} {
		assert.ErrorContains(t, err, part)
	}
}
