package alerts

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"dbtier/components/contract"
	"dbtier/components/fault"
	"dbtier/validation"
)

// Source is an exporter whose metrics Prometheus has.
type Source string

// The sources. PgBouncer is one if the pool has its exporter, Postgres if its labels are given, and Program needs no
// exporter: its rules compare the time
// with a date that the program knows.
const (
	PgBouncer        Source = "pgbouncer"
	Program          Source = "program"
	ExternalSecrets  Source = "externalSecrets"
	KubeStateMetrics Source = "kubeStateMetrics"
	Certificates     Source = "certificates"
	Postgres         Source = "postgres"
)

// Settings are the choices for alerts. Begin with [Defaults].
type Settings struct {
	// PrometheusRule creates a PrometheusRule. The CRDs of the Prometheus operator must exist. Without it, "dbtier
	// export alerts" writes the same rules as a file for Prometheus. Default false.
	PrometheusRule bool `json:"prometheusRule"`
	// Labels of the PrometheusRule besides the usual ones. Prometheus selects it by them, often by release. Default
	// none.
	Labels map[string]string `json:"labels" example:"{release: prometheus}"`
	// Sources are the exporters that Prometheus scrapes: externalSecrets (the metrics of External Secrets Operator),
	// kubeStateMetrics, certificates (x509-certificate-exporter). There are no rules on metrics of others. The pool's
	// exporter is pool.metrics, and postgres_exporter is postgresLabels. Default externalSecrets and kubeStateMetrics.
	Sources []string `json:"sources" example:"[externalSecrets, kubeStateMetrics, certificates]"`
	// PostgresLabels select the series of this instance among those of postgres_exporter. Default: there are no rules
	// on its metrics.
	PostgresLabels map[string]string `json:"postgresLabels" example:"{job: orders-postgres}"`
	// Runbooks is the URL of the folder docs of this repository, with which every runbook_url begins. Default: the
	// path in the repository.
	Runbooks string `json:"runbooks" example:"https://git.example.com/platform/dbtier/blob/main/docs"`
}

// Defaults returns the default [Settings].
func Defaults() Settings {
	return Settings{Sources: []string{string(ExternalSecrets), string(KubeStateMetrics)}}
}

// chosen are the values of [Settings].Sources.
var chosen = []Source{ExternalSecrets, KubeStateMetrics, Certificates}

// Validate reports every fault of the settings.
func (s *Settings) Validate() error {
	var faults fault.List
	for i, source := range s.Sources {
		path := fmt.Sprintf("sources[%d]", i)
		if fault.OneOf(&faults, path, Source(source), chosen...) {
			faults.Check(slices.Index(s.Sources, source) == i, path, source, "is named twice")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.Labels)) {
		faults.Check(validation.LabelKey.Matches(name) && validation.LabelValue.Matches(s.Labels[name]), "labels",
			name+"="+s.Labels[name], "want a label, such as %s=myshop-api", contract.NameLabel)
	}
	for _, name := range slices.Sorted(maps.Keys(s.PostgresLabels)) {
		faults.Check(seriesLabel.MatchString(name) && s.PostgresLabels[name] != "", "postgresLabels",
			name+"="+s.PostgresLabels[name], "want a label of a series, such as job=orders-postgres")
	}
	if s.Runbooks != "" {
		at, err := url.Parse(s.Runbooks)
		faults.Check(err == nil && (at.Scheme == "https" || at.Scheme == "http") && at.Host != "" &&
			!strings.HasSuffix(s.Runbooks, "/") && at.Fragment == "", "runbooks", s.Runbooks,
			"want the URL of the folder docs, without a slash at its end, such as "+
				"https://git.example.com/platform/dbtier/blob/main/docs")
	}
	faults.Check(s.PrometheusRule || len(s.Labels) == 0, "labels", s.Labels,
		"are for the PrometheusRule: set prometheusRule to true, or leave them out")
	return faults.Err()
}

func (s *Settings) has(source Source) bool {
	if source == Postgres {
		return len(s.PostgresLabels) > 0
	}
	return slices.Contains(s.Sources, string(source))
}
