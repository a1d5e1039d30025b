package state

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/sig"
	"github.com/pulumi/pulumi/sdk/v3/go/property"

	"dbtier/policy/pack"
	"dbtier/policy/rule"
)

// Options say how a state is judged.
type Options struct {
	// Profile of the stack. Default production.
	Profile rule.Profile
	// Config is the text of a policy config file. Default: the levels of the profile.
	Config []byte
}

// Finding is a finding of a rule about a resource.
type Finding struct {
	Rule     string `json:"rule"`
	Level    string `json:"level"`
	Severity string `json:"severity"`
	// URN of the resource. Empty for the stack as a whole.
	URN string `json:"urn,omitempty"`
	// Path of the value in the resource. Empty for the resource as a whole.
	Path    string `json:"path,omitempty"`
	Message string `json:"message"`
	// Known says that the finding is in the baseline.
	Known bool `json:"known,omitempty"`
}

// Report is the result of judging a state.
type Report struct {
	// Resources is the number of resources that were judged.
	Resources int `json:"resources"`
	// Mandatory is the number of findings whose level is mandatory and that are not in the baseline.
	Mandatory int       `json:"mandatory"`
	Findings  []Finding `json:"findings"`
	// Gone are the findings of the baseline that the state no longer has.
	Gone []Known `json:"gone,omitempty"`
}

// exported is a state. An exported state has a deployment, and `dbtier export --json` puts the state itself into the
// deployment of its answer. A file of a backend on disk or in a bucket has the deployment as the latest of a
// checkpoint.
type exported struct {
	Deployment *deployment `json:"deployment"`
	Checkpoint *struct {
		Latest *deployment `json:"latest"`
	} `json:"checkpoint"`
}

// deployment is the part of a state that rules read.
type deployment struct {
	exported
	// Resources is missing if the stack was never deployed.
	Resources json.RawMessage `json:"resources"`
	Manifest  map[string]any  `json:"manifest"`
}

// read returns the resources of an exported state.
func read(text []byte) ([]entry, error) {
	if len(bytes.TrimSpace(text)) == 0 {
		return nil, errors.New("it is empty")
	}
	var state exported
	if err := json.Unmarshal(text, &state); err != nil && !json.Valid(text) {
		return nil, fmt.Errorf("it is not JSON: %w", err)
	}
	if state.Deployment == nil && state.Checkpoint != nil {
		if state.Deployment = state.Checkpoint.Latest; state.Deployment == nil {
			return nil, nil
		}
	}
	for at := state.Deployment; at != nil; at = at.Deployment {
		switch {
		case at.Resources != nil:
			var resources []entry
			if json.Unmarshal(at.Resources, &resources) != nil {
				return nil, errors.New("its resources have another form")
			}
			return resources, nil
		case at.Manifest != nil:
			return nil, nil
		}
	}
	return nil, errors.New("it has no deployment with resources")
}

type entry struct {
	URN                  string              `json:"urn"`
	Type                 string              `json:"type"`
	Delete               bool                `json:"delete"`
	Protect              bool                `json:"protect"`
	Inputs               map[string]any      `json:"inputs"`
	Outputs              map[string]any      `json:"outputs"`
	Parent               string              `json:"parent"`
	Provider             string              `json:"provider"`
	Dependencies         []string            `json:"dependencies"`
	PropertyDependencies map[string][]string `json:"propertyDependencies"`
}

// Judge judges the text of an exported state. It returns a [*ConfigError] if the policy config has faults.
func Judge(p pack.Pack, text []byte, options Options) (*Report, error) {
	resources, err := read(text)
	if err != nil {
		return nil, fmt.Errorf("reading the state: %w: want the output of `pulumi stack export` or `dbtier export`",
			err)
	}
	profile, err := pack.ProfileOf(nil, nil, string(options.Profile))
	if err != nil {
		return nil, err
	}
	session := pack.NewSession(p, profile)
	settings, err := configure(options.Config, p.Rules, profile)
	if err == nil {
		err = session.Configure(settings)
	}
	if err != nil {
		return nil, &ConfigError{err}
	}
	report := &Report{Findings: []Finding{}}
	providers := map[string]property.Map{}
	for i := range resources {
		if e := &resources[i]; strings.HasPrefix(e.Type, "pulumi:providers:") {
			providers[e.URN] = object(e.Inputs)
		}
	}
	var all []*rule.Resource
	for i := range resources {
		e := &resources[i]
		if e.Delete {
			continue
		}
		report.Resources++
		judged := e.resource(e.Inputs)
		// The reference to a provider is its URN and its id.
		if at := strings.LastIndex(e.Provider, "::"); at > 0 {
			judged.Provider = providers[e.Provider[:at]]
		}
		report.add(session.Resource(judged))
		all = append(all, e.resource(e.Outputs))
	}
	report.add(session.Stack(all))
	slices.SortStableFunc(report.Findings, func(a, b Finding) int {
		// Mandatory findings come first, because they stop an update.
		return cmp.Or(-cmp.Compare(a.Level, b.Level), cmp.Compare(a.URN, b.URN), cmp.Compare(a.Rule, b.Rule))
	})
	return report, nil
}

func (r *Report) add(findings []pack.Finding) {
	for i := range findings {
		f := &findings[i]
		level := f.Level
		if level == rule.Remediate {
			// Nothing is remediated in a state.
			level = rule.Mandatory
		}
		if level == rule.Mandatory {
			r.Mandatory++
		}
		r.Findings = append(r.Findings, Finding{
			Rule: f.Rule.Name, Level: rule.LevelName(level), Severity: f.Rule.Severity.String(), URN: f.URN,
			Path: f.Path, Message: f.Text(),
		})
	}
}

// resource returns the resource with its inputs or its outputs as properties.
func (e *entry) resource(properties map[string]any) *rule.Resource {
	// The name is the last part of the URN, and can itself contain colons.
	parts := strings.SplitN(e.URN, "::", 4)
	dependencies := slices.Clone(e.Dependencies)
	for _, urns := range e.PropertyDependencies {
		dependencies = append(dependencies, urns...)
	}
	slices.Sort(dependencies)
	return &rule.Resource{
		Type: e.Type, URN: e.URN, Name: parts[len(parts)-1], Protected: e.Protect, Parent: e.Parent,
		Properties: object(properties), Dependencies: slices.Compact(dependencies),
		PropertyDependencies: e.PropertyDependencies,
	}
}

func object(members map[string]any) property.Map {
	values := make(map[string]property.Value, len(members))
	for key, member := range members {
		values[key] = value(member)
	}
	return property.NewMap(values)
}

// value converts a value of the state. A secret that is encrypted becomes [rule.Redacted].
func value(of any) property.Value {
	switch of := of.(type) {
	case bool:
		return property.New(of)
	case float64:
		return property.New(of)
	case string:
		return property.New(of)
	case []any:
		list := make([]property.Value, len(of))
		for i, item := range of {
			list[i] = value(item)
		}
		return property.New(property.NewArray(list))
	case map[string]any:
		if of[sig.Key] != sig.Secret {
			return property.New(object(of))
		}
		var inner any
		if plain, ok := of["plaintext"].(string); ok && json.Unmarshal([]byte(plain), &inner) == nil {
			return value(inner).WithSecret(true)
		}
		return property.New(rule.Redacted).WithSecret(true)
	default:
		return property.Value{}
	}
}
