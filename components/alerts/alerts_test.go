package alerts_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"

	"dbtier/components/alerts"
	"dbtier/components/componenttest"
)

//go:generate env UPDATE_GOLDEN=1 go test -vet=off -count=1 -run ^TestTheReferenceIsThatOfTheTable$ .

const reference = "../../docs/reference/alerts.md"

// everything is a tier for which every rule has a meaning.
func everything() *alerts.Tier {
	settings := alerts.Defaults()
	settings.Sources = []string{"externalSecrets", "kubeStateMetrics", "certificates"}
	settings.PostgresLabels = map[string]string{"job": "orders-postgres"}
	return &alerts.Tier{
		Settings: settings, Service: "orders", Environment: "prod", Namespace: "shop", PoolJob: "pgbouncer-pods",
		Scrape: 30 * time.Second, MigrationJob: "orders-migration-", BootstrapJob: "pgbouncer-bootstrap-",
		Refresh: 5 * time.Minute, CertificateSecret: "orders-tls", ConnectionLimit: 100, AllocatedStorage: 100,
		AuthorityExpires: time.Date(2061, 5, 18, 0, 0, 0, 0, time.UTC),
	}
}

// ruleOf is a rule of a rule file.
type ruleOf struct {
	Alert, Expr, For    string
	Labels, Annotations map[string]string
}

func rulesOf(t *testing.T, text string) []ruleOf {
	t.Helper()
	var file struct {
		Groups []struct {
			Name  string
			Rules []ruleOf
		}
	}
	require.NoError(t, yaml.Unmarshal([]byte(text), &file))
	var all []ruleOf
	names := map[string]bool{}
	for _, group := range file.Groups {
		assert.False(t, names[group.Name], "Prometheus refuses two groups of the name %s", group.Name)
		names[group.Name] = true
		all = append(all, group.Rules...)
	}
	return all
}

func file(t *testing.T, tier *alerts.Tier) []ruleOf {
	t.Helper()
	text, err := tier.File()
	require.NoError(t, err)
	return rulesOf(t, text)
}

func names(rules []ruleOf) []string {
	var all []string
	for _, r := range rules {
		all = append(all, r.Alert)
	}
	return all
}

// anchors are the fragments that GitHub gives to the headings of a page.
func anchors(t *testing.T, page string) map[string]bool {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", filepath.FromSlash(page)))
	require.NoError(t, err)
	found := map[string]bool{}
	for _, heading := range regexp.MustCompile(`(?m)^#+ (.+)$`).FindAllStringSubmatch(string(text), -1) {
		kept := regexp.MustCompile(`[^\pL\pN _-]`).ReplaceAllString(strings.ToLower(heading[1]), "")
		found[strings.ReplaceAll(kept, " ", "-")] = true
	}
	return found
}

func TestEveryAlertSaysWhatToDo(t *testing.T) {
	t.Parallel()
	tier := everything()
	tier.Runbooks = "https://git.example.com/dbtier/docs"
	rules := file(t, tier)
	require.Len(t, rules, 14)
	for _, r := range rules {
		assert.Contains(t, []string{"critical", "warning"}, r.Labels["severity"], r.Alert)
		assert.Equal(t, "orders", r.Labels["service"])
		assert.Equal(t, "prod", r.Labels["environment"])
		lasts, err := time.ParseDuration(r.For)
		require.NoError(t, err)
		assert.GreaterOrEqual(t, lasts, time.Minute, r.Alert)
		assert.NotEmpty(t, r.Annotations["description"], r.Alert)
		assert.Regexp(t, `^orders \(prod\): .`, r.Annotations["summary"])
		where, below := strings.CutPrefix(r.Annotations["runbook_url"], "https://git.example.com/dbtier/docs/")
		require.True(t, below, r.Annotations["runbook_url"])
		page, anchor, _ := strings.Cut(where, "#")
		assert.True(t, anchors(t, page)[anchor], "%s: docs/%s has no heading %s", r.Alert, page, anchor)
	}
}

func TestThereAreNoRulesOnMetricsThatNobodyHas(t *testing.T) {
	t.Parallel()
	tier := everything()
	tier.Settings = alerts.Defaults()
	all := names(file(t, tier))
	assert.NotContains(t, all, "DbtierPoolCertificateExpires")
	assert.NotContains(t, all, "DbtierTransactionIDWraparound")
	assert.Contains(t, all, "DbtierMigrationFailed")
	assert.Contains(t, all, "DbtierPoolClientsWaiting")

	tier.Sources = nil
	tier.PoolJob = ""
	assert.Equal(t, []string{"DbtierDatabaseAuthorityExpires"}, names(file(t, tier)))

	tier = everything()
	tier.MigrationJob, tier.BootstrapJob, tier.CertificateSecret, tier.ConnectionLimit = "", "", "", 0
	all = names(file(t, tier))
	for _, without := range []string{
		"DbtierMigrationFailed", "DbtierBootstrapFailed", "DbtierPoolCertificateExpires", "DbtierConnectionsNearBudget",
	} {
		assert.NotContains(t, all, without)
	}
	assert.Contains(t, all, "DbtierTransactionIDWraparound")
}

// metrics are those that the exporters emit, as their sources at the versions in the comment of the table name them.
var metrics = []string{
	"pgbouncer_up", "pgbouncer_pools_client_waiting_connections", "pgbouncer_pools_server_active_connections",
	"pgbouncer_pools_server_idle_connections", "pgbouncer_pools_server_used_connections",
	"pgbouncer_pools_server_testing_connections", "pgbouncer_databases_pool_size", "pgbouncer_databases_reserve_pool",
	"externalsecret_status_condition", "externalsecret_sync_calls_total",
	"kube_job_failed", "kube_deployment_status_replicas_available",
	"x509_cert_not_after",
	"pg_stat_database_numbackends", "pg_database_wraparound_age_datfrozenxid_seconds",
	"pg_replication_slots_pg_wal_lsn_diff",
}

func TestTheRulesUseMetricsThatExist(t *testing.T) {
	t.Parallel()
	used := map[string]bool{}
	for _, r := range file(t, everything()) {
		for _, found := range regexp.MustCompile(`([a-z0-9_]+)\{`).FindAllStringSubmatch(r.Expr, -1) {
			assert.Contains(t, metrics, found[1], r.Alert)
			used[found[1]] = true
		}
	}
	for _, metric := range metrics {
		assert.True(t, used[metric], "%s is used by no rule", metric)
	}
}

func TestTheDashboardHasAPanelForEachAlert(t *testing.T) {
	t.Parallel()
	tier := everything()
	text, err := tier.Dashboard()
	require.NoError(t, err)
	var d struct {
		Title         string
		SchemaVersion int
		Templating    struct{ List []struct{ Name, Type string } }
		Panels        []struct {
			ID          int
			Type, Title string
			GridPos     struct{ H, W, X, Y int }
			Targets     []struct{ RefID, Expr string }
			Datasource  struct{ UID string }
			Links       []struct{ URL string }
		}
	}
	decoder := json.NewDecoder(strings.NewReader(text))
	require.NoError(t, decoder.Decode(&d))
	assert.Equal(t, "dbtier: orders (prod)", d.Title)
	assert.Equal(t, 39, d.SchemaVersion)
	require.Len(t, d.Templating.List, 1)
	assert.Equal(t, "datasource", d.Templating.List[0].Type)
	var titles []string
	taken := map[[2]int]string{}
	ids := map[int]bool{}
	for _, p := range d.Panels {
		assert.False(t, ids[p.ID], "two panels have the id %d", p.ID)
		ids[p.ID] = true
		assert.LessOrEqual(t, p.GridPos.X+p.GridPos.W, 24, p.Title)
		for x := range p.GridPos.W {
			for y := range p.GridPos.H {
				at := [2]int{p.GridPos.X + x, p.GridPos.Y + y}
				assert.Empty(t, taken[at], "%s covers a panel", p.Title)
				taken[at] = p.Title
			}
		}
		if p.Type == "row" {
			continue
		}
		assert.Equal(t, "timeseries", p.Type)
		titles = append(titles, p.Title)
		require.Len(t, p.Targets, 1, p.Title)
		assert.NotEmpty(t, p.Targets[0].Expr, p.Title)
		assert.Equal(t, "${datasource}", p.Datasource.UID)
		require.Len(t, p.Links, 1)
	}
	assert.Equal(t, names(file(t, tier)), titles)
}

// Everything that the dashboard queries is in an alert or a variation of it, so the metrics are those of the alerts.
func TestTheDashboardUsesTheMetricsOfTheAlerts(t *testing.T) {
	t.Parallel()
	text, err := everything().Dashboard()
	require.NoError(t, err)
	for _, found := range regexp.MustCompile(`([a-z0-9_]+)\{`).FindAllStringSubmatch(text, -1) {
		assert.Contains(t, metrics, found[1])
	}
}

func TestAPrometheusRuleHasTheRulesOfTheFile(t *testing.T) {
	t.Parallel()
	args := &alerts.AlertsArgs{Tier: *everything(), Owner: "orders"}
	args.PrometheusRule, args.Labels = true, map[string]string{"release": "prometheus"}
	recorded := componenttest.Run(t, func(ctx *pulumi.Context) error {
		_, err := alerts.NewAlerts(ctx, "alerts", args)
		return err
	})
	rule := recorded.One(t, "kubernetes:monitoring.coreos.com/v1:PrometheusRule")
	assert.Equal(t, "prometheus", rule.At("metadata", "labels", "release"))
	assert.Equal(t, "orders-alerts", rule.At("metadata", "name"))
	assert.Equal(t, "shop", rule.At("metadata", "namespace"))
	text, err := yaml.Marshal(map[string]any{"groups": rule.At("spec", "groups")})
	require.NoError(t, err)
	assert.Equal(t, file(t, &args.Tier), rulesOf(t, string(text)))
}

func TestEveryFaultOfTheSettingsIsNamed(t *testing.T) {
	t.Parallel()
	s := alerts.Settings{
		Sources: []string{"externalSecrets", "externalSecrets", "cadvisor"}, Labels: map[string]string{"a b": "c"},
		Runbooks: "docs/",
	}
	err := s.Validate()
	for _, fault := range []string{
		`sources[1]: "externalSecrets": is named twice`, `sources[2]: "cadvisor": want one of`,
		`labels: "a b=c": want a label`, `runbooks: "docs/": want the URL`,
		"are for the PrometheusRule",
	} {
		require.ErrorContains(t, err, fault)
	}
	s = alerts.Defaults()
	require.NoError(t, s.Validate())
	s.PostgresLabels = map[string]string{"j-b": "orders"}
	err = s.Validate()
	require.ErrorContains(t, err, `postgresLabels: "j-b=orders": want a label of a series`)

	_, err = componenttest.Try(func(ctx *pulumi.Context) error {
		_, err := alerts.NewAlerts(ctx, "alerts", &alerts.AlertsArgs{Tier: *everything(), Owner: "Orders"})
		return err
	})
	require.ErrorContains(t, err, `owner: "Orders"`)
	require.ErrorContains(t, err, `prometheusRule: false: want true`)
}

// Drills heal before an alert fires, so the reference must not promise it.
func TestTheReferenceSaysWhatIsOnlyPending(t *testing.T) {
	t.Parallel()
	rows := strings.Split(strings.TrimSpace(alerts.Markdown()), "\n")[2:]
	require.Len(t, rows, 14)
	drills := 0
	for _, row := range rows {
		cells := strings.Split(strings.Trim(row, "| "), " | ")
		seen := cells[len(cells)-1]
		assert.Equal(t, strings.Contains(seen, "dbtier drill "), strings.HasPrefix(seen, "pending only: "), row)
		drills += strings.Count(seen, "dbtier drill ")
	}
	assert.Positive(t, drills)
}

func TestTheReferenceIsThatOfTheTable(t *testing.T) {
	t.Parallel()
	have, err := os.ReadFile(reference)
	require.NoError(t, err)
	const begin, end = "<!-- make generate, table: begin -->\n", "<!-- make generate, table: end -->"
	before, rest, found := strings.Cut(string(have), begin)
	require.True(t, found)
	_, after, found := strings.Cut(rest, end)
	require.True(t, found)
	want := before + begin + alerts.Markdown() + end + after
	if os.Getenv("UPDATE_GOLDEN") != "" {
		require.NoError(t, os.WriteFile(reference, []byte(want), 0o600))
		return
	}
	assert.Equal(t, want, string(have), "docs/reference/alerts.md is out of date: run `make generate`")
	assert.True(t, slices.ContainsFunc(file(t, everything()), func(r ruleOf) bool {
		return strings.Contains(want, "`"+r.Alert+"`")
	}))
}
