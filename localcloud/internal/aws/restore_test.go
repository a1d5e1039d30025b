package aws

import (
	"context"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	awsrds "github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The API restores as the provider's resource does, and deletes what it has restored.
func TestTheAPIRestoresBesideAnInstanceAndDeletes(t *testing.T) {
	a, db := backedUp(t, nil)
	a.pass(10 * time.Minute)
	a.now = time.Time{} // the signatures of clients have the real time
	ctx := context.Background()
	groups, _ := db.Inputs["vpcSecurityGroupIds"].([]any)
	a.snapshot("nightly", "prod")
	client := a.rds(a.admin())
	source := a.store.Read().Instances[regional(region, "prod")]
	status := func(identifier, want string) func() bool {
		return func() bool {
			i := a.store.Read().Instances[regional(region, identifier)]
			return i == nil && want == "" || i != nil && i.Status == want
		}
	}
	await := func(identifier, want string) {
		t.Helper()
		require.Eventually(t, status(identifier, want), 10*time.Second, 5*time.Millisecond)
	}

	fromSnapshot := &awsrds.RestoreDBInstanceFromDBSnapshotInput{
		DBSnapshotIdentifier: sdk.String("nightly"), DBInstanceIdentifier: sdk.String("Beside"),
		DBInstanceClass: sdk.String("db.t4g.large"), DBSubnetGroupName: &source.SubnetGroup,
		DBParameterGroupName: &source.ParameterGroup, VpcSecurityGroupIds: source.SecurityGroups,
		DeletionProtection: sdk.Bool(true), MultiAZ: sdk.Bool(false), Port: sdk.Int32(5433),
	}
	made, err := client.RestoreDBInstanceFromDBSnapshot(ctx, fromSnapshot)
	require.NoError(t, err)
	assert.Equal(t, "beside", *made.DBInstance.DBInstanceIdentifier)
	await("beside", statusAvailable)
	beside := a.store.Read().Instances[regional(region, "beside")]
	assert.Equal(t, []any{"db.t4g.large", 5433, source.SubnetGroup, source.ParameterGroup, source.MasterUsername},
		[]any{beside.Class, beside.Port, beside.SubnetGroup, beside.ParameterGroup, beside.MasterUsername})
	assert.Len(t, beside.SecurityGroups, len(groups))
	assert.Equal(t, region+".nightly", a.engine.databases["beside"].spec.Snapshot)
	_, err = client.RestoreDBInstanceFromDBSnapshot(ctx, fromSnapshot)
	refused(t, err, "DBInstanceAlreadyExists")
	_, err = client.RestoreDBInstanceFromDBSnapshot(ctx, &awsrds.RestoreDBInstanceFromDBSnapshotInput{
		DBSnapshotIdentifier: sdk.String("none"), DBInstanceIdentifier: sdk.String("other"),
	})
	refused(t, err, "DBSnapshotNotFound")

	remove := &awsrds.DeleteDBInstanceInput{DBInstanceIdentifier: sdk.String("beside")}
	_, err = client.DeleteDBInstance(ctx, remove)
	refused(t, err, codeCombination)
	assert.Equal(t, statusAvailable, a.store.Read().Instances[regional(region, "beside")].Status)
	_, err = client.ModifyDBInstance(ctx, &awsrds.ModifyDBInstanceInput{
		DBInstanceIdentifier: sdk.String("beside"), DeletionProtection: sdk.Bool(false), ApplyImmediately: sdk.Bool(true),
	})
	require.NoError(t, err)
	_, err = client.DeleteDBInstance(ctx, remove)
	refused(t, err, codeCombination)
	remove.SkipFinalSnapshot = sdk.Bool(true)
	gone, err := client.DeleteDBInstance(ctx, remove)
	require.NoError(t, err)
	assert.Equal(t, statusDeleting, *gone.DBInstance.DBInstanceStatus)
	await("beside", "")
	assert.NotContains(t, a.store.Read().Backups, beside.ResourceID, "RDS deletes the backups unless it is told not to")
	_, err = client.DeleteDBInstance(ctx, remove)
	refused(t, err, "DBInstanceNotFound")

	toTime := &awsrds.RestoreDBInstanceToPointInTimeInput{
		SourceDBInstanceIdentifier: sdk.String("prod"), TargetDBInstanceIdentifier: sdk.String("earlier"),
		UseLatestRestorableTime: sdk.Bool(true), DBSubnetGroupName: &source.SubnetGroup,
		VpcSecurityGroupIds: source.SecurityGroups, DBInstanceClass: &source.Class,
	}
	_, err = client.RestoreDBInstanceToPointInTime(ctx, toTime)
	require.NoError(t, err)
	await("earlier", statusAvailable)
	earlier := a.store.Read().Instances[regional(region, "earlier")]
	assert.Equal(t, source.Class, earlier.Class)
	_, err = client.DeleteDBInstance(ctx, &awsrds.DeleteDBInstanceInput{
		DBInstanceIdentifier: sdk.String("earlier"), FinalDBSnapshotIdentifier: sdk.String("last"),
		DeleteAutomatedBackups: sdk.Bool(false),
	})
	require.NoError(t, err)
	await("earlier", "")
	assert.NotNil(t, a.store.Read().Snapshots[regional(region, "last")])
	assert.Contains(t, a.store.Read().Backups, earlier.ResourceID)

	toTime.UseLatestRestorableTime = nil
	_, err = client.RestoreDBInstanceToPointInTime(ctx, toTime)
	refused(t, err, codeCombination)
	toTime.RestoreTime = sdk.Time(time.Now().Add(24 * time.Hour))
	_, err = client.RestoreDBInstanceToPointInTime(ctx, toTime)
	refused(t, err, codeInvalidValue)
	toTime.SourceDBInstanceIdentifier = sdk.String("none")
	_, err = client.RestoreDBInstanceToPointInTime(ctx, toTime)
	refused(t, err, "DBInstanceNotFound")
	assert.Len(t, a.store.Read().Instances, 1)
}
