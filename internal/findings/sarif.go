package findings

import (
	"bytes"
	"encoding/json"

	"dbtier/internal/stackfile"
)

// The parts of SARIF 2.1.0 that the findings need. The names are those of the standard.
type (
	sarifLog struct {
		Schema  string     `json:"$schema"`
		Version string     `json:"version"`
		Runs    []sarifRun `json:"runs"`
	}
	sarifRun struct {
		Tool        sarifTool         `json:"tool"`
		Invocations []sarifInvocation `json:"invocations"`
		Results     []sarifResult     `json:"results"`
	}
	sarifInvocation struct {
		Successful    bool                `json:"executionSuccessful"`
		Notifications []sarifNotification `json:"toolExecutionNotifications,omitempty"`
	}
	sarifNotification struct {
		Level   string    `json:"level"`
		Message sarifText `json:"message"`
	}
	sarifTool struct {
		Driver sarifDriver `json:"driver"`
	}
	sarifDriver struct {
		Name    string      `json:"name"`
		Version string      `json:"version,omitempty"`
		Rules   []sarifRule `json:"rules"`
	}
	sarifRule struct {
		ID               string         `json:"id"`
		ShortDescription sarifText      `json:"shortDescription"`
		FullDescription  sarifText      `json:"fullDescription"`
		Help             sarifText      `json:"help"`
		Properties       map[string]any `json:"properties,omitempty"`
	}
	sarifText struct {
		Text string `json:"text"`
	}
	sarifResult struct {
		RuleID    string          `json:"ruleId"`
		Level     string          `json:"level"`
		Message   sarifText       `json:"message"`
		Locations []sarifLocation `json:"locations"`
		Baseline  string          `json:"baselineState,omitempty"`
		// Prints identify the finding in later runs, when its line has moved.
		Prints map[string]string `json:"partialFingerprints"`
	}
	sarifLocation struct {
		Physical *sarifPhysical `json:"physicalLocation,omitempty"`
		Logical  []sarifLogical `json:"logicalLocations"`
	}
	sarifPhysical struct {
		Artifact sarifArtifact `json:"artifactLocation"`
		Region   *sarifRegion  `json:"region,omitempty"`
	}
	sarifArtifact struct {
		URI string `json:"uri"`
	}
	sarifRegion struct {
		StartLine int `json:"startLine"`
	}
	sarifLogical struct {
		Name     string `json:"name"`
		FullName string `json:"fullyQualifiedName,omitempty"`
		Kind     string `json:"kind"`
	}
)

// SARIF returns the sets as one log with a run for each. A finding is at the line of its first setting in the stack's
// file. Without a setting it is at the resource, and at the file as a whole if there is one, because some viewers show
// findings with a file only.
func SARIF(sets ...Set) ([]byte, error) {
	log := sarifLog{
		Schema:  "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json",
		Version: "2.1.0",
		Runs:    []sarifRun{},
	}
	for i := range sets {
		log.Runs = append(log.Runs, sets[i].sarif())
	}
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(log)
	return text.Bytes(), err
}

func (s *Set) sarif() sarifRun {
	run := sarifRun{
		Tool:        sarifTool{Driver: sarifDriver{Name: "dbtier", Version: s.Version, Rules: []sarifRule{}}},
		Invocations: []sarifInvocation{{Successful: len(s.Faults) == 0}},
		Results:     []sarifResult{},
	}
	for _, fault := range s.Faults {
		run.Invocations[0].Notifications = append(run.Invocations[0].Notifications,
			sarifNotification{"error", sarifText{fault}})
	}
	for _, r := range s.Rules {
		run.Tool.Driver.Rules = append(run.Tool.Driver.Rules, sarifRule{
			ID: r.Name, ShortDescription: sarifText{r.Summary}, FullDescription: sarifText{r.Why},
			Help: sarifText{"Fix: " + r.Fix},
			Properties: map[string]any{
				"tags": append([]string{r.Family}, r.IDs...), "problem.severity": r.Severity.String(),
			},
		})
	}
	for i := range s.Findings {
		f := &s.Findings[i]
		result := sarifResult{
			RuleID: f.Rule, Level: "warning", Message: sarifText{f.Message}, Locations: []sarifLocation{s.locate(f)},
			Prints: map[string]string{"dbtier/v1": f.Rule + " " + f.URN},
		}
		if f.Stops {
			result.Level = "error"
		}
		if f.Known {
			result.Level, result.Baseline = "note", "unchanged"
		}
		run.Results = append(run.Results, result)
	}
	return run
}

func (s *Set) locate(f *Finding) sarifLocation {
	at := sarifLocation{Logical: []sarifLogical{{Name: f.name(), FullName: f.URN, Kind: "resource"}}}
	if s.File == "" {
		return at
	}
	at.Physical = &sarifPhysical{Artifact: sarifArtifact{URI: s.File}}
	for _, setting := range f.Settings {
		if line := stackfile.Line(s.Text, setting); line > 0 {
			at.Physical.Region = &sarifRegion{StartLine: line}
			break
		}
	}
	return at
}
