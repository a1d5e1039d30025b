package aws

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	awsrds "github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/aws-sdk-go-v2/service/rds/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func (a *account) snapshot(identifier, instance string) *types.DBSnapshot {
	a.t.Helper()
	taken, err := a.rds(a.admin()).CreateDBSnapshot(context.Background(), &awsrds.CreateDBSnapshotInput{
		DBSnapshotIdentifier: &identifier, DBInstanceIdentifier: &instance,
		Tags: []types.Tag{{Key: sdk.String("why"), Value: sdk.String("test")}},
	})
	require.NoError(a.t, err)
	require.Eventually(a.t, func() bool {
		s := a.store.Read().Snapshots[regional(region, identifier)]
		return s != nil && s.Status == statusAvailable
	}, 10*time.Second, 5*time.Millisecond)
	return taken.DBSnapshot
}

// manual are the snapshots that are not automated.
func (a *account) manual() (identifiers []string) {
	for _, s := range a.store.Read().Snapshots {
		if s.Type == manual {
			identifiers = append(identifiers, s.Identifier)
		}
	}
	return identifiers
}

func TestASnapshotIsRestoredWithWhatRDSTakesFromIt(t *testing.T) {
	a := newAccount(t)
	ctx := context.Background()
	db, _ := a.instance("prod", m{"allocatedStorage": 30})
	a.snapshot("nightly", "prod")
	assert.Equal(t, statusAvailable, a.store.Read().Instances[regional(region, "prod")].Status)
	source := a.store.Read().Instances[regional(region, "prod")]

	client := a.rds(a.admin())
	_, err := client.CreateDBSnapshot(ctx, &awsrds.CreateDBSnapshotInput{
		DBSnapshotIdentifier: sdk.String("nightly"), DBInstanceIdentifier: sdk.String("prod"),
	})
	refused(t, err, "DBSnapshotAlreadyExists")
	copied, err := client.CopyDBSnapshot(ctx, &awsrds.CopyDBSnapshotInput{
		SourceDBSnapshotIdentifier: sdk.String("nightly"), TargetDBSnapshotIdentifier: sdk.String("kept"),
		CopyTags: sdk.Bool(true),
	})
	require.NoError(t, err)
	assert.Equal(t, "why", *copied.DBSnapshot.TagList[0].Key)
	_, err = client.DeleteDBSnapshot(ctx, &awsrds.DeleteDBSnapshotInput{DBSnapshotIdentifier: sdk.String("nightly")})
	require.NoError(t, err)
	assert.NotContains(t, a.engine.snapshots, region+".nightly")

	inputs := with(db.Inputs, m{
		"identifier": "restored", "snapshotIdentifier": "kept", "username": nil, "dbName": nil,
		"allocatedStorage": nil, "storageEncrypted": nil, "kmsKeyId": nil, "engineVersion": nil,
	})
	out := a.create(typeInstance, "restored", inputs)
	restored := a.store.Read().Instances[regional(region, "restored")]
	assert.Equal(t, source.MasterUsername, restored.MasterUsername)
	assert.Equal(t, source.DBName, restored.DBName)
	assert.Equal(t, source.KMSKeyARN, restored.KMSKeyARN)
	assert.Equal(t, 30, restored.AllocatedStorage)
	assert.Equal(t, source.EngineVersionActual, restored.EngineVersionActual)
	assert.NotEqual(t, source.SecretARN, restored.SecretARN, "a managed password of its own")
	assert.Equal(t, region+".kept", a.engine.databases["restored"].spec.Snapshot)
	assert.NotEmpty(t, out.ID)

	small := with(inputs, m{"identifier": "small", "allocatedStorage": 20})
	a.deny(typeInstance, small, codeInvalidValue, "needs at least 30 GiB")
	a.deny(typeInstance, with(inputs, m{"identifier": "none", "snapshotIdentifier": "none"}), "DBSnapshotNotFound",
		"none")
}

func TestASnapshotWhoseKeyIsPendingDeletionCannotBeRead(t *testing.T) {
	a := newAccount(t)
	db, key := a.instance("prod", nil)
	a.snapshot("nightly", "prod")
	require.Equal(t, http.StatusNoContent, a.controlCall(http.MethodDelete, typeInstance, "", db.ID, nil,
		m{"skipFinalSnapshot": true}).status)
	require.Equal(t, http.StatusNoContent, a.controlCall(http.MethodDelete, typeKey, "", key.ID, nil, nil).status)
	a.deny(typeInstance, with(db.Inputs, m{
		"identifier": "restored", "snapshotIdentifier": "nightly", "masterUserSecretKmsKeyId": nil,
	}),
		"KMSKeyNotAccessibleFault", "does not exist, is not enabled")
}

func TestASnapshotThatCannotBeTakenLeavesNothing(t *testing.T) {
	a := newAccount(t)
	db, _ := a.instance("prod", m{"skipFinalSnapshot": false})
	a.engine.fail = func(call string) error {
		if call == "snapshot" {
			return errors.New("not enough disk space")
		}
		return nil
	}
	_, err := a.rds(a.admin()).CreateDBSnapshot(context.Background(), &awsrds.CreateDBSnapshotInput{
		DBSnapshotIdentifier: sdk.String("nightly"), DBInstanceIdentifier: sdk.String("prod"),
	})
	require.ErrorContains(t, err, "not enough disk space")
	out := a.controlCall(http.MethodDelete, typeInstance, "", db.ID, nil, m{"finalSnapshotIdentifier": "last"})
	assert.Contains(t, out.Message, "not enough disk space")
	st := a.store.Read()
	assert.Empty(t, a.manual())
	assert.Equal(t, statusAvailable, st.Instances[regional(region, "prod")].Status)
	assert.Contains(t, a.engine.databases, "prod", "it is not deleted without its final snapshot")
}

func TestASnapshotOfTheProgramIsAResource(t *testing.T) {
	a := newAccount(t)
	a.instance("prod", nil)
	const snapshotType = "aws:rds/snapshot:Snapshot"
	inputs := m{"dbInstanceIdentifier": "prod", "dbSnapshotIdentifier": "release-1", "tags": m{"release": "1"}}
	out := a.create(snapshotType, "release", inputs)
	assert.Equal(t, "release-1", out.ID)
	assert.Equal(t, "available", out.Outputs["status"])
	assert.Equal(t, "prod", out.Outputs["dbInstanceIdentifier"])
	assert.Contains(t, a.engine.snapshots, region+".release-1")
	assert.Equal(t, out.ID, a.create(snapshotType, "release", inputs).ID, "a repeated creation finds it")
	a.deny(snapshotType, with(inputs, m{"dbSnapshotIdentifier": "other", "dbInstanceIdentifier": "none"}),
		"DBInstanceNotFound", "none")
	a.deny(snapshotType, with(inputs, m{"sharedAccounts": []any{"123456789012"}}), "NotImplemented", "other accounts")
	changed := a.update(snapshotType, out.ID, with(inputs, m{"tags": m{"release": "2"}}))
	assert.Equal(t, m{"release": "2"}, changed.Outputs["tags"])
	require.Equal(t, http.StatusNoContent, a.controlCall(http.MethodDelete, snapshotType, "", out.ID, nil, nil).status)
	require.Equal(t, http.StatusNoContent, a.controlCall(http.MethodDelete, snapshotType, "", out.ID, nil, nil).status)
	assert.Empty(t, a.manual())
	assert.NotContains(t, a.engine.snapshots, region+".release-1")
}

func TestASnapshotThatCannotBeFinishedDoesNotKeepTheCloudFromStarting(t *testing.T) {
	a := newAccount(t)
	a.instance("prod", nil)
	key := regional(region, "prod")
	require.NoError(t, a.store.Update(func(st *state) error { // as a kill leaves it
		i := st.Instances[key]
		i.Status = statusBackingUp
		return st.addSnapshot(i.newSnapshot("nightly", a.Cloud.now()))
	}))
	require.NoError(t, a.Close())
	a.engine.fail = func(call string) error {
		if call == "snapshot" {
			return errors.New("not enough disk space")
		}
		return nil
	}
	a.reopen()
	st := a.store.Read()
	assert.Empty(t, a.manual())
	assert.Equal(t, statusAvailable, st.Instances[key].Status)
	assert.Contains(t, a.log.String(), "not enough disk space")
}
