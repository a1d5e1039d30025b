package aws

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	awsrds "github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// reopen kills the stand-in and starts it again.
func (a *account) reopen() {
	a.t.Helper()
	a.open()
	require.NoError(a.t, a.Start(context.Background()))
}

func TestWhatAKillInterruptedIsFinishedAtTheNextStart(t *testing.T) {
	killed := errors.New("killed")
	for name, c := range map[string]struct {
		at string
		do func(a *account, db answer)
	}{
		"a rotation before the database": {"password", func(a *account, db answer) {
			_, _ = a.secrets(a.admin()).RotateSecret(context.Background(),
				&secretsmanager.RotateSecretInput{SecretId: sdk.String(secretOf(db))})
		}},
		"a reboot": {"reboot", func(a *account, _ answer) {
			_, _ = a.rds(a.admin()).RebootDBInstance(context.Background(),
				&awsrds.RebootDBInstanceInput{DBInstanceIdentifier: sdk.String("myshop")})
		}},
		"a change of class": {"apply", func(a *account, db answer) {
			a.controlCall(http.MethodPut, typeInstance, "", db.ID, with(db.Inputs, m{"instanceClass": "db.m6g.large"}),
				nil)
		}},
		"a snapshot": {"snapshot", func(a *account, _ answer) {
			_, _ = a.rds(a.admin()).CreateDBSnapshot(context.Background(), &awsrds.CreateDBSnapshotInput{
				DBInstanceIdentifier: sdk.String("myshop"), DBSnapshotIdentifier: sdk.String("nightly"),
			})
		}},
		"a deletion": {"delete", func(a *account, db answer) {
			a.controlCall(http.MethodDelete, typeInstance, "", db.ID, nil, nil)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			a := newAccount(t)
			db, _ := a.instance("myshop", nil)
			path := filepath.Join(a.dir, "account.json")
			var atTheKill []byte
			a.engine.fail = func(call string) error {
				if call != c.at {
					return nil
				}
				var err error
				atTheKill, err = os.ReadFile(path)
				require.NoError(t, err)
				return killed
			}
			c.do(a, db)
			require.NotNil(t, atTheKill, "the operation came to %s", c.at)
			// Changes that are written after this moment are lost.
			require.NoError(t, a.Close())
			require.NoError(t, os.WriteFile(path, atTheKill, 0o600))
			a.engine.fail = nil
			a.reopen()
			st := a.store.Read()
			if c.at == "delete" {
				assert.Empty(t, st.Instances)
				assert.Empty(t, st.Secrets)
				assert.Empty(t, a.engine.databases)
				return
			}
			i := st.Instances[regional(region, "myshop")]
			assert.Equal(t, "available", i.Status)
			assert.Equal(t, "active", i.SecretStatus)
			assert.True(t, same(a.password(secretOf(db), "AWSCURRENT"), a.engine.databases["myshop"].password),
				"secret and database agree")
			assert.Equal(t, i.Applied.MaxConnections, a.engine.databases["myshop"].maxConnections)
			assert.Nil(t, st.Secrets[i.SecretARN].stage(stagePending))
			if c.at == "snapshot" {
				assert.Equal(t, "available", st.Snapshots[regional(region, "nightly")].Status)
				assert.Contains(t, a.engine.snapshots, region+".nightly")
			}
		})
	}
}

func TestACreationThatWasKilledIsFinishedAndThenAdopted(t *testing.T) {
	a := newAccount(t)
	base := a.fixture()
	path := filepath.Join(a.dir, "account.json")
	var atTheKill []byte
	a.engine.fail = func(call string) error {
		if call == "create" {
			atTheKill, _ = os.ReadFile(path)
			return errors.New("killed")
		}
		return nil
	}
	a.controlCall(http.MethodPost, typeInstance, "db", "", base, nil)
	require.NoError(t, a.Close())
	require.NoError(t, os.WriteFile(path, atTheKill, 0o600))
	a.engine.fail = nil
	a.reopen()
	one := a.create(typeInstance, "db", base)
	two := a.create(typeInstance, "db", base)
	assert.Equal(t, one.ID, two.ID)
	assert.Len(t, a.engine.databases, 2)
	assert.True(t, same(a.password(secretOf(one), "AWSCURRENT"), a.engine.databases["new"].password))
}

func TestACreationGoesOnWhenItsCallerIsKilled(t *testing.T) {
	a := newAccount(t)
	base := a.fixture()
	a.engine.block = make(chan struct{})
	ctx, cancel := context.WithCancel(context.Background())
	first := make(chan error, 1)
	go func() {
		_, err := createInstance(ctx, a.Cloud, resourceRequest{
			Type: typeInstance, Name: "db", Region: region, Inputs: base,
		})
		first <- err
	}()
	require.Eventually(t, func() bool { return a.store.Read().Instances[regional(region, "new")] != nil },
		5*time.Second, time.Millisecond)
	out, err := a.rds(a.admin()).DescribeDBInstances(context.Background(),
		&awsrds.DescribeDBInstancesInput{DBInstanceIdentifier: sdk.String("new")})
	require.NoError(t, err)
	assert.Equal(t, "creating", *out.DBInstances[0].DBInstanceStatus)
	assert.Nil(t, out.DBInstances[0].Endpoint)
	cancel()
	require.Error(t, <-first)
	second := make(chan answer, 1)
	go func() { second <- a.controlCall(http.MethodPost, typeInstance, "db", "", canonical(base), nil) }()
	close(a.engine.block)
	adopted := <-second
	require.Equal(t, http.StatusOK, adopted.status, adopted.Message)
	assert.Equal(t, "available", adopted.Outputs["status"])
	assert.Len(t, a.engine.databases, 2, "one database was created")
}

// canonical returns inputs as they are after a round trip through JSON.
func canonical(in m) m {
	var out m
	if err := json.Unmarshal([]byte(text(in)), &out); err != nil {
		panic(err)
	}
	return out
}

func TestInstancesStartAgainWithTheCloud(t *testing.T) {
	a := newAccount(t)
	a.instance("myshop", nil)
	a.engine.databases["myshop"].running = false
	delete(a.engine.access, "myshop")
	require.NoError(t, a.Close())
	a.reopen()
	assert.True(t, a.engine.databases["myshop"].running)
	assert.NotNil(t, a.engine.access["myshop"], "security groups hold again")
}

// The database does not run at the start. Its last transactions are still in its log, and belong to the backups.
func TestADeletionThatWasKilledArchivesTheLastTransactions(t *testing.T) {
	a, db := backedUp(t, m{"deleteAutomatedBackups": false})
	a.now = a.now.Add(10 * time.Minute)
	a.engine.fail = func(call string) error {
		if call == "flush" || call == "delete" {
			return errors.New("killed")
		}
		return nil
	}
	a.controlCall(http.MethodDelete, typeInstance, "", db.ID, nil, nil)
	require.NoError(t, a.Close())
	a.engine.databases["prod"].running, a.engine.fail = false, nil
	a.log.Reset()
	a.reopen()
	assert.Empty(t, a.engine.databases)
	assert.Equal(t, a.now.Truncate(time.Second), *a.backups()[0].RestoreWindow.LatestTime)
	assert.NotContains(t, a.log.String(), "level=ERROR")
}
