package aws

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awsrds "github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/aws-sdk-go-v2/service/rds/types"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// fault causes a fault, of the only instance if of is empty.
func (a *account) fault(kind, of string) error {
	a.engine.calls = nil
	return a.Fail(a.t.Context(), kind, of)
}

func (a *account) endFaults() error {
	a.engine.calls = nil
	return a.EndFaults(a.t.Context())
}

func TestTheOutageOfAZoneReachesTheServersInIt(t *testing.T) {
	a := newAccount(t)
	a.instance("multi", m{"multiAz": true, "availabilityZone": nil})
	none := fmt.Sprintf("isolate multi %t %t", false, false)
	for _, c := range []struct{ zone, call string }{
		{"a", "isolate multi true false"}, {"b", "isolate multi false true"}, {"c", none},
	} {
		require.NoError(t, a.fault(FaultZone, c.zone))
		assert.Equal(t, []string{c.call}, a.engine.calls)
		assert.Equal(t, []Fault{{FaultZone, c.zone}}, a.Faults())
	}
	a.engine.fail = func(string) error { return errors.New("no nftables") }
	require.ErrorContains(t, a.endFaults(), "no nftables")
	assert.Equal(t, []Fault{{FaultZone, "c"}}, a.Faults(), "so that it can be tried again")
	a.engine.fail = nil
	require.NoError(t, a.endFaults())
	assert.Equal(t, []string{none}, a.engine.calls)
	assert.Empty(t, a.Faults())
	require.ErrorContains(t, a.fault(FaultZone, "d"), `zone: "d": want one of a, b, c`)
}

// status is what RDS says of the instance prod.
func (a *account) status() string { return *a.described("prod").DBInstanceStatus }

func (a *account) running() bool { return a.engine.databases["prod"].running }

func TestAFullDiskStopsTheInstanceUntilItGrows(t *testing.T) {
	a := newAccount(t)
	db, _ := a.instance("prod", m{"skipFinalSnapshot": false, "finalSnapshotIdentifier": "final"})
	require.NoError(t, a.fault(FaultStorage, ""), "the only instance")
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
	require.NoError(t, a.fault(FaultParameters, "prod"))
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
	require.NoError(t, a.fault(FaultRotation, "prod"))
	assert.Equal(t, "impaired", *rotate().SecretStatus)
	assert.Equal(t, before, a.engine.databases["prod"].password)
	require.NoError(t, a.fault(FaultStorage, "prod"))
	require.ErrorContains(t, a.fault(FaultParameters, "prod"), "it is storage-full")
	assert.Equal(t, []Fault{{FaultRotation, "prod"}, {FaultStorage, "prod"}}, a.Faults())
	require.NoError(t, a.endFaults())
	assert.Equal(t, "available", a.status())
	assert.True(t, a.running())
	assert.Equal(t, "active", *rotate().SecretStatus)
	assert.NotEqual(t, before, a.engine.databases["prod"].password)

	require.ErrorContains(t, a.fault(FaultStorage, "none"), "DBInstance none not found")
	require.ErrorContains(t, a.fault("flood", "prod"), "there is no such fault")
	a.instance("other", nil)
	require.ErrorContains(t, a.fault(FaultRotation, ""), "there are 2 DB instances")
	assert.Empty(t, a.Faults())
}

func TestAServiceThatDoesNotAnswerSaysSoInItsProtocol(t *testing.T) {
	a := newAccount(t)
	db, _ := a.instance("prod", nil)
	operator := a.role("operator", "shop:operator", allow([]string{"secretsmanager:GetSecretValue"}, "*"))
	reads := map[string]string{
		"secretsmanager": "ListSecrets", "kms": "ListKeys", "rds": "DescribeDBInstances", "iam": "ListRoles",
		"sts": "GetCallerIdentity",
	}
	assert.Equal(t, Services(), sortedKeys(reads), "a call of each service")
	for name, action := range reads {
		require.NoError(t, a.fault(FaultService, name))
		assert.Equal(t, []Fault{{FaultService, name}}, a.Faults())
		for other, action := range reads {
			want := http.StatusOK
			if other == name {
				want = http.StatusServiceUnavailable
			}
			status, body := a.request(a.admin(), other, action, nil)
			assert.Equal(t, want, status, "%s while %s does not answer: %s", other, name, body)
		}
		_, body := a.request(a.admin(), name, action, nil)
		if _, ok := jsonServices[name]; ok {
			assert.Contains(t, body, `"__type":"ServiceUnavailable"`)
		} else {
			assert.Contains(t, body, "<Type>Receiver</Type><Code>ServiceUnavailable</Code>")
		}
		require.NoError(t, a.endFaults())
		status, body := a.request(a.admin(), name, action, nil)
		assert.Equal(t, http.StatusOK, status, body)
	}

	// The SDK knows the error, and tries such calls again. The exchange of a token is not signed, and fails as well.
	require.NoError(t, a.fault(FaultService, "secretsmanager"))
	require.NoError(t, a.fault(FaultService, "sts"))
	_, read := a.secrets(a.admin()).GetSecretValue(t.Context(),
		&secretsmanager.GetSecretValueInput{SecretId: sdk.String(secretOf(db))})
	_, assumed := a.assume(operator, a.token("shop:operator", "sts.amazonaws.com", nil))
	for _, err := range []error{read, assumed} {
		refused(t, err, "ServiceUnavailable")
		assert.Equal(t, sdk.TrueTernary, retry.IsErrorRetryables(retry.DefaultRetryables).IsErrorRetryable(err))
	}

	// The provider's requests are those that a plugin would send to the service.
	require.NoError(t, a.fault(FaultService, "rds"))
	assert.Equal(t, http.StatusServiceUnavailable,
		a.controlCall(http.MethodGet, typeInstance, "", db.ID, nil, nil).status)
	assert.Equal(t, http.StatusOK, a.controlCall(http.MethodGet, typeRole, "", "operator", nil, nil).status)
	assert.True(t, a.running(), "the databases go on")
	require.ErrorContains(t, a.fault(FaultService, "ec2"),
		`service: "ec2": want one of iam, kms, rds, secretsmanager, sts`)
}

// The driver is another module, and its help and the documents name the services.
func TestTheServicesThatCanFailAreDocumented(t *testing.T) {
	root := filepath.Join("..", "..", "..")
	for _, file := range []string{"docs/local-aws.md", "internal/driver/local_fault.go"} {
		text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(file)))
		require.NoError(t, err)
		assert.Contains(t, string(text), strings.Join(Services(), ", "), file)
	}
}

// With the stop, everything is in the archive. Nothing is missing in a restore, and no flush fails.
func TestTheBackupsOfABrokenInstanceHaveEverything(t *testing.T) {
	a, db := backedUp(t, m{"deleteAutomatedBackups": false})
	a.now = a.now.Add(10 * time.Minute)
	broke := a.now
	require.NoError(t, a.fault(FaultStorage, "prod"))
	latest := func() time.Time {
		t.Helper()
		return *a.backups()[0].RestoreWindow.LatestTime
	}
	assert.Equal(t, broke.Truncate(time.Second), latest())
	a.pass(10 * time.Minute)
	assert.Equal(t, broke.Truncate(time.Second), latest())
	a.create(typeInstance, "again", restoring(db, m{"identifier": "again"},
		m{"sourceDbInstanceIdentifier": "prod", "useLatestRestorableTime": true}))

	require.Equal(t, http.StatusNoContent, a.controlCall(http.MethodDelete, typeInstance, "", db.ID, nil,
		m{"skipFinalSnapshot": true}).status)
	b := a.backups()
	require.Len(t, b, 2)
	assert.NotContains(t, a.log.String(), "level=ERROR")
}
