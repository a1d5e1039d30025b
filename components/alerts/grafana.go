package alerts

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// The parts of Grafana's dashboard model that the dashboard uses ("Dashboard JSON model").
type dashboard struct {
	UID           string         `json:"uid"`
	Title         string         `json:"title"`
	Description   string         `json:"description"`
	Tags          []string       `json:"tags"`
	Editable      bool           `json:"editable"`
	SchemaVersion int            `json:"schemaVersion"`
	Refresh       string         `json:"refresh"`
	Time          map[string]any `json:"time"`
	Templating    templating     `json:"templating"`
	Panels        []panel        `json:"panels"`
}

type templating struct {
	List []variable `json:"list"`
}

type variable struct {
	Name  string `json:"name"`
	Label string `json:"label"`
	Type  string `json:"type"`
	Query string `json:"query"`
}

type panel struct {
	ID          int            `json:"id"`
	Type        string         `json:"type"`
	Title       string         `json:"title"`
	Description string         `json:"description,omitempty"`
	GridPos     position       `json:"gridPos"`
	Datasource  *datasource    `json:"datasource,omitempty"`
	FieldConfig map[string]any `json:"fieldConfig,omitempty"`
	Options     map[string]any `json:"options,omitempty"`
	Targets     []target       `json:"targets,omitempty"`
	Links       []link         `json:"links,omitempty"`
}

type position struct {
	H int `json:"h"`
	W int `json:"w"`
	X int `json:"x"`
	Y int `json:"y"`
}

type datasource struct {
	Type string `json:"type"`
	UID  string `json:"uid"`
}

type target struct {
	RefID      string      `json:"refId"`
	Expr       string      `json:"expr"`
	Datasource *datasource `json:"datasource"`
}

type link struct {
	Title       string `json:"title"`
	URL         string `json:"url"`
	TargetBlank bool   `json:"targetBlank"`
}

const (
	// A row of Grafana's grid has 24 columns.
	panelWidth, panelHeight = 12, 8
	// Grafana migrates a dashboard of an older schema. 39 is that of Grafana 10 and 11.
	schemaVersion = 39
)

// Dashboard returns a dashboard for Grafana, with a panel for the metric of each alert. Its variable is the data
// source.
func (t *Tier) Dashboard() (string, error) {
	source := &datasource{Type: "prometheus", UID: "${datasource}"}
	d := dashboard{
		UID: "", Title: "dbtier: " + t.Service + " (" + t.Environment + ")", Tags: []string{"dbtier", t.Service},
		Description: "Written by `dbtier export dashboard`.", Editable: true, SchemaVersion: schemaVersion,
		Refresh:    "1m",
		Time:       map[string]any{"from": "now-6h", "to": "now"},
		Templating: templating{List: []variable{{"datasource", "Data source", "datasource", "prometheus"}}},
	}
	x, y := 0, 0
	group := Source("")
	for _, r := range t.selected() {
		if r.source != group {
			if x > 0 {
				x, y = 0, y+panelHeight
			}
			d.Panels = append(d.Panels, panel{
				ID: len(d.Panels) + 1, Type: "row", Title: string(r.source), GridPos: position{1, 2 * panelWidth, 0, y},
			})
			group, y = r.source, y+1
		}
		d.Panels = append(d.Panels, panel{
			ID: len(d.Panels) + 1, Type: "timeseries", Title: r.name, Description: r.means,
			GridPos: position{panelHeight, panelWidth, x, y}, Datasource: source,
			FieldConfig: map[string]any{"defaults": map[string]any{"unit": r.unit, "min": 0}, "overrides": []any{}},
			Options:     map[string]any{"legend": map[string]any{"displayMode": "list", "placement": "bottom"}},
			Targets:     []target{{"A", r.panel(t), source}},
			Links:       []link{{"Runbook", t.runbook(r), true}},
		})
		if x += panelWidth; x == 2*panelWidth {
			x, y = 0, y+panelHeight
		}
	}
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(d); err != nil {
		return "", fmt.Errorf("the dashboard: %w", err)
	}
	return text.String(), nil
}
