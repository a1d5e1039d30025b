package aws

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"testing"
	"time"

	awsrds "github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/aws-sdk-go-v2/service/rds/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// backedUp is an account with an instance, and a clock that the test moves. Days begin before the backup window.
func backedUp(t *testing.T, more m) (a *account, db answer) {
	t.Helper()
	a = newAccount(t)
	a.now = time.Date(2026, 11, 3, 1, 30, 0, 500e6, time.UTC)
	db, _ = a.instance("prod", with(m{
		"backupRetentionPeriod": 7, "backupWindow": "03:00-04:00", "maintenanceWindow": "mon:05:00-mon:06:00",
		"allocatedStorage": 30, "deletionProtection": false, "skipFinalSnapshot": true,
	}, more))
	return a, db
}

// signed makes a call of a client, whose signature has the real time.
func signed[In, Out any](a *account, call func(context.Context, In, ...func(*awsrds.Options)) (Out, error), in In) (Out, error) {
	now := a.now
	defer func() { a.now = now }()
	a.now = time.Time{}
	return call(context.Background(), in)
}

func (a *account) backups() []types.DBInstanceAutomatedBackup {
	a.t.Helper()
	out, err := signed(a, a.rds(a.admin()).DescribeDBInstanceAutomatedBackups, &awsrds.DescribeDBInstanceAutomatedBackupsInput{})
	require.NoError(a.t, err)
	return out.DBInstanceAutomatedBackups
}

// pass lets time pass, with the work that is due every minute.
func (a *account) pass(d time.Duration) {
	a.now = a.now.Add(d)
	a.housekeeping(context.Background())
}

func (a *account) automated() (identifiers []string) {
	for _, s := range a.store.Read().automatedSnapshots(a.store.Read().Instances[regional(region, "prod")].ResourceID) {
		identifiers = append(identifiers, s.Identifier)
	}
	return identifiers
}

func TestAutomatedBackupsAreTakenInTheWindowAndEndWithTheRetention(t *testing.T) {
	a, _ := backedUp(t, nil)
	assert.Equal(t, []string{"rds:prod-2026-11-03-01-30"}, a.automated(), "the first one comes with the instance")
	assert.Empty(t, a.backups()[0].RestoreWindow.LatestTime, "no whole second has passed")
	a.pass(5 * time.Minute)
	b := a.backups()[0]
	assert.Equal(t, "2026-11-03T01:30:01Z", b.RestoreWindow.EarliestTime.Format(time.RFC3339))
	assert.Equal(t, "2026-11-03T01:35:00Z", b.RestoreWindow.LatestTime.Format(time.RFC3339))
	assert.Equal(t, "active", *b.Status)
	i := a.described("prod")
	assert.Equal(t, b.RestoreWindow.LatestTime, i.LatestRestorableTime)

	for range 100 { // through the window, minute by minute
		a.pass(time.Minute)
	}
	assert.Equal(t, []string{"rds:prod-2026-11-03-01-30", "rds:prod-2026-11-03-03-00"}, a.automated())
	for range 20 {
		a.pass(24 * time.Hour)
	}
	all := a.automated()
	assert.Len(t, all, 8, "seven days, and the snapshot before them: %v", all)
	window := a.backups()[0].RestoreWindow
	assert.WithinDuration(t, a.now.AddDate(0, 0, -7), *window.EarliestTime, 24*time.Hour)
	assert.False(t, window.EarliestTime.After(a.now.AddDate(0, 0, -7).Add(time.Second)), "all seven days can be restored")
	assert.Len(t, a.engine.snapshots, 8)
	last := a.engine.calls[slices.IndexFunc(a.engine.calls, func(c string) bool { return len(c) > 5 && c[:5] == "trim " }):]
	assert.NotEmpty(t, last, "the archive is trimmed")

	// Neither the user nor the program deletes an automated snapshot.
	_, err := signed(a, a.rds(a.admin()).DeleteDBSnapshot, &awsrds.DeleteDBSnapshotInput{DBSnapshotIdentifier: &all[0]})
	refused(t, err, "InvalidDBSnapshotState")
}

func (a *account) described(identifier string) types.DBInstance {
	a.t.Helper()
	out, err := signed(a, a.rds(a.admin()).DescribeDBInstances, &awsrds.DescribeDBInstancesInput{DBInstanceIdentifier: &identifier})
	require.NoError(a.t, err)
	return out.DBInstances[0]
}

func TestAnArchiveThatGrowsTooLargeBeginsAgain(t *testing.T) {
	a, _ := backedUp(t, nil)
	a.engine.archives[archive(region, *a.described("prod").DbiResourceId)] = archiveLimit + 1
	a.pass(time.Hour)
	assert.Equal(t, []string{"rds:prod-2026-11-03-02-30"}, a.automated())
	assert.Contains(t, a.log.String(), "has reached its limit")
}

func restoring(db answer, more, point m) m {
	return with(db.Inputs, with(m{
		"identifier": "restored", "username": nil, "dbName": nil, "allocatedStorage": nil, "storageEncrypted": nil,
		"kmsKeyId": nil, "engineVersion": nil, "restoreToPointInTime": point,
	}, more))
}

func TestAPointInTimeIsRestoredWithWhatRDSTakesFromTheSource(t *testing.T) {
	a, db := backedUp(t, nil)
	source := a.store.Read().Instances[regional(region, "prod")]
	a.pass(10 * time.Minute)
	a.pass(24 * time.Hour)
	a.now = a.now.Add(time.Minute)
	out := a.create(typeInstance, "restored", restoring(db, nil, m{
		"sourceDbInstanceIdentifier": "prod", "restoreTime": a.now.Add(-time.Second).Format(time.RFC3339),
	}))
	assert.NotEmpty(t, out.ID)
	restored := a.store.Read().Instances[regional(region, "restored")]
	assert.Equal(t, source.MasterUsername, restored.MasterUsername)
	assert.Equal(t, source.DBName, restored.DBName)
	assert.Equal(t, source.KMSKeyARN, restored.KMSKeyARN)
	assert.Equal(t, 30, restored.AllocatedStorage)
	spec := a.engine.databases["restored"].spec
	assert.Equal(t, region+"."+"rds:prod-2026-11-03-01-30", spec.Snapshot, "the newest one before the time")
	assert.Equal(t, archive(region, source.ResourceID), spec.Replay.Archive)
	assert.Equal(t, a.now.Add(-time.Second).Truncate(time.Second), spec.Replay.Until)
	assert.Equal(t, archive(region, restored.ResourceID), spec.Archive, "a backup of its own")

	latest := restoring(db, m{"identifier": "latest"}, m{
		"sourceDbiResourceId": source.ResourceID, "useLatestRestorableTime": true,
	})
	a.create(typeInstance, "latest", latest)
	assert.Zero(t, a.engine.databases["latest"].spec.Replay.Until)

	early := a.now.AddDate(0, 0, -2).Format(time.RFC3339)
	for says, point := range map[string]m{
		"want one source": {"useLatestRestorableTime": true},
		"want one source, either": {
			"sourceDbInstanceIdentifier": "prod", "useLatestRestorableTime": true, "restoreTime": early,
		},
		"a time earlier than 2026-11-03T01:30:01Z": {"sourceDbInstanceIdentifier": "prod", "restoreTime": early},
		"a time later than": {
			"sourceDbInstanceIdentifier": "prod", "restoreTime": a.now.Add(time.Hour).Format(time.RFC3339),
		},
		"want a time such as": {"sourceDbInstanceIdentifier": "prod", "restoreTime": "yesterday"},
		"none not found":      {"sourceDbInstanceIdentifier": "none", "useLatestRestorableTime": true},
		"db-NONE not found":   {"sourceDbiResourceId": "db-NONE", "useLatestRestorableTime": true},
	} {
		answer := a.controlCall(http.MethodPost, typeInstance, "refused", "",
			restoring(db, m{"identifier": "refused"}, point), nil)
		assert.Contains(t, answer.Message, says)
	}
	small := restoring(db, m{"identifier": "small", "allocatedStorage": 20}, m{
		"sourceDbInstanceIdentifier": "prod", "useLatestRestorableTime": true,
	})
	a.deny(typeInstance, small, codeInvalidValue, "prod needs at least 30 GiB")
}

func TestTheBackupOfADeletedInstanceIsRetainedAndEnds(t *testing.T) {
	a, db := backedUp(t, m{"deleteAutomatedBackups": false})
	resource := *a.described("prod").DbiResourceId
	a.pass(10 * time.Minute)
	a.now = a.now.Add(time.Second)
	require.Equal(t, http.StatusNoContent, a.controlCall(http.MethodDelete, typeInstance, "", db.ID, nil,
		m{"skipFinalSnapshot": true}).status)
	b := a.backups()[0]
	assert.Equal(t, "retained", *b.Status)
	assert.Equal(t, a.now.Truncate(time.Second), *b.RestoreWindow.LatestTime, "the log was archived at the deletion")
	a.reopen()
	assert.Len(t, a.engine.snapshots, 1)
	assert.Contains(t, a.engine.archives, archive(region, resource))

	point := m{"sourceDbInstanceAutomatedBackupsArn": *b.DBInstanceAutomatedBackupsArn, "useLatestRestorableTime": true}
	a.create(typeInstance, "again", restoring(db, m{"identifier": "prod"}, point))
	assert.Equal(t, archive(region, resource), a.engine.databases["prod"].spec.Replay.Archive)
	assert.Len(t, a.backups(), 2, "the new instance has its own")
	_, err := signed(a, a.rds(a.admin()).DeleteDBInstanceAutomatedBackup, &awsrds.DeleteDBInstanceAutomatedBackupInput{DbiResourceId: a.described("prod").DbiResourceId})
	refused(t, err, "InvalidDBInstanceAutomatedBackupState")

	a.pass(6 * 24 * time.Hour)
	assert.Contains(t, a.store.Read().Backups, resource)
	a.pass(25 * time.Hour)
	assert.NotContains(t, a.store.Read().Backups, resource, "the retention has ended")
	assert.NotContains(t, a.engine.archives, archive(region, resource))
}

func TestBackupsThatAreNotWantedAreDeleted(t *testing.T) {
	a, db := backedUp(t, m{"deleteAutomatedBackups": false})
	resource := *a.described("prod").DbiResourceId
	off := with(db.Inputs, m{"backupRetentionPeriod": 0, "applyImmediately": true})
	a.update(typeInstance, db.ID, off)
	assert.Empty(t, a.backups())
	assert.Empty(t, a.engine.snapshots)
	assert.Empty(t, a.engine.archives)
	assert.Empty(t, a.engine.databases["prod"].spec.Archive)
	a.deny(typeInstance, restoring(db, nil, m{"sourceDbInstanceIdentifier": "prod", "useLatestRestorableTime": true}),
		"PointInTimeRestoreNotEnabled", "retention period is 0")
	a.update(typeInstance, db.ID, with(off, m{"backupRetentionPeriod": 1}))
	assert.Len(t, a.backups(), 1)
	assert.NotEmpty(t, a.automated())

	require.Equal(t, http.StatusNoContent, a.controlCall(http.MethodDelete, typeInstance, "", db.ID, nil,
		m{"skipFinalSnapshot": true}).status)
	_, err := signed(a, a.rds(a.admin()).DeleteDBInstanceAutomatedBackup, &awsrds.DeleteDBInstanceAutomatedBackupInput{DbiResourceId: &resource})
	require.NoError(t, err)
	assert.Empty(t, a.backups())
	assert.Empty(t, a.engine.snapshots)
	assert.Empty(t, a.engine.archives)
	_, err = signed(a, a.rds(a.admin()).DeleteDBInstanceAutomatedBackup, &awsrds.DeleteDBInstanceAutomatedBackupInput{DbiResourceId: &resource})
	refused(t, err, "DBInstanceAutomatedBackupNotFound")
}

func TestABackupWhoseKeyIsPendingDeletionCannotBeRestored(t *testing.T) {
	a := newAccount(t)
	db, key := a.instance("prod", m{"deleteAutomatedBackups": false, "backupRetentionPeriod": 7})
	resource := *a.described("prod").DbiResourceId
	a.now = time.Now().Add(5 * time.Second)
	a.housekeeping(context.Background())
	require.Equal(t, http.StatusNoContent, a.controlCall(http.MethodDelete, typeInstance, "", db.ID, nil,
		m{"skipFinalSnapshot": true}).status)
	require.Equal(t, http.StatusNoContent, a.controlCall(http.MethodDelete, typeKey, "", key.ID, nil, nil).status)
	a.deny(typeInstance, restoring(db, m{"masterUserSecretKmsKeyId": nil},
		m{"sourceDbiResourceId": resource, "useLatestRestorableTime": true}), "KMSKeyNotAccessibleFault", "is not enabled")
}

func TestAnInstanceWhoseFirstBackupFailsIsUsedAndBackedUpLater(t *testing.T) {
	a := newAccount(t)
	a.engine.fail = func(call string) error {
		if call == "snapshot" {
			return errors.New("not enough disk space")
		}
		return nil
	}
	a.instance("prod", m{"backupRetentionPeriod": 7})
	assert.Equal(t, "available", *a.described("prod").DBInstanceStatus)
	assert.Contains(t, a.log.String(), "not enough disk space")
	assert.Empty(t, a.automated())
	a.engine.fail = nil
	a.housekeeping(context.Background())
	assert.Len(t, a.automated(), 1)

	// What a kill has left is deleted at the start.
	a.engine.snapshots["left"], a.engine.archives["left"] = "", 1
	a.reopen()
	assert.NotContains(t, a.engine.snapshots, "left")
	assert.NotContains(t, a.engine.archives, "left")
	assert.Len(t, a.engine.archives, 1)
}
