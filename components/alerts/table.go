package alerts

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Tier is what the rules need to know of a service's tier.
type Tier struct {
	Settings
	// Service, Environment and Namespace of the tier.
	Service, Environment, Namespace string
	// PoolJob is the label job of the pool's series: the name of the Service of its pods. Empty without an exporter.
	PoolJob string
	// Scrape is the interval between two scrapes of the pool.
	Scrape time.Duration
	// MigrationJob and BootstrapJob are the beginnings of the names of the Jobs. Empty without one.
	MigrationJob, BootstrapJob string
	// Refresh is the longest interval of a regular refresh of the tier's ExternalSecrets.
	Refresh time.Duration
	// CertificateSecret is the Secret with the pool's certificate for clients. Empty without one.
	CertificateSecret string
	// AuthorityExpires is when the first of the authorities expires that verify the database's certificate.
	AuthorityExpires time.Time
	// ConnectionLimit is what the tier may plan with. 0 if it is not known.
	ConnectionLimit int
	// AllocatedStorage of the instance, in GiB.
	AllocatedStorage int
}

// Severity of an alert.
const (
	// Critical: clients fail, or will without help.
	Critical = "critical"
	// Warning: clients are served, and something needs a person.
	Warning = "warning"
)

// rule is an alert, and the panel of the dashboard that shows its metric.
type rule struct {
	name     string
	source   Source
	severity string
	// lasts is how long the condition must hold.
	lasts time.Duration
	// refreshes makes it hold for another interval of a refresh before that.
	refreshes bool
	// expr is the condition. It is empty for a tier for which the rule has no meaning.
	expr func(t *Tier) string
	// panel is what the dashboard draws, and unit is Grafana's.
	panel func(t *Tier) string
	unit  string
	// summary and description are Prometheus' templates.
	summary, description string
	// means is the summary for the reference, without templates.
	means string
	// runbook is the page and the heading below docs/.
	runbook string
	// drill shows the alert: a command for a stack, or what there is instead.
	drill string
}

const (
	day = 24 * time.Hour
	// Below these remainders a certificate should have been renewed.
	authorityRemains   = 365 * day
	certificateRemains = 14 * day
	// AWS's advice for MaximumUsedTransactionIDs ("Implement an early warning system for transaction ID wraparound in
	// Amazon RDS for PostgreSQL"). At 2 billion PostgreSQL stops accepting writes.
	transactionIDs = 1_000_000_000
	// nearBudget is the share of the limit at which connections are near it, in percent, as of the CloudWatch alarm.
	nearBudget = 80
)

// resolvers are the pods of CoreDNS, as EKS and the local cloud install it.
var resolvers = selector("kube_deployment_status_replicas_available",
	map[string]string{"namespace": "kube-system", "deployment": "coredns"})

var seriesLabel = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*$`)

// table has every alert. Sources of the names: collector.go of pgbouncer_exporter 0.12.1;
// pkg/controllers/externalsecret/
// esmetrics of External Secrets Operator 0.20.4; docs/metrics/workload/job-metrics.md of kube-state-metrics 2;
// README.md
// of x509-certificate-exporter 3; collector/ of postgres_exporter 0.20.1.
var table = []rule{
	{
		name: "DbtierPoolNotSeen", source: PgBouncer, severity: Warning, lasts: 5 * time.Minute,
		expr:    func(t *Tier) string { return "(sum(" + t.pool("pgbouncer_up") + ") or vector(0)) == 0" },
		panel:   func(t *Tier) string { return "sum(" + t.pool("pgbouncer_up") + ")" },
		unit:    "short",
		summary: "no pod of the pool reports metrics",
		description: "Either no pod of the pool runs, or Prometheus does not reach its exporter. The other alerts " +
			"on the " +
			"pool cannot fire meanwhile.",
		means:   "no pod of the pool reports metrics",
		runbook: "how-to/pool.md#metrics",
		drill:   "`kubectl --namespace <namespace> scale deployment/<pool> --replicas=0`",
	},
	{
		name: "DbtierPoolClientsWaiting", source: PgBouncer, severity: Warning, lasts: 2 * time.Minute,
		expr:        func(t *Tier) string { return t.waiting() + " > 0" },
		panel:       (*Tier).waiting,
		unit:        "short",
		summary:     "clients of database {{ $labels.database }} wait for a server connection",
		description: "{{ $value }} clients of {{ $labels.instance }} have waited at each scrape.",
		means:       "clients wait for a server connection at each scrape",
		runbook:     "how-to/pool.md#waiting-clients",
		drill:       "`dbtier local fault network`",
	},
	{
		name: "DbtierPoolServersExhausted", source: PgBouncer, severity: Warning, lasts: 5 * time.Minute,
		expr: func(t *Tier) string {
			return t.byDatabase("pgbouncer_pools_server_active_connections") + " >= " + t.poolSize()
		},
		panel: func(t *Tier) string {
			return t.byDatabase("pgbouncer_pools_server_active_connections") + " / " + t.poolSize()
		},
		unit:        "percentunit",
		summary:     "every server connection of the pool for {{ $labels.database }} is in use",
		description: "All {{ $value }} connections of {{ $labels.instance }} are lent. The next client waits.",
		means:       "every server connection for a database is in use",
		runbook:     "how-to/pool.md#waiting-clients",
		drill:       "as many transactions as `pool.defaultPoolSize` that do not end: `begin; select pg_sleep(600)`",
	},
	{
		name: "DbtierPoolLoginFailing", source: PgBouncer, severity: Critical, lasts: time.Minute,
		// A failed attempt ends within the time between two scrapes, so this looks at the last four scrapes.
		expr: func(t *Tier) string {
			return t.overTime("pgbouncer_pools_client_waiting_connections") + " > 0 and " + t.servers() + " == 0"
		},
		panel:   (*Tier).servers,
		unit:    "short",
		summary: "the pool cannot log in to database {{ $labels.database }}",
		description: "Clients of {{ $labels.instance }} wait, and it has had no server connection for two " +
			"minutes: the " +
			"database refuses the login or does not answer, or its name does not resolve.",
		means:   "clients wait, and the pool has no server connection",
		runbook: "how-to/pool.md#no-server-connection",
		drill:   "`dbtier local fault network`",
	},
	{
		name: "DbtierExternalSecretFailing", source: ExternalSecrets, severity: Warning, lasts: 5 * time.Minute,
		expr:        func(t *Tier) string { return t.notReady() + " == 1" },
		panel:       (*Tier).notReady,
		unit:        "short",
		summary:     "ExternalSecret {{ $labels.name }} is not Ready",
		description: "The operator cannot read or write it. Its Secret keeps the last value.",
		means:       "an ExternalSecret is not Ready",
		runbook:     "how-to/cluster.md#stale-externalsecrets",
		drill:       "`dbtier local fault service secretsmanager`",
	},
	{
		name: "DbtierExternalSecretsStale", source: ExternalSecrets, severity: Warning, lasts: 5 * time.Minute,
		// A counter that begins with 1 has no increase, so the first refresh after the deployment is not seen.
		refreshes: true,
		expr:      func(t *Tier) string { return "(" + t.refreshes() + " or vector(0)) == 0" },
		panel:     (*Tier).refreshes,
		unit:      "short",
		summary:   "the operator refreshes no ExternalSecret of the namespace",
		description: "None was refreshed within three of its intervals, or the operator reports no metrics. A " +
			"rotated " +
			"password does not arrive.",
		means:   "the operator refreshes none of the namespace",
		runbook: "how-to/cluster.md#stale-externalsecrets",
		drill:   "`kubectl --namespace external-secrets scale deployment/external-secrets --replicas=0`",
	},
	{
		// PgBouncer counts neither failed lookups nor their reason, so this is about the cluster's resolver.
		name: "DbtierDNSFailing", source: KubeStateMetrics, severity: Critical, lasts: time.Minute,
		expr:    func(*Tier) string { return resolvers + " == 0" },
		panel:   func(*Tier) string { return resolvers },
		unit:    "short",
		summary: "no pod of the cluster's DNS is available",
		description: "The pool keeps its server connections and opens no new ones. Clients that open a connection " +
			"fail " +
			"first.",
		means:   "no pod of the cluster's DNS is available",
		runbook: "how-to/cluster.md#dns-is-down",
		drill:   "pending only: `dbtier drill dns-down`",
	},
	{
		name: "DbtierMigrationFailed", source: KubeStateMetrics, severity: Warning, lasts: time.Minute,
		expr:        func(t *Tier) string { return t.failedJobs(t.MigrationJob, " > 0") },
		panel:       func(t *Tier) string { return t.failedJobs(t.MigrationJob, "") },
		unit:        "short",
		summary:     "the migration {{ $labels.job_name }} failed",
		description: "The old pods keep serving. No pod of the new version was started.",
		means:       "the Job of a migration failed",
		runbook:     "how-to/migration.md#a-migration-failed",
		drill:       "pending only: `dbtier drill migration-fails`",
	},
	{
		name: "DbtierBootstrapFailed", source: KubeStateMetrics, severity: Warning, lasts: time.Minute,
		expr:        func(t *Tier) string { return t.failedJobs(t.BootstrapJob, " > 0") },
		panel:       func(t *Tier) string { return t.failedJobs(t.BootstrapJob, "") },
		unit:        "short",
		summary:     "the bootstrap {{ $labels.job_name }} of the application's role failed",
		description: "The pool keeps the user that it has. A rotation of the application's password did not happen.",
		means:       "the Job of the application's role failed",
		runbook:     "how-to/database.md#bootstrap-failed",
		drill:       "a `role.name` whose role belongs to another user",
	},
	{
		name: "DbtierDatabaseAuthorityExpires", source: Program, severity: Warning, lasts: time.Hour,
		expr: func(t *Tier) string {
			return fmt.Sprintf("vector(%d - time()) < %d", t.AuthorityExpires.Unix(), seconds(authorityRemains))
		},
		panel: func(t *Tier) string { return fmt.Sprintf("vector(%d - time())", t.AuthorityExpires.Unix()) },
		unit:  "s", summary: "a certificate authority of the database expires in {{ $value | humanizeDuration }}",
		description: "The pool, the migration and the service verify the database with it.",
		means:       "an authority in the trusted bundle expires within a year",
		runbook:     "how-to/database.md#certificate-authority",
		drill:       "a `network.caBundle` that expires within a year",
	},
	{
		name: "DbtierPoolCertificateExpires", source: Certificates, severity: Warning, lasts: time.Hour,
		expr: func(t *Tier) string {
			return ifSet(t.CertificateSecret, fmt.Sprintf("%s < %d", t.certificate(), seconds(certificateRemains)))
		},
		panel: func(t *Tier) string { return ifSet(t.CertificateSecret, t.certificate()) },
		unit:  "s", summary: "the pool's certificate expires in {{ $value | humanizeDuration }}",
		description: "Nothing has renewed the Secret {{ $labels.secret_name }}. When it expires, clients refuse " +
			"the pool.",
		means:   "the pool's certificate for clients expires within 14 days",
		runbook: "how-to/pool.md#client-tls",
		drill:   "a certificate of ten days in the Secret `pool.clientTlsSecret`",
	},
	{
		name: "DbtierConnectionsNearBudget", source: Postgres, severity: Warning, lasts: 5 * time.Minute,
		expr: func(t *Tier) string {
			if t.ConnectionLimit == 0 {
				return ""
			}
			return t.connections() + " > " + strconv.Itoa(t.ConnectionLimit*nearBudget/100)
		},
		panel:   (*Tier).connections,
		unit:    "short",
		summary: "{{ $value }} connections to the database are open",
		description: "That is more than 80 % of what the tier may plan with. Clients that the plan does not know " +
			"may have them.",
		means:   "more than 80 % of the connections are open",
		runbook: "how-to/pool.md#connections-near-the-budget",
		drill:   "direct connections that `network.directClients` does not have",
	},
	{
		name: "DbtierTransactionIDWraparound", source: Postgres, severity: Critical, lasts: 10 * time.Minute,
		expr:    func(t *Tier) string { return t.age() + " > " + strconv.Itoa(transactionIDs) },
		panel:   (*Tier).age,
		unit:    "short",
		summary: "database {{ $labels.datname }} has not frozen {{ $value | humanize }} transaction ids",
		description: "Autovacuum does not keep up, often because of a long transaction, a prepared transaction or a " +
			"replication slot. At 2 billion PostgreSQL refuses writes.",
		means:   "a billion transaction ids are not frozen",
		runbook: "how-to/database.md#transaction-ids-run-out",
		drill:   "none: it takes a billion transactions",
	},
	{
		name: "DbtierReplicationSlotHoldsWAL", source: Postgres, severity: Warning, lasts: 15 * time.Minute,
		expr: func(t *Tier) string {
			return fmt.Sprintf("%s > %d", t.held(), t.AllocatedStorage<<30/10)
		},
		panel:       (*Tier).held,
		unit:        "bytes",
		summary:     "replication slot {{ $labels.slot_name }} holds {{ $value | humanize1024 }}B of write-ahead log",
		description: "That is more than a tenth of allocatedStorage. A slot that no client reads fills the disk.",
		means:       "a slot holds more than a tenth of `allocatedStorage`",
		runbook:     "how-to/database.md#low-storage",
		drill:       "`select pg_create_logical_replication_slot('unread', 'test_decoding')`, and writes",
	},
}

// selected are the rules that have a meaning for the tier.
func (t *Tier) selected() []rule {
	return slices.DeleteFunc(slices.Clone(table), func(r rule) bool {
		switch r.source {
		case Program:
			return t.AuthorityExpires.IsZero()
		case PgBouncer:
			return t.PoolJob == ""
		default:
			return !t.has(r.source) || r.expr(t) == ""
		}
	})
}

// waits is how long the condition of a rule must hold.
func (t *Tier) waits(r rule) time.Duration {
	if r.refreshes {
		return t.Refresh + r.lasts
	}
	return r.lasts
}

func ifSet(condition, expr string) string {
	if condition == "" {
		return ""
	}
	return expr
}

func seconds(d time.Duration) int64 { return int64(d / time.Second) }

// minutes is a duration as PromQL writes it.
func minutes(d time.Duration) string {
	return strconv.FormatInt(int64((d+time.Minute-1)/time.Minute), 10) + "m"
}

// selector is a selector of series. The matchers are in the order of their labels.
func selector(metric string, matchers map[string]string) string {
	var texts []string
	for _, label := range slices.Sorted(maps.Keys(matchers)) {
		texts = append(texts, label+"="+strconv.Quote(matchers[label]))
	}
	return metric + "{" + strings.Join(texts, ",") + "}"
}

func (t *Tier) pool(metric string) string {
	return selector(metric, map[string]string{"namespace": t.Namespace, "job": t.PoolJob})
}

// byDatabase adds up the users of a database: after a rotation the pool has connections of two users.
func (t *Tier) byDatabase(metric string) string {
	return "sum by (instance, database) (" + t.pool(metric) + ")"
}

func (t *Tier) overTime(metric string) string {
	return "sum by (instance, database) (max_over_time(" + t.pool(metric) + "[" +
		minutes(max(4*t.Scrape, 2*time.Minute)) + "]))"
}

func (t *Tier) waiting() string { return t.byDatabase("pgbouncer_pools_client_waiting_connections") }

// poolSize is the maximum of server connections of a database. Its name is in the label name there, and the label
// database has the name on the server.
func (t *Tier) poolSize() string {
	return `max by (instance, database) (label_replace(` + t.pool("pgbouncer_databases_pool_size") + " + " +
		t.pool("pgbouncer_databases_reserve_pool") + `, "database", "$1", "name", "(.*)"))`
}

// servers are the server connections that have logged in.
func (t *Tier) servers() string {
	var sum []string
	for _, state := range []string{"active", "idle", "used", "testing"} {
		sum = append(sum, t.overTime("pgbouncer_pools_server_"+state+"_connections"))
	}
	return "(" + strings.Join(sum, " + ") + ")"
}

// ofNamespace selects series of an exporter that reports objects of other namespaces. The label is
// exported_namespace if
// the ServiceMonitor does not set honorLabels, as that of the operator's chart.
func (t *Tier) ofNamespace(metric string, matchers map[string]string) string {
	with := func(label string) string {
		all := maps.Clone(matchers)
		all[label] = t.Namespace
		return selector(metric, all)
	}
	return "(" + with("namespace") + " or " + with("exported_namespace") + ")"
}

func (t *Tier) notReady() string {
	return "max by (name) (" + t.ofNamespace("externalsecret_status_condition",
		map[string]string{"condition": "Ready", "status": "False"}) + ")"
}

// refreshes are those of the longest interval three times, so that one that is late does not count.
func (t *Tier) refreshes() string {
	window := minutes(max(3*t.Refresh, 10*time.Minute))
	return "sum(increase(" + selector("externalsecret_sync_calls_total", map[string]string{"namespace": t.Namespace}) +
		"[" + window + "]) or increase(" + selector("externalsecret_sync_calls_total",
		map[string]string{"exported_namespace": t.Namespace}) + "[" + window + "]))"
}

// failedJobs has no series for a condition that does not hold, only 0 before the Job has ended.
func (t *Tier) failedJobs(prefix, comparison string) string {
	return ifSet(prefix, fmt.Sprintf(
		`max by (job_name) (kube_job_failed{condition="true",job_name=~%s,namespace=%s})%s`,
		strconv.Quote(prefix+".*"), strconv.Quote(t.Namespace), comparison))
}

func (t *Tier) certificate() string {
	return "min by (secret_name) (" + selector("x509_cert_not_after", map[string]string{
		"secret_namespace": t.Namespace, "secret_name": t.CertificateSecret,
	}) + ") - time()"
}

func (t *Tier) postgres(metric string) string { return selector(metric, t.PostgresLabels) }

// connections are those of all databases of the instance. The series without a name is that of background processes.
func (t *Tier) connections() string {
	return "sum by (instance) (" + t.postgres("pg_stat_database_numbackends") + ")"
}

// age is in transactions, although the exporter names it seconds.
func (t *Tier) age() string {
	return "max by (datname) (" + t.postgres("pg_database_wraparound_age_datfrozenxid_seconds") + ")"
}

func (t *Tier) held() string {
	return "max by (slot_name) (" + t.postgres("pg_replication_slots_pg_wal_lsn_diff") + ")"
}
