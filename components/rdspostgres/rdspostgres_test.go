package rdspostgres_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/ec2"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"dbtier/components/componenttest"
	"dbtier/components/rdspostgres"
)

const instanceType = "aws:rds/instance:Instance"

func arguments(settings rdspostgres.Settings) *rdspostgres.RdsPostgresArgs {
	settings.Identifier, settings.DatabaseName, settings.MasterUsername = "myshop-prod", "myshop", "myshop_admin"
	return &rdspostgres.RdsPostgresArgs{
		Settings:  settings,
		Region:    componenttest.Region,
		AccountID: componenttest.Account,
		VpcID:     pulumi.String("vpc-1"),
		SubnetIDs: pulumi.ToStringArray([]string{"subnet-a", "subnet-b"}),
		Clients:   []rdspostgres.Client{{Name: "EKS nodes", SecurityGroupID: pulumi.String("sg-nodes")}},
		Tags:      map[string]string{"service": "myshop"},
	}
}

func create(args *rdspostgres.RdsPostgresArgs, opts ...pulumi.ResourceOption) pulumi.RunFunc {
	return func(ctx *pulumi.Context) error {
		database, err := rdspostgres.NewRdsPostgres(ctx, "database", args, opts...)
		if err != nil {
			return err
		}
		ctx.Export("host", database.Host)
		ctx.Export("secret", database.MasterSecretArn)
		return nil
	}
}

func TestProductionSurvivesAZoneAndAMistake(t *testing.T) {
	t.Parallel()
	recorded := componenttest.Run(t, create(arguments(rdspostgres.Production())))
	instance := recorded.One(t, instanceType)
	for key, want := range map[string]any{
		"identifier":                         "myshop-prod",
		"engine":                             "postgres",
		"engineVersion":                      "16",
		"instanceClass":                      "db.m6g.large",
		"allocatedStorage":                   50.0,
		"maxAllocatedStorage":                500.0,
		"storageType":                        "gp3",
		"storageEncrypted":                   true,
		"kmsKeyId":                           componenttest.KeyArn,
		"manageMasterUserPassword":           true,
		"masterUserSecretKmsKeyId":           componenttest.KeyArn,
		"multiAz":                            true,
		"backupRetentionPeriod":              30.0,
		"backupWindow":                       "03:00-04:00",
		"maintenanceWindow":                  "Mon:04:00-Mon:05:00",
		"performanceInsightsEnabled":         true,
		"performanceInsightsKmsKeyId":        componenttest.KeyArn,
		"performanceInsightsRetentionPeriod": 7.0,
		"monitoringInterval":                 60.0,
		"monitoringRoleArn":                  "arn:aws:iam::111122223333:role/myshop-prod-ap-northeast-2-rds-monitoring",
		"enabledCloudwatchLogsExports":       []any{"postgresql"},
		"deletionProtection":                 true,
		"skipFinalSnapshot":                  false,
		"deleteAutomatedBackups":             false,
		"copyTagsToSnapshot":                 true,
		"publiclyAccessible":                 false,
		"applyImmediately":                   false,
		"iamDatabaseAuthenticationEnabled":   true,
		"engineLifecycleSupport":             "open-source-rds-extended-support-disabled",
		"databaseInsightsMode":               "standard",
		"networkType":                        "IPV4",
		"dedicatedLogVolume":                 false,
		"parameterGroupName":                 "myshop-prod-postgres16",
		"dbSubnetGroupName":                  "myshop-prod",
		"tags":                               map[string]any{"service": "myshop"},
	} {
		assert.Equal(t, want, instance.Inputs[key], key)
	}
	assert.NotContains(t, instance.Inputs, "password", "no password enters the program")
	assert.Equal(t, "postgres16", recorded.One(t, "aws:rds/parameterGroup:ParameterGroup").Inputs["family"])
	assert.Equal(t, componenttest.SecretArn, recorded.Outputs["secret"])
	assert.Equal(t, "myshop-prod.c9akciq32rgx.ap-northeast-2.rds.amazonaws.com", recorded.Outputs["host"])
}

func TestADevelopmentInstanceCanBeDeleted(t *testing.T) {
	t.Parallel()
	instance := componenttest.Run(t, create(arguments(rdspostgres.Development()))).One(t, instanceType)
	for key, want := range map[string]any{
		"instanceClass": "db.t4g.medium", "multiAz": false, "backupRetentionPeriod": 7.0, "deletionProtection": false,
		"skipFinalSnapshot": true, "storageEncrypted": true,
	} {
		assert.Equal(t, want, instance.Inputs[key], key)
	}
	assert.NotContains(t, instance.Inputs, "finalSnapshotIdentifier")
}

func TestTheFinalSnapshotHasAnotherNameAfterEachReplacement(t *testing.T) {
	t.Parallel()
	name := func(component, user string) string {
		args := arguments(rdspostgres.Production())
		args.MasterUsername = user
		recorded := componenttest.Run(t, func(ctx *pulumi.Context) error {
			_, err := rdspostgres.NewRdsPostgres(ctx, component, args)
			return err
		})
		return recorded.One(t, instanceType).Inputs["finalSnapshotIdentifier"].(string)
	}
	first := name("database", "myshop_admin")
	assert.Regexp(t, `^final-myshop-prod-[0-9a-f]{8}$`, first)
	assert.Equal(t, first, name("database", "myshop_admin"), "the name does not change while the instance exists")
	assert.NotEqual(t, first, name("database", "other_admin"), "a change that replaces the instance")
	assert.NotEqual(t, first, name("reborn", "myshop_admin"), "another security group gives another name")
}

func TestOnlyTheClientsReachThePort(t *testing.T) {
	t.Parallel()
	args := arguments(rdspostgres.Development())
	args.Clients = append(args.Clients, rdspostgres.Client{
		Name: "bastion", SecurityGroupID: pulumi.String("sg-bastion"),
	})
	group := componenttest.Run(t, create(args)).One(t, "aws:ec2/securityGroup:SecurityGroup")
	rule := func(name, id string) map[string]any {
		return map[string]any{
			"description": "PostgreSQL from " + name, "protocol": "tcp", "fromPort": 5432.0, "toPort": 5432.0,
			"securityGroups": []any{id},
		}
	}
	assert.Equal(t, []any{rule("EKS nodes", "sg-nodes"), rule("bastion", "sg-bastion")}, group.Inputs["ingress"])
	assert.Equal(t, []any{}, group.Inputs["egress"])
}

func TestTheInstanceWaitsForItsLogGroupsAndItsMonitoring(t *testing.T) {
	t.Parallel()
	args := arguments(rdspostgres.Production())
	args.LogExports = []string{"postgresql", "upgrade"}
	recorded := componenttest.Run(t, create(args))
	instance := recorded.One(t, instanceType)
	groups := recorded.All("aws:cloudwatch/logGroup:LogGroup")
	require.Len(t, groups, 2)
	for _, group := range groups {
		assert.True(t, recorded.Follows(instance, group), "RDS would make %s by itself", group.Inputs["name"])
		assert.EqualValues(t, 365, group.Inputs["retentionInDays"])
		assert.Equal(t, componenttest.KeyArn, group.Inputs["kmsKeyId"])
	}
	assert.Equal(t, "/aws/rds/instance/myshop-prod/postgresql", groups[0].Inputs["name"])
	assert.True(t, recorded.Follows(instance, recorded.One(t, "aws:iam/rolePolicyAttachment:RolePolicyAttachment")))
}

func TestOnlyRdsOfThisInstanceTakesTheMonitoringRole(t *testing.T) {
	t.Parallel()
	role := componenttest.Run(t, create(arguments(rdspostgres.Production()))).One(t, "aws:iam/role:Role")
	assert.JSONEq(t, `{"Version": "2012-10-17", "Statement": [{
		"Effect": "Allow",
		"Principal": {"Service": "monitoring.rds.amazonaws.com"},
		"Action": ["sts:AssumeRole"],
		"Condition": {"StringEquals": {
			"aws:SourceAccount": "111122223333",
			"aws:SourceArn": "arn:aws:rds:ap-northeast-2:111122223333:db:myshop-prod"}}}]}`, role.Inputs["assumeRolePolicy"].(string))
}

// The policy of an existing key may not allow CloudWatch Logs, so the logs have a key of their own.
func TestAnExistingKeyIsUsedAndOneForTheLogsIsCreated(t *testing.T) {
	t.Parallel()
	args := arguments(rdspostgres.Production())
	args.KmsKeyArn = "arn:aws:kms:ap-northeast-2:111122223333:key/0a1b"
	recorded := componenttest.Run(t, create(args))
	assert.Equal(t, args.KmsKeyArn, recorded.One(t, instanceType).Inputs["kmsKeyId"])
	key := recorded.One(t, "aws:kms/key:Key")
	assert.Contains(t, key.Inputs["policy"], "logs.ap-northeast-2.amazonaws.com")
	group := recorded.One(t, "aws:cloudwatch/logGroup:LogGroup")
	assert.Equal(t, componenttest.KeyArn, group.Inputs["kmsKeyId"])
	assert.True(t, recorded.Follows(group, key))

	args.LogExports = nil
	assert.Empty(t, componenttest.Run(t, create(args)).All("aws:kms/key:Key"))
}

func TestTheKeyRotatesAndItsPolicyIsForThisInstance(t *testing.T) {
	t.Parallel()
	key := componenttest.Run(t, create(with(func(a *rdspostgres.RdsPostgresArgs) { a.LogSkipDestroy = false }))).
		One(t, "aws:kms/key:Key")
	assert.Equal(t, true, key.Inputs["enableKeyRotation"])
	assert.EqualValues(t, 30, key.Inputs["deletionWindowInDays"])
	var policy struct{ Statement []map[string]any }
	require.NoError(t, json.Unmarshal([]byte(key.Inputs["policy"].(string)), &policy))
	require.Len(t, policy.Statement, 2)
	assert.Equal(t, map[string]any{"AWS": "arn:aws:iam::111122223333:root"}, policy.Statement[0]["Principal"])
	assert.Equal(t, map[string]any{"Service": "logs.ap-northeast-2.amazonaws.com"}, policy.Statement[1]["Principal"])
	assert.Equal(t, "arn:aws:logs:ap-northeast-2:111122223333:log-group:/aws/rds/instance/myshop-prod/*",
		componenttest.At(policy.Statement[1], "Condition", "ArnLike", "kms:EncryptionContext:aws:logs:arn"))
}

func TestWithoutMonitoringThereIsNoRole(t *testing.T) {
	t.Parallel()
	args := arguments(rdspostgres.Development())
	args.MonitoringInterval = 0
	recorded := componenttest.Run(t, create(args))
	assert.Empty(t, recorded.All("aws:iam/role:Role"))
	assert.NotContains(t, recorded.One(t, instanceType).Inputs, "monitoringRoleArn")
}

func TestANewMajorVersionGetsAGroupOfItsOwn(t *testing.T) {
	t.Parallel()
	args := arguments(rdspostgres.Production())
	args.EngineVersion, args.AllowMajorVersionUpgrade = "17", true
	group := componenttest.Run(t, create(args)).One(t, "aws:rds/parameterGroup:ParameterGroup")
	assert.Equal(t, "postgres17", group.Inputs["family"])
	assert.Equal(t, "myshop-prod-postgres17", group.Inputs["name"])
}

func TestParametersAreSortedAndComplete(t *testing.T) {
	t.Parallel()
	args := arguments(rdspostgres.Production())
	args.Parameters = map[string]rdspostgres.Parameter{
		"work_mem": {Value: "16384"}, "max_connections": {Value: "500", ApplyMethod: rdspostgres.PendingReboot},
	}
	group := componenttest.Run(t, create(args)).One(t, "aws:rds/parameterGroup:ParameterGroup")
	assert.Equal(t, []any{
		map[string]any{"name": "max_connections", "value": "500", "applyMethod": "pending-reboot"},
		map[string]any{"name": "work_mem", "value": "16384", "applyMethod": "immediate"},
	}, group.Inputs["parameters"])
	assert.Empty(t, args.Parameters["work_mem"].ApplyMethod, "the caller's value is unchanged")
}

func TestProvisionedStorageIsPassedOn(t *testing.T) {
	t.Parallel()
	args := arguments(rdspostgres.Production())
	args.AllocatedStorage, args.MaxAllocatedStorage, args.Iops, args.StorageThroughput = 400, 0, 12000, 500
	instance := componenttest.Run(t, create(args)).One(t, instanceType)
	assert.EqualValues(t, 12000, instance.Inputs["iops"])
	assert.EqualValues(t, 500, instance.Inputs["storageThroughput"])
}

func TestChildrenBelongToTheComponentAndItsOptionsStayWithIt(t *testing.T) {
	t.Parallel()
	recorded := componenttest.Run(t, create(arguments(rdspostgres.Production()),
		pulumi.IgnoreChanges([]string{"tags"})))
	component := recorded.One(t, rdspostgres.Type)
	assert.Equal(t, []string{"tags"}, component.IgnoreChanges)
	for _, child := range recorded.Each() {
		if child == component {
			continue
		}
		assert.Equal(t, component.URN, componenttest.ParentOf(child), child.URN)
		assert.True(t, strings.HasPrefix(child.Name, "database-"), child.Name)
		assert.NotContains(t, child.IgnoreChanges, "tags", child.URN)
	}
	assert.True(t, recorded.One(t, instanceType).DeleteBeforeReplace, "the identifier is taken while the old instance exists")
}

func TestSecretAndDependentInputsStayWhatTheyAre(t *testing.T) {
	t.Parallel()
	recorded := componenttest.Run(t, func(ctx *pulumi.Context) error {
		nodes, err := ec2.NewSecurityGroup(ctx, "nodes", nil)
		if err != nil {
			return err
		}
		args := arguments(rdspostgres.Production())
		args.VpcID = pulumi.ToSecret(pulumi.String("vpc-secret")).(pulumi.StringOutput)
		args.Clients[0].SecurityGroupID = nodes.ID().ToStringOutput()
		_, err = rdspostgres.NewRdsPostgres(ctx, "database", args)
		return err
	})
	group := recorded.Named(t, "aws:ec2/securityGroup:SecurityGroup", "database-security-group")
	assert.Equal(t, []string{"vpcId"}, group.Secrets)
	assert.True(t, recorded.Follows(recorded.One(t, instanceType),
		recorded.Named(t, "aws:ec2/securityGroup:SecurityGroup", "nodes")))
}

func TestAPreviewKnowsNoSecretArn(t *testing.T) {
	t.Parallel()
	recorded := componenttest.Run(t, create(arguments(rdspostgres.Production())), componenttest.Preview())
	assert.NotContains(t, recorded.Outputs, "secret")
	assert.Equal(t, 1, recorded.Types()[instanceType])
}

func TestEveryFaultIsReportedBeforeAnythingIsCreated(t *testing.T) {
	t.Parallel()
	recorded, err := componenttest.Try(create(&rdspostgres.RdsPostgresArgs{
		Settings: rdspostgres.Settings{
			Identifier: "MyShop--prod", EngineVersion: "16.3", AutoMinorVersionUpgrade: true,
			InstanceClass: "m6g.large", AllocatedStorage: 10,
			MaxAllocatedStorage: 10, StorageType: "gp3", Iops: 3000, StorageThroughput: 100, DatabaseName: "my-shop",
			MasterUsername: "admin", Port: 80,
			CACertIdentifier: "rds-ca-2019", KmsKeyArn: "alias/mine", MultiAZ: true, BackupWindow: "03:00-04:30",
			MaintenanceWindow: "Mon:04:00-Mon:05:00", PerformanceInsights: true, PerformanceInsightsRetentionPeriod: 8,
			MonitoringInterval: 7,
			LogExports:         []string{"postgresql", "audit", "postgresql"}, LogRetention: 8,
			Parameters: map[string]rdspostgres.Parameter{
				"rds.force_ssl": {Value: "0"}, "Work Mem": {ApplyMethod: "later"},
			},
		},
		Region: "Seoul", AccountID: "1111-2222-3333", Clients: []rdspostgres.Client{{Name: ""}},
	}))
	require.Error(t, err)
	assert.Empty(t, recorded.Each())
	for _, fault := range []string{
		`identifier: "MyShop--prod": want 1 to 63 lower-case letters`,
		`engineVersion: "16.3": RDS no longer creates it (as of 2026-05-31, 16.9 is the oldest); use "16"`,
		`engineVersion: "16.3": is a minor version, from which autoMinorVersionUpgrade will upgrade`,
		`instanceClass: "m6g.large": want a class such as db.m6g.large`,
		`allocatedStorage: 10: want 20 to 65536 GiB with storageType gp3`,
		`maxAllocatedStorage: 10: want 0 to turn growth off, or at least a tenth more than allocatedStorage (10 GiB)`,
		`iops: 3000: gp3 accepts it only from 400 GiB`,
		`databaseName: "my-shop": want`,
		`masterUsername: "admin": is reserved`,
		`port: 80: want 1150 to 65535`,
		`caCertIdentifier: "rds-ca-2019": want one of`,
		`kmsKeyArn: "alias/mine": want the ARN of a KMS key`,
		`kmsDeletionWindow: 0: want 7 to 30 days`,
		`backupRetentionPeriod: 0: turns backups off`,
		`backupWindow: "03:00-04:30": overlaps the maintenance window Mon:04:00-Mon:05:00`,
		`performanceInsightsRetentionPeriod: 8: want 7, 731 or a multiple of 31`,
		`monitoringInterval: 7: want one of 0, 1, 5`,
		`logExports[1]: "audit": want one of`,
		`logExports[2]: "postgresql": is named twice`,
		`logRetention: 8: want one of`,
		`parameters.Work Mem: "Work Mem": want the name`,
		`parameters.Work Mem.value: is missing`,
		`parameters.Work Mem.applyMethod: "later": want one of immediate, pending-reboot`,
		`parameters.rds.force_ssl.value: "0": would allow connections without TLS`,
		`region: "Seoul": want an AWS region`,
		`accountId: "1111-2222-3333": want the 12 digits`,
		`vpcId: is missing`,
		`subnetIds: is missing`,
		`clients[0].name: "": want`,
		`clients[0].securityGroupId: is missing`,
	} {
		assert.ErrorContains(t, err, fault)
	}
}

func TestSettingsOneByOne(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*rdspostgres.Settings)
		fault  string
	}{
		"defaults": {func(*rdspostgres.Settings) {}, ""},
		"pinned minor": {func(s *rdspostgres.Settings) {
			s.EngineVersion, s.AutoMinorVersionUpgrade = "16.11", false
		}, ""},
		"unknown major": {
			func(s *rdspostgres.Settings) { s.EngineVersion = "12" },
			`engineVersion: "12": want a major version from 13 to 18`,
		},
		"no version": {
			func(s *rdspostgres.Settings) { s.EngineVersion = "latest" },
			`engineVersion: "latest": want a major version such`,
		},
		"no growing": {func(s *rdspostgres.Settings) { s.MaxAllocatedStorage = 0 }, ""},
		"growing by less": {
			func(s *rdspostgres.Settings) { s.MaxAllocatedStorage = 54 },
			`maxAllocatedStorage: 54`,
		},
		"growing by a tenth": {func(s *rdspostgres.Settings) { s.MaxAllocatedStorage = 55 }, ""},
		"io1 without iops": {
			func(s *rdspostgres.Settings) { s.StorageType, s.AllocatedStorage = "io1", 100 },
			`iops: 0: want 1000 to 256000`,
		},
		"gp2 with iops": {
			func(s *rdspostgres.Settings) { s.StorageType, s.Iops = "gp2", 3000 },
			`iops: 3000: gp2 has no provisioned iops`,
		},
		"throughput alone": {
			func(s *rdspostgres.Settings) { s.StorageThroughput = 500 },
			`storageThroughput: 500: needs storageType gp3 and iops`,
		},
		"user with pg_": {
			func(s *rdspostgres.Settings) { s.MasterUsername = "PG_me" },
			`masterUsername: "PG_me": is reserved`,
		},
		"a year and more of insight": {
			func(s *rdspostgres.Settings) { s.PerformanceInsightsRetentionPeriod = 465 },
			"",
		},
		"no insight": {func(s *rdspostgres.Settings) {
			s.PerformanceInsights, s.PerformanceInsightsRetentionPeriod = false, 0
		}, ""},
		"no logs": {func(s *rdspostgres.Settings) { s.LogExports, s.LogRetention = nil, 0 }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			settings := arguments(rdspostgres.Development()).Settings
			c.change(&settings)
			if err := settings.Validate(); c.fault == "" {
				assert.NoError(t, err)
			} else {
				assert.ErrorContains(t, err, c.fault)
			}
		})
	}
}

func TestWithoutArgumentsThereIsAnError(t *testing.T) {
	t.Parallel()
	_, err := componenttest.Try(create(nil))
	assert.ErrorContains(t, err, "RdsPostgres database: no arguments given")
}

func ExampleSettings_Validate() {
	settings := rdspostgres.Production()
	settings.Identifier, settings.DatabaseName, settings.MasterUsername = "myshop-prod", "myshop", "myshop_admin"
	settings.BackupWindow = "03:00-04:30"
	fmt.Println(settings.Validate())
	// Output: backupWindow: "03:00-04:30": overlaps the maintenance window Mon:04:00-Mon:05:00, which RDS refuses; move one of them
}
