package aws

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	awsrds "github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/aws-sdk-go-v2/service/rds/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// fault causes a fault, or ends all.
func (a *account) fault(method, query string) *httptest.ResponseRecorder {
	a.engine.calls = nil
	w := httptest.NewRecorder()
	a.control.ServeHTTP(w, httptest.NewRequest(method, "/aws/faults"+query, http.NoBody))
	return w
}

func TestTheOutageOfAZoneReachesTheServersInIt(t *testing.T) {
	a := newAccount(t)
	a.instance("multi", m{"multiAz": true, "availabilityZone": nil})
	none := fmt.Sprintf("isolate multi %t %t", false, false)
	for zone, call := range map[string]string{
		"a": "isolate multi true false", "b": "isolate multi false true", "c": none,
	} {
		assert.Equal(t, http.StatusNoContent, a.fault(http.MethodPost, "?kind=zone&of="+zone).Code)
		assert.Equal(t, []string{call}, a.engine.calls)
	}
	assert.Equal(t, http.StatusNoContent, a.fault(http.MethodDelete, "").Code)
	assert.Equal(t, []string{none}, a.engine.calls)
	refused := a.fault(http.MethodPost, "?kind=zone&of=d")
	assert.Equal(t, http.StatusBadRequest, refused.Code)
	assert.Contains(t, refused.Body.String(), `zone: \"d\": want one of a, b, c`)
}

// status is what RDS says of the instance prod.
func (a *account) status() string { return *a.described("prod").DBInstanceStatus }

func (a *account) running() bool { return a.engine.databases["prod"].running }

func TestAFullDiskStopsTheInstanceUntilItGrows(t *testing.T) {
	a := newAccount(t)
	db, _ := a.instance("prod", m{"skipFinalSnapshot": false, "finalSnapshotIdentifier": "final"})
	require.Equal(t, http.StatusNoContent, a.fault(http.MethodPost, "?kind=storage-full").Code, "the only instance")
	assert.Equal(t, "storage-full", a.status())
	assert.False(t, a.running())
	client, prod := a.rds(a.admin()), sdk.String("prod")
	refused := func(err error) {
		t.Helper()
		require.ErrorContains(t, err, "InvalidDBInstanceState")
		require.ErrorContains(t, err, "storage-full")
	}
	_, err := client.RebootDBInstance(t.Context(), &awsrds.RebootDBInstanceInput{DBInstanceIdentifier: prod})
	refused(err)
	_, err = client.CreateDBSnapshot(t.Context(), &awsrds.CreateDBSnapshotInput{
		DBInstanceIdentifier: prod, DBSnapshotIdentifier: sdk.String("late"),
	})
	refused(err)
	change := func(in awsrds.ModifyDBInstanceInput) error {
		in.DBInstanceIdentifier = prod
		_, err := client.ModifyDBInstance(t.Context(), &in)
		return err
	}
	refused(change(awsrds.ModifyDBInstanceInput{
		DBInstanceClass: sdk.String("db.m6g.xlarge"), ApplyImmediately: sdk.Bool(true),
	}))
	refused(change(awsrds.ModifyDBInstanceInput{AllocatedStorage: sdk.Int32(100)}))
	deletion := a.controlCall(http.MethodDelete, typeInstance, "", db.ID, nil, nil)
	assert.Contains(t, deletion.Message, "Cannot create a snapshot")
	assert.False(t, a.running())

	grow := awsrds.ModifyDBInstanceInput{AllocatedStorage: sdk.Int32(100), ApplyImmediately: sdk.Bool(true)}
	a.engine.fail = func(call string) error {
		if call == "start" {
			return errors.New("not yet")
		}
		return nil
	}
	require.ErrorContains(t, change(grow), "not yet")
	assert.Equal(t, "storage-full", a.status(), "so that it can be tried again")
	a.engine.fail = nil
	require.NoError(t, change(grow))
	assert.Equal(t, "available", a.status())
	assert.True(t, a.running())
	assert.Contains(t, a.events(&awsrds.DescribeEventsInput{EventCategories: []string{"low storage"}}),
		"prod: Allocated storage has been exhausted. Allocate additional storage to resolve.")
}

func TestParametersThatDoNotFitStopTheInstanceUntilTheyChange(t *testing.T) {
	a := newAccount(t)
	// The engine does not apply the first one, because this machine has another size. The other one waits for a reboot.
	group := m{"name": "shop", "family": "postgres16", "parameters": []any{
		m{"name": "shared_buffers", "value": "99999999", "applyMethod": "pending-reboot"},
	}}
	a.create(typeParameters, "shop", with(group, m{"parameters": []any{}}))
	a.update(typeParameters, "shop", group)
	a.instance("prod", m{"parameterGroupName": "shop"})
	waits := with(group, m{"parameters": append(group["parameters"].([]any),
		m{"name": "max_locks_per_transaction", "value": "128", "applyMethod": "pending-reboot"})})
	a.update(typeParameters, "shop", waits)
	require.Equal(t, http.StatusNoContent, a.fault(http.MethodPost, "?kind=incompatible-parameters&of=prod").Code)
	reboot := func() {
		t.Helper()
		_, err := a.rds(a.admin()).RebootDBInstance(t.Context(), &awsrds.RebootDBInstanceInput{
			DBInstanceIdentifier: sdk.String("prod"),
		})
		require.NoError(t, err)
	}
	reboot()
	assert.Equal(t, "incompatible-parameters", a.status(), "the parameters are the same")
	assert.False(t, a.running())
	a.update(typeParameters, "shop", with(group, m{"parameters": []any{}}))
	assert.Equal(t, "incompatible-parameters", a.status())
	a.engine.fail = func(call string) error {
		if call == "apply" {
			return errors.New("no such library")
		}
		return nil
	}
	_, err := a.rds(a.admin()).RebootDBInstance(t.Context(), &awsrds.RebootDBInstanceInput{
		DBInstanceIdentifier: sdk.String("prod"),
	})
	require.ErrorContains(t, err, "no such library")
	assert.Equal(t, "incompatible-parameters", a.status(), "the new values do not fit either")
	a.engine.fail = nil
	reboot()
	assert.Equal(t, "available", a.status())
}

func TestFaultsEnd(t *testing.T) {
	a := newAccount(t)
	a.instance("prod", nil)
	rotate := func() types.MasterUserSecret {
		t.Helper()
		_, err := a.rds(a.admin()).ModifyDBInstance(t.Context(), &awsrds.ModifyDBInstanceInput{
			DBInstanceIdentifier: sdk.String("prod"), RotateMasterUserPassword: sdk.Bool(true),
			ApplyImmediately: sdk.Bool(true),
		})
		require.NoError(t, err)
		return *a.described("prod").MasterUserSecret
	}
	before := a.engine.databases["prod"].password
	require.Equal(t, http.StatusNoContent, a.fault(http.MethodPost, "?kind=rotation&of=prod").Code)
	assert.Equal(t, "impaired", *rotate().SecretStatus)
	assert.Equal(t, before, a.engine.databases["prod"].password)
	require.Equal(t, http.StatusNoContent, a.fault(http.MethodPost, "?kind=storage-full&of=prod").Code)
	again := a.fault(http.MethodPost, "?kind=incompatible-parameters&of=prod")
	assert.Contains(t, again.Body.String(), "it is storage-full")
	require.Equal(t, http.StatusNoContent, a.fault(http.MethodDelete, "").Code)
	assert.Equal(t, "available", a.status())
	assert.True(t, a.running())
	assert.Equal(t, "active", *rotate().SecretStatus)
	assert.NotEqual(t, before, a.engine.databases["prod"].password)

	for query, want := range map[string]string{
		"?kind=storage-full&of=none": "DBInstance none not found", "?kind=flood&of=prod": "there is no such fault",
	} {
		assert.Contains(t, a.fault(http.MethodPost, query).Body.String(), want)
	}
	a.instance("other", nil)
	assert.Contains(t, a.fault(http.MethodPost, "?kind=rotation").Body.String(), "there are 2 DB instances")
}
