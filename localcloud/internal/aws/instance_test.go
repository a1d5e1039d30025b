package aws

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	awsrds "github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// fixture creates what an instance needs and returns the inputs for one.
func (a *account) fixture() m {
	a.t.Helper()
	_, key := a.instance("fixture", nil)
	group := a.create(typeGroup, "fixture-2", m{"name": "fixture-2", "description": "x", "vpcId": VPCID})
	return with(a.instanceInputs("fixture", key, group), m{"identifier": "new"})
}

func TestInvalidInstancesAreRefusedAsOnRDS(t *testing.T) {
	a := newAccount(t)
	base := a.fixture()
	a.create(typeParameters, "old", m{"name": "old", "family": "postgres15"})
	a.create(typeRole, "stranger", m{"name": "stranger", "assumeRolePolicy": irsaTrust("a:b")})
	disabled := a.create(typeKey, "disabled", m{"isEnabled": false})
	for name, c := range map[string]struct {
		change     m
		code, says string
	}{
		"overlapping windows": {m{"backupWindow": "03:00-04:30"}, "InvalidParameterValue", "must not overlap"},
		"a window too short": {
			m{"backupWindow": "03:00-03:10"},
			"InvalidParameterValue",
			"at least 30",
		},
		"a version that RDS no longer creates": {
			m{"engineVersion": "16.3"},
			"InvalidParameterCombination",
			"cannot find version 16.3",
		},
		"a version blocked since May": {m{"engineVersion": "16.8"}, "InvalidParameterCombination", "16.8"},
		"a version without support":   {m{"engineVersion": "13", "engineLifecycleSupport": "open-source-rds-extended-support-disabled"}, "InvalidParameterCombination", "without open-source"},
		"a version not run here":      {m{"engineVersion": "17"}, "NotImplemented", "PostgreSQL 17"},
		"another engine":              {m{"engine": "mysql"}, "NotImplemented", "mysql"},
		"a reserved master name":      {m{"username": "admin"}, "InvalidParameterValue", "is reserved"},
		"a reserved database name":    {m{"dbName": "rdsadmin"}, "InvalidParameterValue", "dbName"},
		"another family's parameters": {m{"parameterGroupName": "old"}, "InvalidParameterCombination", "postgres16"},
		"a missing parameter group":   {m{"parameterGroupName": "none"}, "DBParameterGroupNotFound", "none"},
		"a missing subnet group":      {m{"dbSubnetGroupName": "none"}, "DBSubnetGroupNotFoundFault", "none"},
		"a missing security group": {
			m{"vpcSecurityGroupIds": []string{"sg-00000000000000000"}},
			"InvalidParameterValue", "sg-00000000000000000",
		},
		"no security group":         {m{"vpcSecurityGroupIds": nil}, "NotImplemented", "default security group"},
		"an unknown class":          {m{"instanceClass": "db.m6g.huge"}, "InvalidParameterValue", "no such size"},
		"a class of no PostgreSQL":  {m{"instanceClass": "db.t2.micro"}, "InvalidParameterValue", "db.t2"},
		"a class that is not known": {m{"instanceClass": "db.m99.large"}, "NotImplemented", "db.m99.large"},
		"storage too small":         {m{"allocatedStorage": 10}, "InvalidParameterValue", "allocatedStorage"},
		"growth below 10 %":         {m{"maxAllocatedStorage": 54}, "InvalidParameterCombination", "a tenth more"},
		"iops for small gp3":        {m{"iops": 12000}, "InvalidParameterCombination", "from 400 GiB"},
		"a key that does not exist": {
			m{"kmsKeyId": "arn:aws:kms:ap-northeast-2:111122223333:key/none"},
			"KMSKeyNotAccessibleFault", "kmsKeyId",
		},
		"a key that is disabled": {
			m{"masterUserSecretKmsKeyId": disabled.Outputs["arn"]},
			"KMSKeyNotAccessibleFault", "masterUserSecretKmsKeyId",
		},
		"a key without encryption": {
			m{"storageEncrypted": false},
			"InvalidParameterCombination",
			"storageEncrypted",
		},
		"monitoring without a role": {
			m{"monitoringInterval": 60},
			"InvalidParameterCombination",
			"MonitoringRoleARN",
		},
		"monitoring, a wrong role": {
			m{
				"monitoringInterval": 60,
				"monitoringRoleArn":  "arn:aws:iam::111122223333:role/stranger",
			},
			"InvalidParameterValue",
			"ENHANCED_MONITORING",
		},
		"a monitoring interval": {m{"monitoringInterval": 7}, "InvalidParameterValue", "monitoring interval"},
		"insights without PI": {
			m{"databaseInsightsMode": "advanced"},
			"InvalidParameterCombination",
			"performanceInsightsEnabled",
		},
		"insights kept too short": {m{
			"performanceInsightsEnabled": true, "databaseInsightsMode": "advanced",
			"performanceInsightsRetentionPeriod": 7,
		}, "InvalidParameterCombination", "465"},
		"a PI retention": {
			m{"performanceInsightsEnabled": true, "performanceInsightsRetentionPeriod": 8},
			"InvalidParameterValue", "retention",
		},
		"a log type": {
			m{"enabledCloudwatchLogsExports": []string{"audit"}},
			"InvalidParameterCombination", "audit",
		},
		"a CA": {m{"caCertIdentifier": "rds-ca-2019"}, "CertificateNotFound", "rds-ca-2019"},
		"a final snapshot's name": {
			m{"finalSnapshotIdentifier": "ends-"},
			"InvalidParameterValue",
			"finalSnapshotIdentifier",
		},
		"an identifier": {m{"identifier": "a--b"}, "InvalidParameterValue", "identifier"},
		"a zone with Multi-AZ": {
			m{"multiAz": true, "availabilityZone": "ap-northeast-2a"},
			"InvalidParameterCombination", "Multi-AZ",
		},
		"a zone elsewhere": {m{"availabilityZone": "eu-west-1a"}, "InvalidParameterValue", "eu-west-1a"},
		"a password in the program": {
			m{"password": "hunter2hunter2", "manageMasterUserPassword": nil},
			"NotImplemented", "manageMasterUserPassword",
		},
		"a replica": {m{"replicateSourceDb": "fixture"}, "NotImplemented", "read replicas"},
		"a restore without a source": {
			m{"restoreToPointInTime": m{"useLatestRestorableTime": true}},
			"InvalidParameterCombination",
			"want one source",
		},
		"blue/green":          {m{"blueGreenUpdate": m{"enabled": true}}, "NotImplemented", "blue/green"},
		"an unknown property": {m{"colour": "red"}, "NotImplemented", "colour"},
		"a property of another type": {
			m{"allocatedStorage": "much"},
			"ValidationError",
			"allocatedStorage: want a whole number",
		},
		"an identifier that is taken": {m{"identifier": "fixture"}, "DBInstanceAlreadyExists", "fixture"},
		"a tag of AWS's own":          {m{"tags": m{"aws:x": "y"}}, "InvalidParameterValue", "aws:x"},
		"a port":                      {m{"port": 80}, "InvalidParameterValue", "port"},
		"too many days of backups": {
			m{"backupRetentionPeriod": 36},
			"InvalidParameterValue",
			"backupRetentionPeriod",
		},
	} {
		t.Run(name, func(t *testing.T) {
			at := *a
			at.t = t
			at.deny(typeInstance, with(base, c.change), c.code, c.says)
		})
	}
	assert.Len(t, a.engine.databases, 1, "nothing was created")
	assert.NotContains(t, a.log.String(), "hunter2")
}

func TestAllFaultsOfAnInstanceAreReportedTogether(t *testing.T) {
	a := newAccount(t)
	out := a.controlCall(http.MethodPost, typeInstance, "bad", "",
		m{
			"identifier": "1", "engine": "postgres", "instanceClass": "x", "username": "admin", "backupWindow": "x",
			"colour": "red",
		}, nil)
	for _, says := range []string{
		"identifier", "instanceClass", "username", "backupWindow", "colour",
		"allocatedStorage", "dbSubnetGroupName", "manageMasterUserPassword",
	} {
		assert.Contains(t, out.Message, says)
	}
}

func TestDeletionIsGuardedAsOnRDS(t *testing.T) {
	a := newAccount(t)
	db, _ := a.instance("prod", m{
		"deletionProtection": true, "skipFinalSnapshot": false, "copyTagsToSnapshot": true,
		"tags": m{"team": "a"},
	})
	arn := secretOf(db)
	remove := func(olds m) answer { return a.controlCall(http.MethodDelete, typeInstance, "", db.ID, nil, olds) }
	assert.Contains(t, remove(nil).Message, "protected")
	a.update(typeInstance, db.ID, with(db.Inputs, m{"deletionProtection": nil}))
	assert.Contains(t, remove(nil).Message, "FinalDBSnapshotIdentifier is required")
	assert.Contains(t, remove(m{"finalSnapshotIdentifier": "bad-"}).Message, "finalSnapshotIdentifier")
	require.Equal(t, http.StatusNoContent, remove(
		m{"finalSnapshotIdentifier": "prod-final", "skipFinalSnapshot": false},
	).status)
	require.Equal(t, http.StatusNoContent, remove(nil).status, "deleting a missing instance succeeds")
	require.Equal(t, http.StatusNotFound, a.controlCall(http.MethodGet, typeInstance, "", db.ID, nil, nil).status)
	ctx := context.Background()
	snapshots, err := a.rds(a.admin()).DescribeDBSnapshots(ctx,
		&awsrds.DescribeDBSnapshotsInput{DBInstanceIdentifier: sdk.String("prod")})
	require.NoError(t, err)
	require.Len(t, snapshots.DBSnapshots, 1)
	assert.Equal(t, "prod-final", *snapshots.DBSnapshots[0].DBSnapshotIdentifier)
	assert.Equal(t, "team", *snapshots.DBSnapshots[0].TagList[0].Key)
	_, err = a.secrets(a.admin()).DescribeSecret(ctx, &secretsmanager.DescribeSecretInput{SecretId: &arn})
	refused(t, err, "ResourceNotFoundException")

	again := a.create(typeInstance, "prod", with(db.Inputs, m{"deletionProtection": false}))
	out := a.controlCall(http.MethodDelete, typeInstance, "", again.ID, nil, m{"finalSnapshotIdentifier": "prod-final"})
	assert.Equal(t, "DBSnapshotAlreadyExists", out.Code)
	_, err = a.rds(a.admin()).DeleteDBSnapshot(ctx,
		&awsrds.DeleteDBSnapshotInput{DBSnapshotIdentifier: sdk.String("prod-final")})
	require.NoError(t, err)
	require.Equal(t, http.StatusNoContent, a.controlCall(http.MethodDelete, typeInstance, "", again.ID, nil,
		m{"finalSnapshotIdentifier": "prod-final"}).status)
}

func TestACreationThatFailsLeavesNothing(t *testing.T) {
	a := newAccount(t)
	base := a.fixture()
	secrets := len(a.store.Read().Secrets)
	a.engine.fail = func(call string) error {
		if call == "create" {
			return errors.New("no space left")
		}
		return nil
	}
	out := a.controlCall(http.MethodPost, typeInstance, "db", "", base, nil)
	assert.Equal(t, "InternalFailure", out.Code)
	assert.Contains(t, out.Message, "no space left")
	assert.Len(t, a.store.Read().Instances, 1)
	assert.Len(t, a.store.Read().Secrets, secrets)
	a.engine.fail = nil
	a.create(typeInstance, "db", base)
}

func TestSecurityGroupsDecideWhoReachesTheInstance(t *testing.T) {
	a := newAccount(t)
	db, _ := a.instance("myshop", nil)
	group := db.Inputs["vpcSecurityGroupIds"].([]any)[0].(string)
	reach := func(addr string) bool { return a.engine.access["myshop"](netip.MustParseAddr(addr)) == nil }
	assert.True(t, reach("198.18.128.9"), "a pod is a member of the node security group")
	assert.True(t, reach("::ffff:198.18.0.1"), "and so is the node")
	assert.False(t, reach("198.19.0.1"), "other sources are not")
	assert.False(t, reach("10.0.0.1"))
	rule := func(r m) m {
		return m{
			"name": "myshop", "description": "database", "vpcId": VPCID,
			"ingress": []m{with(m{"protocol": "tcp", "fromPort": 5432, "toPort": 5432}, r)},
		}
	}
	for name, c := range map[string]struct {
		rule      m
		pod, host bool
	}{
		"a CIDR": {m{"cidrBlocks": []string{"10.0.0.0/8"}}, false, true},
		"another port": {
			m{"fromPort": 5433, "toPort": 5433, "securityGroups": []string{NodeSecurityGroupID}},
			false,
			false,
		},
		"a port range": {
			m{"fromPort": 5000, "toPort": 6000, "securityGroups": []string{NodeSecurityGroupID}},
			true,
			false,
		},
		"udp": {m{"protocol": "udp", "securityGroups": []string{NodeSecurityGroupID}}, false, false},
		"all traffic": {m{
			"protocol": "-1", "fromPort": 0, "toPort": 0,
			"securityGroups": []string{NodeSecurityGroupID},
		}, true, false},
		"only its own":   {m{"self": true}, false, false},
		"everything":     {m{"cidrBlocks": []string{"0.0.0.0/0"}}, true, true},
		"another group":  {m{"securityGroups": []string{group}}, false, false},
		"IPv6 addresses": {m{"ipv6CidrBlocks": []string{"::/0"}}, false, false},
	} {
		a.update(typeGroup, group, rule(c.rule))
		assert.Equal(t, c.pod, reach("198.18.128.9"), name)
		assert.Equal(t, c.host, reach("10.1.2.3"), name)
	}
}

func TestMaxConnectionsReachTheEngineAndFollowClassAndParameters(t *testing.T) {
	a := newAccount(t)
	a.create(typeParameters, "pg", m{
		"name": "pg", "family": "postgres16",
		"parameters": []m{{"name": "log_statement", "value": "ddl"}},
	})
	db, _ := a.instance("myshop", m{"parameterGroupName": "pg"})
	d := a.engine.databases["myshop"]
	assert.Equal(t, 414, d.maxConnections)
	assert.Equal(t, map[string]string{"log_statement": "ddl", "rds.force_ssl": "1"}, d.parameters)

	status := func() string {
		out, err := a.rds(a.admin()).DescribeDBInstances(context.Background(), &awsrds.DescribeDBInstancesInput{})
		require.NoError(t, err)
		return *out.DBInstances[0].DBParameterGroups[0].ParameterApplyStatus
	}
	a.update(typeParameters, "pg", m{"name": "pg", "family": "postgres16", "parameters": []m{
		{"name": "log_statement", "value": "all"},
		{"name": "work_mem", "value": "8192", "applyMethod": "pending-reboot"},
		{"name": "max_connections", "value": "200", "applyMethod": "pending-reboot"},
	}})
	assert.Equal(t, map[string]string{"log_statement": "all", "rds.force_ssl": "1"}, d.parameters,
		"what is immediate applies at once")
	assert.Equal(t, 414, d.maxConnections)
	assert.Equal(t, "pending-reboot", status())
	_, err := a.rds(a.admin()).RebootDBInstance(context.Background(),
		&awsrds.RebootDBInstanceInput{DBInstanceIdentifier: sdk.String("myshop")})
	require.NoError(t, err)
	assert.Equal(t, "8192", d.parameters["work_mem"])
	assert.Equal(t, 200, d.maxConnections)
	assert.Equal(t, "in-sync", status())

	a.update(typeParameters, "pg", m{"name": "pg", "family": "postgres16"})
	assert.NotContains(t, d.parameters, "log_statement", "a parameter that left the group is reset")
	a.engine.calls = nil
	a.update(typeInstance, db.ID, with(db.Inputs, m{"instanceClass": "db.m6g.large"}))
	assert.Equal(t, 829, d.maxConnections)
	assert.Equal(t, []string{"apply", "reboot"}, a.engine.calls[:2], "another class means a restart")
	out := a.controlCall(http.MethodDelete, typeParameters, "", "pg", nil, nil)
	assert.Equal(t, "InvalidDBParameterGroupState", out.Code)
}

func TestChangesWaitForTheMaintenanceWindowUnlessTheyAreAppliedImmediately(t *testing.T) {
	a := newAccount(t)
	window := func(from time.Duration) string {
		start := time.Now().UTC().Add(from)
		return start.Format("Mon:15:04") + "-" + start.Add(time.Hour).Format("Mon:15:04")
	}
	backup := strings.NewReplacer("Mon:", "", "Tue:", "", "Wed:", "", "Thu:", "", "Fri:", "", "Sat:", "", "Sun:",
		"").Replace(window(6 * time.Hour))
	db, _ := a.instance("myshop", m{
		"applyImmediately": false, "maintenanceWindow": window(3 * time.Hour),
		"backupWindow": backup,
	})
	ctx := context.Background()
	_, err := a.rds(a.admin()).ModifyDBInstance(ctx, &awsrds.ModifyDBInstanceInput{
		DBInstanceIdentifier: sdk.String("myshop"), DBInstanceClass: sdk.String("db.m6g.large"),
		MultiAZ: sdk.Bool(true), BackupRetentionPeriod: sdk.Int32(9),
	})
	require.NoError(t, err)
	instance := func() *awsrds.DescribeDBInstancesOutput {
		out, err := a.rds(a.admin()).DescribeDBInstances(ctx, &awsrds.DescribeDBInstancesInput{})
		require.NoError(t, err)
		return out
	}
	i := instance().DBInstances[0]
	assert.Equal(t, "db.t4g.medium", *i.DBInstanceClass)
	assert.Equal(t, "db.m6g.large", *i.PendingModifiedValues.DBInstanceClass)
	assert.True(t, *i.PendingModifiedValues.MultiAZ)
	assert.Equal(t, int32(9), *i.BackupRetentionPeriod, "a change without an outage is applied at once")
	_, err = a.rds(a.admin()).ModifyDBInstance(ctx,
		&awsrds.ModifyDBInstanceInput{DBInstanceIdentifier: sdk.String("myshop"), AllocatedStorage: sdk.Int32(60)})
	require.NoError(t, err)
	a.housekeeping(ctx)
	assert.Equal(t, "db.t4g.medium", *instance().DBInstances[0].DBInstanceClass, "not yet")
	_, err = a.rds(a.admin()).ModifyDBInstance(ctx,
		&awsrds.ModifyDBInstanceInput{
			DBInstanceIdentifier:       sdk.String("myshop"),
			PreferredMaintenanceWindow: sdk.String(window(-30 * time.Minute)),
		})
	require.NoError(t, err)
	a.housekeeping(ctx)
	i = instance().DBInstances[0]
	assert.Equal(t, "db.m6g.large", *i.DBInstanceClass)
	assert.Equal(t, int32(60), *i.AllocatedStorage)
	assert.Equal(t, "ap-northeast-2b", *i.SecondaryAvailabilityZone)
	assert.Nil(t, i.PendingModifiedValues.DBInstanceClass)
	assert.Equal(t, 829, a.engine.databases["myshop"].maxConnections)
	_, err = a.rds(a.admin()).RebootDBInstance(ctx,
		&awsrds.RebootDBInstanceInput{DBInstanceIdentifier: sdk.String("myshop"), ForceFailover: sdk.Bool(true)})
	require.NoError(t, err)
	assert.Equal(t, "ap-northeast-2b", *instance().DBInstances[0].AvailabilityZone, "a failover changes the zone")
	read := a.controlCall(http.MethodGet, typeInstance, "", db.ID, nil, nil)
	assert.Equal(t, "db.m6g.large", read.Outputs["instanceClass"], "a refresh sees what was changed by hand")
}

func TestADiskThatHasGrownIsNotAskedToShrink(t *testing.T) {
	a := newAccount(t)
	ctx := t.Context()
	db, _ := a.instance("myshop", m{"maxAllocatedStorage": 100})
	// RDS grows it almost up to the limit.
	_, err := a.rds(a.admin()).ModifyDBInstance(ctx, &awsrds.ModifyDBInstanceInput{
		DBInstanceIdentifier: sdk.String("myshop"), AllocatedStorage: sdk.Int32(90), ApplyImmediately: sdk.Bool(true),
	})
	require.NoError(t, err)
	require.NoError(t, a.store.Update(func(st *state) error {
		_, i := st.instanceID(region, "myshop")
		i.AllocatedStorage = 95
		return nil
	}))
	changed := a.controlCall(http.MethodPut, typeInstance, "", db.ID, with(db.Inputs, m{"backupRetentionPeriod": 9}),
		nil)
	require.Empty(t, changed.Code, changed.Message)
	assert.EqualValues(t, 95, changed.Outputs["allocatedStorage"])
	assert.EqualValues(t, 9, changed.Outputs["backupRetentionPeriod"])
	larger := a.controlCall(http.MethodPut, typeInstance, "", db.ID,
		with(db.Inputs, m{"allocatedStorage": 120, "maxAllocatedStorage": 500}), nil)
	require.Empty(t, larger.Code, larger.Message)
	assert.EqualValues(t, 120, larger.Outputs["allocatedStorage"])
	lower := a.controlCall(http.MethodPut, typeInstance, "", db.ID, with(db.Inputs, m{"maxAllocatedStorage": 125}), nil)
	assert.Equal(t, "InvalidParameterCombination", lower.Code, "a new limit must leave a tenth to grow")
}

func TestSomeSettingsOfAnInstanceCannotBeChanged(t *testing.T) {
	a := newAccount(t)
	db, _ := a.instance("myshop", nil)
	other := a.create(typeKey, "other", m{})
	for name, c := range map[string]struct {
		change m
		code   string
	}{
		"name":       {m{"identifier": "renamed"}, "NotImplemented"},
		"user":       {m{"username": "other"}, "InvalidParameterCombination"},
		"database":   {m{"dbName": "other"}, "InvalidParameterCombination"},
		"port":       {m{"port": 5433}, "NotImplemented"},
		"encryption": {m{"storageEncrypted": false}, "InvalidParameterCombination"},
		"key":        {m{"kmsKeyId": other.Outputs["arn"]}, "InvalidParameterCombination"},
		"secret key": {m{"masterUserSecretKmsKeyId": other.Outputs["arn"]}, "InvalidParameterCombination"},
		"management": {m{"manageMasterUserPassword": false}, "NotImplemented"},
		"shrinking":  {m{"allocatedStorage": 40, "maxAllocatedStorage": 0}, "InvalidParameterValue"},
	} {
		out := a.controlCall(http.MethodPut, typeInstance, "", db.ID, with(db.Inputs, c.change), nil)
		assert.Equal(t, c.code, out.Code, "%s: %s", name, out.Message)
	}
	assert.Equal(t, "available", a.controlCall(http.MethodGet, typeInstance, "", db.ID, nil, nil).Outputs["status"])
}

func TestEnhancedMonitoringNeedsItsRoleAndRDSCreatesMissingLogGroups(t *testing.T) {
	a := newAccount(t)
	trust := policy(m{
		"Effect": "Allow", "Principal": m{"Service": "monitoring.rds.amazonaws.com"},
		"Action": "sts:AssumeRole",
	})
	role := a.create(typeRole, "monitoring", m{"name": "monitoring", "assumeRolePolicy": trust})
	base := with(a.fixture(), m{
		"monitoringInterval": 60, "monitoringRoleArn": role.Outputs["arn"],
		"enabledCloudwatchLogsExports": []string{"postgresql", "upgrade"},
	})
	a.deny(typeInstance, base, "InvalidParameterValue", "ENHANCED_MONITORING")
	a.create(typeAttachment, "monitoring", m{
		"role": "monitoring", "policyArn": "arn:aws:iam::aws:policy/service-role/AmazonRDSEnhancedMonitoringRole",
	})
	a.create(typeLogs, "logs", m{"name": "/aws/rds/instance/new/postgresql", "retentionInDays": 30})
	db := a.create(typeInstance, "db", base)
	assert.Equal(t, []any{"postgresql", "upgrade"}, db.Outputs["enabledCloudwatchLogsExports"])
	assert.EqualValues(t, 30, a.controlCall(http.MethodGet, typeLogs, "", "/aws/rds/instance/new/postgresql", nil,
		nil).Outputs["retentionInDays"])
	a.deny(typeLogs, m{"name": "/aws/rds/instance/new/upgrade", "retentionInDays": 30},
		"ResourceAlreadyExistsException", "already exists")
}

func TestDatabaseTokensAreVerified(t *testing.T) {
	a := newAccount(t)
	ctx := context.Background()
	db, _ := a.instance("myshop", m{"iamDatabaseAuthenticationEnabled": true})
	off := a.create(typeInstance, "off", with(db.Inputs,
		m{"identifier": "off", "iamDatabaseAuthenticationEnabled": false}))
	host, offHost := db.Outputs["address"].(string), off.Outputs["address"].(string)
	role := a.role("app", "myshop:app", allow([]string{"rds-db:connect"},
		"arn:aws:rds-db:ap-northeast-2:111122223333:dbuser:"+db.ID+"/app"))
	creds, err := a.assume(role, a.token("myshop:app", "sts.amazonaws.com", nil))
	require.NoError(t, err)
	token := func(c sdk.CredentialsProvider, endpoint, user, expires string, at time.Time) string {
		v, err := c.Retrieve(ctx)
		require.NoError(t, err)
		r, err := http.NewRequest(http.MethodGet,
			"https://"+endpoint+"/?Action=connect&DBUser="+user+"&X-Amz-Expires="+expires, http.NoBody)
		require.NoError(t, err)
		sum := sha256.Sum256(nil)
		uri, _, err := v4.NewSigner().PresignHTTP(ctx, v, r, hex.EncodeToString(sum[:]), "rds-db", region, at)
		require.NoError(t, err)
		return strings.TrimPrefix(uri, "https://")
	}
	now := time.Now()
	good := token(creds, host+":5432", "app", "900", now)
	require.NoError(t, a.engine.verify(ctx, host, 5432, "app", good))
	require.NoError(t, a.engine.verify(ctx, strings.ToUpper(host), 5432, "app", good))
	for name, c := range map[string]struct{ host, user, token, says string }{
		"an expired token": {
			host, "app",
			token(creds, host+":5432", "app", "900", now.Add(-16*time.Minute)), "expired",
		},
		"another user": {host, "admin", good, "another user"},
		"a user the role may not": {
			host, "myshop_admin", token(creds, host+":5432", "myshop_admin", "900", now),
			"no identity-based policy",
		},
		"another instance": {offHost, "app", good, "not enabled"},
		"a token for another endpoint": {
			host, "app", token(creds, offHost+":5432", "app", "900", now),
			"another endpoint",
		},
		"a token that lives too long": {host, "app", token(creds, host+":5432", "app", "3600", now), "longer"},
		"a tampered token": {
			host, "app",
			good[:len(good)-1] + map[bool]string{true: "0", false: "1"}[good[len(good)-1] != '0'],
			"SignatureDoesNotMatch",
		},
		"a password":                    {host, "app", "a%zz", "not an authentication token"},
		"something else":                {host, "app", "hello", "another endpoint"},
		"an endpoint that is not there": {"nowhere", "app", good, "no DB instance"},
	} {
		err := a.engine.verify(ctx, c.host, 5432, c.user, c.token)
		require.Error(t, err, name)
		assert.Contains(t, err.Error(), c.says, name)
		assert.NotContains(t, err.Error(), c.token, name)
	}
	require.NoError(t, a.engine.verify(ctx, host, 5432, "anyone", token(a.admin(), host+":5432", "anyone", "900", now)),
		"the administrator may be anyone")
}

func TestTheLatencyModelShowsStatusesWhileTheyLast(t *testing.T) {
	a := newAccount(t)
	db, _ := a.instance("myshop", nil)
	a.cfg.Latency = Latency{Reboot: time.Hour}
	out, err := a.rds(a.admin()).RebootDBInstance(context.Background(),
		&awsrds.RebootDBInstanceInput{DBInstanceIdentifier: sdk.String("myshop")})
	require.NoError(t, err)
	assert.Equal(t, "rebooting", *out.DBInstance.DBInstanceStatus)
	assert.Equal(t, "rebooting", a.controlCall(http.MethodGet, typeInstance, "", db.ID, nil, nil).Outputs["status"])
}
