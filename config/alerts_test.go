package config_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAlertsAreThoseOfTheStack(t *testing.T) {
	t.Parallel()
	stack, err := load(t, least+"  dbtier:pool: {metrics: {enabled: true, intervalSeconds: 20}, clientTlsSecret: tls, "+
		"refreshInterval: 120}\n  dbtier:alerts: {prometheusRule: true, labels: {release: prometheus}}\n")
	require.NoError(t, err)
	authorities, err := stack.Authorities(t.TempDir())
	require.NoError(t, err)
	tier, err := stack.Monitored(authorities)
	require.NoError(t, err)
	assert.Equal(t, "pgbouncer-pods", tier.PoolJob)
	assert.Equal(t, 20*time.Second, tier.Scrape)
	assert.Equal(t, 2*time.Minute, tier.Refresh)
	assert.Equal(t, "tls", tier.CertificateSecret)
	assert.Equal(t, "my-shop-migration-", tier.MigrationJob)
	assert.Equal(t, "pgbouncer-bootstrap-", tier.BootstrapJob)
	assert.Equal(t, 50, tier.AllocatedStorage)
	assert.Positive(t, tier.ConnectionLimit)
	assert.True(t, tier.AuthorityExpires.After(time.Date(2050, 1, 1, 0, 0, 0, 0, time.UTC)), tier.AuthorityExpires)

	stack, err = load(t, strings.Replace(proxied, "{command: [flyway, migrate]}", "{enabled: false}", 1)+
		"  dbtier:role: {image: \"registry.example/psql:16\"}\n")
	require.NoError(t, err)
	tier, err = stack.Monitored(authorities)
	require.NoError(t, err)
	assert.Empty(t, tier.PoolJob)
	assert.Empty(t, tier.MigrationJob)
	assert.Equal(t, "database-bootstrap-", tier.BootstrapJob)
	_, err = stack.Monitored("")
	require.ErrorContains(t, err, "holds no certificate")
}

// The name of a Job is cut before its hash, and the rule must still find it.
func TestARuleFindsTheJobOfALongName(t *testing.T) {
	t.Parallel()
	stack, err := load(t, strings.Replace(least, "name: my-shop", "name: "+strings.Repeat("long-", 10)+"name", 1)+
		"  dbtier:database: {identifier: orders, databaseName: orders, masterUsername: admins}\n")
	require.NoError(t, err)
	authorities, err := stack.Authorities(t.TempDir())
	require.NoError(t, err)
	tier, err := stack.Monitored(authorities)
	require.NoError(t, err)
	assert.Len(t, tier.MigrationJob, 48)
}

func TestAlarmsThatReachNobodyAreSaid(t *testing.T) {
	t.Parallel()
	for text, warned := range map[string]bool{
		least: true,
		least + "  dbtier:database: {alarms: {enabled: false}}\n":                                                false,
		least + "  dbtier:database: {alarms: {topicArns: ['arn:aws:sns:ap-northeast-2:123456789012:oncall']}}\n": false,
	} {
		stack, err := load(t, text)
		require.NoError(t, err)
		assert.Equal(t, warned, strings.Contains(stack.UnheardAlarms(), "topicArns: is empty"), text)
	}
}

func TestFaultsOfAlertsAreNamed(t *testing.T) {
	t.Parallel()
	_, err := load(t, least+"  dbtier:alerts: {sources: [cadvisor]}\n")
	require.ErrorContains(t, err, `dbtier:alerts.sources[0]: "cadvisor": want one of`)
	_, err = load(t, clusterOnly+"  dbtier:alerts: {}\n")
	require.ErrorContains(t, err, `service.name: "": want`)
	stack, err := load(t, strings.Replace(least, "databaseCidrs:", "caBundle: none.pem\n    databaseCidrs:", 1))
	require.NoError(t, err)
	_, err = stack.Authorities(t.TempDir())
	require.ErrorContains(t, err, `dbtier:network.caBundle: "none.pem": cannot be read: no such file or directory`)
}
