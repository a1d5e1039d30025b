package alerts

import (
	"bytes"
	"fmt"
	"strings"

	"gopkg.in/yaml.v3"
)

// group and alert are in the form of a rule file of Prometheus, which is also that of a PrometheusRule's spec.
type group struct {
	Name  string  `json:"name"  yaml:"name"`
	Rules []alert `json:"rules" yaml:"rules"`
}

type alert struct {
	Alert       string            `json:"alert"       yaml:"alert"`
	Expr        string            `json:"expr"        yaml:"expr"`
	For         string            `json:"for"         yaml:"for"`
	Labels      map[string]string `json:"labels"      yaml:"labels"`
	Annotations map[string]string `json:"annotations" yaml:"annotations"`
}

// groups are the rules of the tier, one group for each source.
func (t *Tier) groups() []group {
	var groups []group
	for _, r := range t.selected() {
		name := "dbtier-" + t.Service + "-" + t.Environment + "-" + string(r.source)
		if len(groups) == 0 || groups[len(groups)-1].Name != name {
			groups = append(groups, group{Name: name})
		}
		last := &groups[len(groups)-1]
		last.Rules = append(last.Rules, alert{
			Alert: r.name, Expr: r.expr(t), For: minutes(t.waits(r)),
			Labels: map[string]string{"severity": r.severity, "service": t.Service, "environment": t.Environment},
			Annotations: map[string]string{
				"summary":     t.Service + " (" + t.Environment + "): " + r.summary,
				"description": r.description,
				"runbook_url": t.runbook(r),
			},
		})
	}
	return groups
}

func (t *Tier) runbook(r rule) string {
	base := t.Runbooks
	if base == "" {
		base = "docs"
	}
	return base + "/" + r.runbook
}

// File returns the rules of the tier as a rule file of Prometheus.
func (t *Tier) File() (string, error) {
	var text bytes.Buffer
	fmt.Fprintf(&text, "# Alerts of %s in %s, written by `dbtier export alerts`.\n", t.Service, t.Environment)
	encoder := yaml.NewEncoder(&text)
	encoder.SetIndent(2)
	if err := encoder.Encode(map[string]any{"groups": t.groups()}); err != nil {
		return "", fmt.Errorf("the rule file: %w", err)
	}
	return text.String(), nil
}

// Markdown returns the table of all alerts for docs/reference/alerts.md.
func Markdown() string {
	var text strings.Builder
	text.WriteString("| alert | source | severity | after | means | runbook | to see it " +
		"|\n|---|---|---|---|---|---|---|\n")
	for _, r := range table {
		page, _, _ := strings.Cut(r.runbook, "#")
		after := minutes(r.lasts)
		if r.refreshes {
			after += " and the refresh interval"
		}
		fmt.Fprintf(&text, "| `%s` | `%s` | %s | %s | %s | [%s](../%s) | %s |\n", r.name, r.source, r.severity,
			after, r.means, page[strings.LastIndex(page, "/")+1:], r.runbook, r.drill)
	}
	return text.String()
}
