package aws

import (
	"slices"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	awsrds "github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/aws-sdk-go-v2/service/rds/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// events are the messages of an account's events of the last hour.
func (a *account) events(in *awsrds.DescribeEventsInput) (messages []string) {
	a.t.Helper()
	out, err := a.rds(a.admin()).DescribeEvents(a.t.Context(), in)
	require.NoError(a.t, err)
	for _, e := range out.Events {
		assert.Len(a.t, e.EventCategories, 1)
		assert.WithinDuration(a.t, time.Now(), *e.Date, time.Minute)
		messages = append(messages, *e.SourceIdentifier+": "+*e.Message)
	}
	return messages
}

func TestWhatHappensToAnInstanceIsAnEvent(t *testing.T) {
	a := newAccount(t)
	a.instance("prod", m{
		"backupRetentionPeriod": 7, "multiAz": true, "deletionProtection": false, "skipFinalSnapshot": true,
	})
	client := a.rds(a.admin())
	prod := sdk.String("prod")
	_, err := client.RebootDBInstance(t.Context(), &awsrds.RebootDBInstanceInput{
		DBInstanceIdentifier: prod, ForceFailover: sdk.Bool(true),
	})
	require.NoError(t, err)
	_, err = client.ModifyDBInstance(t.Context(), &awsrds.ModifyDBInstanceInput{
		DBInstanceIdentifier: prod, MultiAZ: sdk.Bool(false), ApplyImmediately: sdk.Bool(true),
		RotateMasterUserPassword: sdk.Bool(true),
	})
	require.NoError(t, err)
	_, err = client.CreateDBSnapshot(t.Context(), &awsrds.CreateDBSnapshotInput{
		DBInstanceIdentifier: prod, DBSnapshotIdentifier: sdk.String("kept"),
	})
	require.NoError(t, err)
	_, err = client.DeleteDBSnapshot(t.Context(), &awsrds.DeleteDBSnapshotInput{DBSnapshotIdentifier: sdk.String("kept")})
	require.NoError(t, err)

	all := a.events(&awsrds.DescribeEventsInput{})
	of := func(kind string) []string {
		return a.events(&awsrds.DescribeEventsInput{SourceType: types.SourceType(kind)})
	}
	assert.ElementsMatch(t, all, slices.Concat(of("db-instance"), of("db-snapshot")))
	assert.Equal(t, []string{
		"prod: Backing up DB instance", "prod: Finished DB Instance backup", "prod: DB instance created",
		"prod: Multi-AZ instance failover started", "prod: Multi-AZ instance failover completed",
		"prod: DB instance shutdown", "prod: DB instance restarted",
		"prod: Finished applying modification to convert to a standard (Single-AZ) DB instance",
		"prod: Reset master credentials", "prod: Backing up DB instance", "prod: Finished DB Instance backup",
	}, of("db-instance"))
	assert.Equal(t, []string{
		"kept: Creating manual snapshot", "kept: Manual snapshot created", "kept: Deleted user snapshot",
	}, slices.DeleteFunc(of("db-snapshot"), func(m string) bool { return m[:4] != "kept" }))
	assert.Equal(t, []string{"prod: DB instance created"}, a.events(&awsrds.DescribeEventsInput{
		SourceIdentifier: prod, SourceType: "db-instance", EventCategories: []string{"creation"},
	}))
	early, late := time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour)
	assert.Empty(t, a.events(&awsrds.DescribeEventsInput{StartTime: &early, EndTime: &late}))

	for _, refused := range []awsrds.DescribeEventsInput{
		{SourceIdentifier: prod},
		{EndTime: &late},
		{StartTime: &late, EndTime: &early},
		{StartTime: &late, Duration: sdk.Int32(5)},
		{Duration: sdk.Int32(15 * 24 * 60)},
		{SourceType: "db-cluster"},
		{EventCategories: []string{"maintenance"}},
	} {
		_, err := client.DescribeEvents(t.Context(), &refused)
		assert.Error(t, err, "%+v", refused)
	}
}

func TestEventsAreKeptForTwoWeeksAndAreNeverTooMany(t *testing.T) {
	st, i := &state{}, &dbInstance{Region: region, Identifier: "prod"}
	start := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	for n := range 2 * eventsLimit {
		st.instanceEvent(start.Add(time.Duration(n)*time.Minute), i, eventRestarted)
	}
	require.Len(t, st.Events, eventsLimit)
	assert.Equal(t, 2*eventsLimit-1, st.Events[eventsLimit-1].ID)
	st.instanceEvent(start.AddDate(0, 0, 15), i, eventDeleted)
	assert.Len(t, st.Events, 1)
	assert.Equal(t, 2*eventsLimit, st.Events[0].ID, "an ID is not given again")
}
