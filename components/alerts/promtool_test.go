//go:build promtool

package alerts_test

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"
)

// series is the input of a rule test. Its values are those of Prometheus' unit tests, one a minute.
type series struct {
	Series string `yaml:"series"`
	Values string `yaml:"values"`
}

// trial is what a rule's test does: the condition begins in minute 30 and ends in minute 120.
type trial struct {
	series []series
	// begins and ends are the minutes in which the condition holds first, and no more. Default 30 and 120.
	begins, ends int
	// labels are those that the alert has besides severity, service and environment.
	labels map[string]string
	// remains is what the value of the summary is in a minute.
	remains func(minute int) int
	// summary and description are what the templates become.
	summary, description string
}

// steps are values of a series: before minute 30, from 30 to 120, and after it.
func steps(before, during, after string) string {
	part := func(value string, count int) string {
		if value == "_" {
			return fmt.Sprintf("_x%d", count)
		}
		return fmt.Sprintf("%s+0x%d", value, count-1)
	}
	return strings.Join([]string{part(before, 30), part(during, 90), part(after, 60)}, " ")
}

const (
	ofPool     = `job="pgbouncer-pods",namespace="shop",instance="10.0.0.1:9127"`
	ofDatabase = ofPool + `,database="orders",user="orders_app_a"`
	ofSecret   = `name="orders-db",exported_namespace="shop",namespace="external-secrets"`
)

// inUse are the server connections of the pool, all active.
func inUse(before, during, after string) []series {
	all := []series{{"pgbouncer_pools_server_active_connections{" + ofDatabase + "}", steps(before, during, after)}}
	for _, state := range []string{"idle", "used", "testing"} {
		all = append(all, series{"pgbouncer_pools_server_" + state + "_connections{" + ofDatabase + "}", "0+0x180"})
	}
	return all
}

var trials = map[string]trial{
	"DbtierPoolNotSeen": {
		series: []series{{"pgbouncer_up{" + ofPool + "}", steps("1", "0", "1")}},
	},
	"DbtierPoolClientsWaiting": {
		series:      []series{{"pgbouncer_pools_client_waiting_connections{" + ofDatabase + "}", steps("0", "4", "0")}},
		labels:      map[string]string{"instance": "10.0.0.1:9127", "database": "orders"},
		summary:     "clients of database orders wait for a server connection",
		description: "4 clients of 10.0.0.1:9127 have waited at each scrape.",
	},
	"DbtierPoolServersExhausted": {
		series: append(inUse("3", "25", "24"),
			series{"pgbouncer_databases_pool_size{" + ofPool + `,name="orders",database="orders_db"}`, "20+0x180"},
			series{"pgbouncer_databases_reserve_pool{" + ofPool + `,name="orders",database="orders_db"}`, "5+0x180"}),
		labels:      map[string]string{"instance": "10.0.0.1:9127", "database": "orders"},
		summary:     "every server connection of the pool for orders is in use",
		description: "All 25 connections of 10.0.0.1:9127 are lent. The next client waits.",
	},
	"DbtierPoolLoginFailing": {
		series: append(inUse("3", "0", "3"),
			series{"pgbouncer_pools_client_waiting_connections{" + ofDatabase + "}", steps("0", "4", "0")}),
		// The last connection was seen in minute 29, and counts for two more.
		begins: 32,
		description: "Clients of 10.0.0.1:9127 wait, and it has had no server connection for two minutes: the " +
			"database " +
			"refuses the login or does not answer, or its name does not resolve.",
		labels:  map[string]string{"instance": "10.0.0.1:9127", "database": "orders"},
		summary: "the pool cannot log in to database orders",
	},
	"DbtierDNSFailing": {
		series: []series{{
			`kube_deployment_status_replicas_available{namespace="kube-system",deployment="coredns"}`,
			steps("2", "0", "1"),
		}},
		labels: map[string]string{"namespace": "kube-system", "deployment": "coredns"},
	},
	"DbtierExternalSecretFailing": {
		series: []series{
			{`externalsecret_status_condition{condition="Ready",status="False",` + ofSecret + "}", steps("0", "1",
				"0")},
			{`externalsecret_status_condition{condition="Ready",status="True",` + ofSecret + "}", steps("1", "0", "1")},
		},
		labels:  map[string]string{"name": "orders-db"},
		summary: "ExternalSecret orders-db is not Ready",
	},
	"DbtierExternalSecretsStale": {
		// The operator stops in minute 30, and its series end with it. Three intervals of five minutes later none is
		// within the window.
		series: []series{{"externalsecret_sync_calls_total{" + ofSecret + "}", "0+1x29 _x90 0+1x60"}},
		begins: 44, ends: 121,
	},
	"DbtierMigrationFailed": {
		series: []series{
			{`kube_job_failed{namespace="shop",job_name="orders-migration-0a1b2c3d",condition="true"}`, steps("_",
				"1", "_")},
			{`kube_job_failed{namespace="shop",job_name="orders-migration-0a1b2c3d",condition="false"}`, steps("_",
				"0", "_")},
		},
		labels:  map[string]string{"job_name": "orders-migration-0a1b2c3d"},
		summary: "the migration orders-migration-0a1b2c3d failed",
		ends:    125,
	},
	"DbtierBootstrapFailed": {
		series: []series{
			{`kube_job_failed{namespace="shop",job_name="pgbouncer-bootstrap-0a1b2c3d",condition="true"}`, steps("_",
				"1", "_")},
		},
		labels:  map[string]string{"job_name": "pgbouncer-bootstrap-0a1b2c3d"},
		summary: "the bootstrap pgbouncer-bootstrap-0a1b2c3d of the application's role failed",
		ends:    125,
	},
	"DbtierPoolCertificateExpires": {
		// Time begins at 0 here: until minute 30 the certificate has 15 days, then 10, and it is renewed.
		series: []series{{
			`x509_cert_not_after{secret_namespace="shop",secret_name="orders-tls",secret_key="tls.crt"}`,
			steps("1296000", "870000", "7776000"),
		}},
		labels:      map[string]string{"secret_name": "orders-tls"},
		remains:     func(minute int) int { return 870000 - 60*minute },
		summary:     "the pool's certificate expires in %s",
		description: "Nothing has renewed the Secret orders-tls. When it expires, clients refuse the pool.",
	},
	"DbtierConnectionsNearBudget": {
		series: []series{
			{`pg_stat_database_numbackends{job="orders-postgres",instance="db",datname="orders"}`, steps("40", "75",
				"74")},
			{`pg_stat_database_numbackends{job="orders-postgres",instance="db",datname="postgres"}`, "6+0x180"},
			{`pg_stat_database_numbackends{job="another",instance="other",datname="orders"}`, "500+0x180"},
		},
		labels:  map[string]string{"instance": "db"},
		summary: "81 connections to the database are open",
	},
	"DbtierTransactionIDWraparound": {
		series: []series{{
			`pg_database_wraparound_age_datfrozenxid_seconds{job="orders-postgres",instance="db",datname="orders"}`,
			steps("1000000000", "1200000000", "50000000"),
		}},
		labels:  map[string]string{"datname": "orders"},
		summary: "database orders has not frozen 1.2G transaction ids",
	},
	"DbtierReplicationSlotHoldsWAL": {
		series: []series{{
			`pg_replication_slots_pg_wal_lsn_diff{job="orders-postgres",instance="db",slot_name="unread",database="orders"}`,
			steps("10737418240", "21474836480", "0"),
		}},
		labels:  map[string]string{"slot_name": "unread"},
		summary: "replication slot unread holds 20GiB of write-ahead log",
	},
	// The authority has a year left in minute 30. It does not come back, as the other bundle is another rule.
	"DbtierDatabaseAuthorityExpires": {
		begins: 31, ends: 1 << 20, summary: "a certificate authority of the database expires in %s",
		remains: func(minute int) int { return 60 * (365*24*60 + 30 - minute) },
	},
}

// humanized is a time as the template's humanizeDuration writes it.
func humanized(seconds int) string {
	const minute, hour, day = 60, 60 * 60, 24 * 60 * 60
	return fmt.Sprintf("%dd %dh %dm %ds", seconds/day, seconds%day/hour, seconds%hour/minute, seconds%minute)
}

// tool runs promtool.
func tool(t *testing.T, args ...string) {
	t.Helper()
	text, err := exec.CommandContext(t.Context(), filepath.Join("..", "..", "bin", "tools", "promtool"), args...).
		CombinedOutput()
	require.NoError(t, err, "make promtool installs it: %s", text)
}

// TestEveryAlertFiresUnderItsConditionOnly evaluates the rules with Prometheus' own engine: no alert before its
// condition has held for its time, one then, and none after it.
func TestEveryAlertFiresUnderItsConditionOnly(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	tier := everything()
	tier.AuthorityExpires = time.Unix(0, 0).Add(365*24*time.Hour + 30*time.Minute)
	text, err := tier.File()
	require.NoError(t, err)
	file := filepath.Join(dir, "rules.yml")
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	tool(t, "check", "rules", file)

	seen := map[string]bool{}
	var tests []map[string]any
	for _, rule := range rulesOf(t, text) {
		trial, known := trials[rule.Alert]
		if !assert.True(t, known, "%s has no test", rule.Alert) {
			continue
		}
		seen[rule.Alert] = true
		begins, ends := trial.begins, trial.ends
		if begins == 0 {
			begins = 30
		}
		if ends == 0 {
			ends = 120
		}
		lasts, err := time.ParseDuration(rule.For)
		require.NoError(t, err)
		fires := begins + int(lasts/time.Minute)
		labels := maps.Clone(rule.Labels)
		maps.Copy(labels, trial.labels)
		at := func(minute int, fires bool) map[string]any {
			expected := []any{}
			if fires {
				annotations := maps.Clone(rule.Annotations)
				if trial.description != "" {
					annotations["description"] = trial.description
				}
				if trial.summary != "" {
					annotations["summary"] = "orders (prod): " + trial.summary
				}
				if trial.remains != nil {
					annotations["summary"] = "orders (prod): " + fmt.Sprintf(trial.summary,
						humanized(trial.remains(minute)))
				}
				expected = append(expected, map[string]any{"exp_labels": labels, "exp_annotations": annotations})
			}
			return map[string]any{
				"eval_time": fmt.Sprintf("%dm", minute), "alertname": rule.Alert, "exp_alerts": expected,
			}
		}
		cases := []any{at(begins-1, false), at(begins, false), at(fires-1, false), at(fires, true)}
		if ends < 180 {
			cases = append(cases, at(ends-1, true), at(ends, false), at(ends+30, false))
		}
		tests = append(tests, map[string]any{
			"name": rule.Alert, "interval": "1m", "input_series": trial.series, "alert_rule_test": cases,
		})
	}
	for name := range trials {
		assert.True(t, seen[name], "%s is no rule", name)
	}
	encoded, err := yaml.Marshal(map[string]any{
		"rule_files": []string{file}, "evaluation_interval": "1m", "tests": tests,
	})
	require.NoError(t, err)
	test := filepath.Join(dir, "test.yml")
	require.NoError(t, os.WriteFile(test, encoded, 0o600))
	tool(t, "test", "rules", test)
}

// The first refresh after the deployment is where the counter begins, so Prometheus sees no increase until the second.
func TestALongRefreshIntervalIsNoAlertAfterTheFirstDeployment(t *testing.T) {
	t.Parallel()
	for _, interval := range []int{1, 5, 60, 180} {
		dir := t.TempDir()
		tier := everything()
		tier.Refresh = time.Duration(interval) * time.Minute
		text, err := tier.File()
		require.NoError(t, err)
		file := filepath.Join(dir, "rules.yml")
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
		// The rules exist two minutes before the first refresh. The operator stops after the fourth.
		values := []string{"_x2"}
		for count := 1; count <= 4; count++ {
			values = append(values, fmt.Sprintf("%d+0x%d", count, interval-1))
		}
		stops := 2 + 4*interval
		// The last increase leaves the window of three intervals, of at least ten minutes. Then the alert waits.
		fires := 2 + 3*interval + max(3*interval, 10) + interval + 5
		values = append(values, fmt.Sprintf("4+0x%d", fires+10-stops))
		var cases []any
		for minute := range fires + 10 {
			expected := []any{}
			for _, rule := range rulesOf(t, text) {
				if rule.Alert == "DbtierExternalSecretsStale" && minute >= fires+2 {
					expected = append(expected, map[string]any{
						"exp_labels": rule.Labels, "exp_annotations": rule.Annotations,
					})
				}
			}
			if minute < fires-2 || minute >= fires+2 { // Increases are extrapolated to the ends of the window.
				cases = append(cases, map[string]any{
					"eval_time": fmt.Sprintf("%dm", minute), "alertname": "DbtierExternalSecretsStale",
					"exp_alerts": expected,
				})
			}
		}
		encoded, err := yaml.Marshal(map[string]any{
			"rule_files": []string{file}, "evaluation_interval": "1m", "tests": []any{map[string]any{
				"interval": "1m", "alert_rule_test": cases,
				"input_series": []series{{"externalsecret_sync_calls_total{" + ofSecret + "}", strings.Join(values, " ")}},
			}},
		})
		require.NoError(t, err)
		test := filepath.Join(dir, "test.yml")
		require.NoError(t, os.WriteFile(test, encoded, 0o600))
		tool(t, "test", "rules", test)
	}
}
