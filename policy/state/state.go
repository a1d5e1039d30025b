package state

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"google.golang.org/protobuf/types/known/structpb"

	"dbtier/policy/analyzer"
	"dbtier/policy/rule"
)

// Options are how a state is judged.
type Options struct {
	// Profile of the stack. Default production.
	Profile rule.Profile
	// Config is the text of a policy config file; none keeps the profile's levels.
	Config []byte
}

// Finding is what a rule says of a resource.
type Finding struct {
	Rule     string `json:"rule"`
	Level    string `json:"level"`
	Severity string `json:"severity"`
	// URN of the resource; empty where the whole stack is meant.
	URN     string `json:"urn,omitempty"`
	Message string `json:"message"`
}

// Report is what the pack says of a state.
type Report struct {
	// Resources that were looked at.
	Resources int `json:"resources"`
	// Mandatory is how many findings are.
	Mandatory int       `json:"mandatory"`
	Findings  []Finding `json:"findings"`
}

// exported is the part of an exported state that rules read.
type exported struct {
	Version    int `json:"version"`
	Deployment *struct {
		Resources []entry `json:"resources"`
	} `json:"deployment"`
}

type entry struct {
	URN                  string              `json:"urn"`
	Type                 string              `json:"type"`
	Delete               bool                `json:"delete"`
	Protect              bool                `json:"protect"`
	Inputs               map[string]any      `json:"inputs"`
	Outputs              map[string]any      `json:"outputs"`
	Parent               string              `json:"parent"`
	Dependencies         []string            `json:"dependencies"`
	PropertyDependencies map[string][]string `json:"propertyDependencies"`
}

// name is the last part of the URN, which may itself have colons.
func (e *entry) name() string {
	parts := strings.SplitN(e.URN, "::", 4)
	return parts[len(parts)-1]
}

// Judge runs the pack on the text of an exported state. A text that is none is an error, as is a policy config with
// faults, which is a [*ConfigError].
func Judge(ctx context.Context, pack analyzer.Pack, text []byte, options Options) (*Report, error) {
	var state exported
	if err := json.Unmarshal(text, &state); err != nil {
		return nil, fmt.Errorf("reading the state: want what `pulumi stack export` writes: %w", err)
	}
	if state.Deployment == nil {
		return nil, errors.New("reading the state: it has no deployment: want what `pulumi stack export` writes")
	}
	profile := cmp.Or(options.Profile, rule.Production)
	server, err := analyzer.New(pack)
	if err != nil {
		return nil, err
	}
	// Not a preview: what is not known now will not become known.
	stack := &pulumirpc.AnalyzerStackConfigureRequest{Config: map[string]string{analyzer.ProfileKey: string(profile)}}
	if _, err := server.ConfigureStack(ctx, stack); err != nil {
		return nil, err
	}
	config, err := configure(options.Config, pack.Rules, profile)
	if err != nil {
		return nil, err
	}
	if _, err := server.Configure(ctx, config); err != nil {
		return nil, &ConfigError{err}
	}
	report := &Report{Findings: []Finding{}}
	all := &pulumirpc.AnalyzeStackRequest{}
	for i := range state.Deployment.Resources {
		e := &state.Deployment.Resources[i]
		if e.Delete {
			continue
		}
		report.Resources++
		request, stack, err := e.requests()
		if err != nil {
			return nil, fmt.Errorf("reading the state: %s: %w", e.URN, err)
		}
		all.Resources = append(all.Resources, stack)
		answer, err := server.Analyze(ctx, request)
		if err != nil {
			return nil, err
		}
		report.add(answer)
	}
	answer, err := server.AnalyzeStack(ctx, all)
	if err != nil {
		return nil, err
	}
	report.add(answer)
	slices.SortStableFunc(report.Findings, func(a, b Finding) int {
		// Mandatory first: that is what stops an update.
		return cmp.Or(-cmp.Compare(order(a.Level), order(b.Level)), cmp.Compare(a.URN, b.URN),
			cmp.Compare(a.Rule, b.Rule))
	})
	return report, nil
}

func order(level string) int {
	return slices.Index([]string{"advisory", "mandatory"}, level)
}

func (r *Report) add(answer *pulumirpc.AnalyzeResponse) {
	for _, d := range answer.GetDiagnostics() {
		level := rule.Level(d.GetEnforcementLevel())
		if level == rule.Remediate {
			// Nothing is put right in a state.
			level = rule.Mandatory
		}
		if level == rule.Mandatory {
			r.Mandatory++
		}
		r.Findings = append(r.Findings, Finding{
			Rule: d.GetPolicyName(), Level: rule.LevelName(level), URN: d.GetUrn(), Message: d.GetMessage(),
			Severity: strings.ToLower(strings.TrimPrefix(d.GetSeverity().String(), "POLICY_SEVERITY_")),
		})
	}
}

// requests are the resource as the engine sends it: by its inputs alone, and by its outputs among all.
func (e *entry) requests() (*pulumirpc.AnalyzeRequest, *pulumirpc.AnalyzerResource, error) {
	inputs, err := encode(e.Inputs)
	if err != nil {
		return nil, nil, err
	}
	outputs, err := encode(e.Outputs)
	if err != nil {
		return nil, nil, err
	}
	options := &pulumirpc.AnalyzerResourceOptions{Protect: e.Protect, Parent: e.Parent}
	dependencies := map[string]*pulumirpc.AnalyzerPropertyDependencies{}
	for key, urns := range e.PropertyDependencies {
		dependencies[key] = &pulumirpc.AnalyzerPropertyDependencies{Urns: urns}
	}
	return &pulumirpc.AnalyzeRequest{Type: e.Type, Urn: e.URN, Name: e.name(), Properties: inputs, Options: options},
		&pulumirpc.AnalyzerResource{
			Type: e.Type, Urn: e.URN, Name: e.name(), Properties: outputs, Options: options, Parent: e.Parent,
			Dependencies:         e.Dependencies,
			PropertyDependencies: dependencies,
		}, nil
}

func encode(object map[string]any) (*structpb.Struct, error) {
	visible, _ := uncover(object).(map[string]any)
	encoded, err := structpb.NewStruct(visible)
	if err != nil {
		return nil, fmt.Errorf("its properties: %w", err)
	}
	return encoded, nil
}

// redacted is what the engine puts in the place of a secret that it cannot decrypt; rules take it for not known.
const redacted = "[secret]"

// uncover turns secrets as the state has them, encrypted or in plain, into secrets as they go over the wire.
func uncover(value any) any {
	switch value := value.(type) {
	case map[string]any:
		if value[resource.SigKey] == resource.SecretSig {
			secret := map[string]any{resource.SigKey: resource.SecretSig, "value": redacted}
			var inner any
			if plain, ok := value["plaintext"].(string); ok && json.Unmarshal([]byte(plain), &inner) == nil {
				secret["value"] = uncover(inner)
			}
			return secret
		}
		object := make(map[string]any, len(value))
		for key, inner := range value {
			object[key] = uncover(inner)
		}
		return object
	case []any:
		list := make([]any, len(value))
		for i, inner := range value {
			list[i] = uncover(inner)
		}
		return list
	default:
		return value
	}
}
