package ruletest

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/plugin"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/structpb"
	"gopkg.in/yaml.v3"

	"dbtier/policy/analyzer"
	"dbtier/policy/rule"
)

// Now is the time of tests.
var Now = time.Date(2027, time.January, 15, 12, 0, 0, 0, time.UTC)

// Unknown is a value that only the update knows.
type Unknown struct{}

// Secret is a value that is secret.
type Secret struct{ Value any }

// Resource of a stack.
type Resource struct {
	Type, Name string
	// GivenURN is the URN where others depend on it.
	GivenURN string
	// Inputs as plain values, in which Unknown and Secret may stand.
	Inputs map[string]any
	// Outputs are what the cloud adds; they go over the inputs in what stack rules see.
	Outputs      map[string]any
	Parent       string
	Dependencies []string
	// PropertyDependencies are the URNs that a property depends on.
	PropertyDependencies map[string][]string
}

// URN of the resource: the one that was given, or one without its parents' types.
func (r *Resource) URN() string {
	if r.GivenURN != "" {
		return r.GivenURN
	}
	return "urn:pulumi:test::test::" + r.Type + "::" + r.Name
}

// Clone is a copy that can be changed.
func (r *Resource) Clone() *Resource {
	clone := *r
	clone.Inputs, _ = cloned(r.Inputs).(map[string]any)
	clone.Outputs, _ = cloned(r.Outputs).(map[string]any)
	clone.Dependencies = slices.Clone(r.Dependencies)
	return &clone
}

func cloned(value any) any {
	switch value := value.(type) {
	case map[string]any:
		object := make(map[string]any, len(value))
		for key, inner := range value {
			object[key] = cloned(inner)
		}
		return object
	case []any:
		list := make([]any, len(value))
		for i, inner := range value {
			list[i] = cloned(inner)
		}
		return list
	default:
		return value
	}
}

// Change is one change of a resource.
type Change struct {
	// Path of keys and indexes; Value nil takes the member away.
	Path  []any
	Value any
}

// Set puts a value under a path of keys and indexes, making objects on the way.
func Set(value any, path ...any) Change { return Change{path, value} }

// Drop takes a member away.
func Drop(path ...any) Change { return Change{path, nil} }

// On is a copy of the resource with the change.
func (c Change) On(r *Resource) *Resource {
	clone := r.Clone()
	clone.Inputs, _ = change(clone.Inputs, c.Path, c.Value).(map[string]any)
	return clone
}

func change(at any, path []any, value any) any {
	if len(path) == 0 {
		return value
	}
	switch step := path[0].(type) {
	case string:
		object, ok := at.(map[string]any)
		if !ok {
			object = map[string]any{}
		}
		if len(path) == 1 && value == nil {
			delete(object, step)
			return object
		}
		object[step] = change(object[step], path[1:], value)
		return object
	case int:
		list, _ := at.([]any)
		for len(list) <= step {
			list = append(list, nil)
		}
		list[step] = change(list[step], path[1:], value)
		return list
	default:
		panic(fmt.Sprintf("a path has keys and indexes, and no %T", path[0]))
	}
}

// Answer is what a pack says.
type Answer struct {
	Diagnostics []*pulumirpc.AnalyzeDiagnostic
	// Pending are the rules that wait, and Said is what the person is told of them.
	Pending []string
	Said    string
}

// Violations are the diagnostics of a rule that are no mere notes of what is not known.
func (a *Answer) Violations(name string) []string {
	var messages []string
	for _, d := range a.Diagnostics {
		if d.GetPolicyName() == name {
			messages = append(messages, d.GetMessage())
		}
	}
	return messages
}

// Mandatory are the mandatory violations, one a line: rule, resource and message.
func (a *Answer) Mandatory() []string {
	var found []string
	for _, d := range a.Diagnostics {
		if d.GetEnforcementLevel() == pulumirpc.EnforcementLevel_MANDATORY {
			found = append(found, fmt.Sprintf("%s %s: %s", d.GetPolicyName(), d.GetUrn(), d.GetMessage()))
		}
	}
	slices.Sort(found)
	return found
}

// Setup is how a pack is run.
type Setup struct {
	Profile rule.Profile
	// Update is no preview.
	Update bool
	// Config of rules by name: the level with the key enforcementLevel, and properties.
	Config map[string]map[string]any
}

// Server is a pack that is configured as the engine configures it.
func Server(tb testing.TB, setup Setup, rules ...*rule.Rule) (*analyzer.Server, *string) {
	tb.Helper()
	said := ""
	server, err := analyzer.New(analyzer.Pack{
		Name: "test", Version: "1.2.3", Rules: rules, Now: func() time.Time { return Now },
		Say: func(_ context.Context, message string) { said += message },
	})
	require.NoError(tb, err)
	profile := setup.Profile
	if profile == "" {
		profile = rule.Production
	}
	_, err = server.ConfigureStack(tb.Context(), &pulumirpc.AnalyzerStackConfigureRequest{
		Stack: "test", Project: "test", DryRun: !setup.Update,
		Config: map[string]string{"dbtier-policy:profile": string(profile)},
	})
	require.NoError(tb, err)
	require.NoError(tb, Configure(tb.Context(), server, setup, rules))
	return server, &said
}

// Configure gives a server the policy config, as the engine does: a level and defaults for every rule, and what the
// file says over them.
func Configure(ctx context.Context, server *analyzer.Server, setup Setup, rules []*rule.Rule) error {
	config := map[string]*pulumirpc.PolicyConfig{}
	for _, r := range rules {
		level := r.Levels.Of(setup.Profile)
		properties := map[string]any{}
		maps.Copy(properties, setup.Config[r.Name])
		if name, ok := properties["enforcementLevel"].(string); ok {
			level, _ = rule.LevelOf(name)
			delete(properties, "enforcementLevel")
		}
		encoded, err := structpb.NewStruct(properties)
		if err != nil {
			return err
		}
		config[r.Name] = &pulumirpc.PolicyConfig{
			EnforcementLevel: pulumirpc.EnforcementLevel(level), Properties: encoded,
		}
	}
	_, err := server.Configure(ctx, &pulumirpc.ConfigureAnalyzerRequest{PolicyConfig: config})
	return err
}

// Judge runs a pack on a whole stack, as an engine does: each resource by its inputs, and then all by their outputs.
func Judge(tb testing.TB, setup Setup, rules []*rule.Rule, resources ...*Resource) *Answer {
	tb.Helper()
	server, said := Server(tb, setup, rules...)
	answer := &Answer{}
	take := func(response *pulumirpc.AnalyzeResponse, err error) {
		require.NoError(tb, err)
		answer.Diagnostics = append(answer.Diagnostics, response.GetDiagnostics()...)
		for _, waits := range response.GetNotApplicable() {
			answer.Pending = append(answer.Pending, waits.GetPolicyName())
		}
	}
	for _, r := range resources {
		take(server.Analyze(tb.Context(), Request(tb, r)))
	}
	take(server.AnalyzeStack(tb.Context(), StackRequest(tb, resources)))
	slices.Sort(answer.Pending)
	answer.Pending = slices.Compact(answer.Pending)
	answer.Said = *said
	return answer
}

func init() { //nolint:gochecknoinits // Whoever tests rules wants to know.
	rule.Undeclared = func(r *rule.Rule, key string) {
		panic(fmt.Sprintf("rule %s reads %s, which its Needs do not name", r.Name, key))
	}
}

// Request is a resource as the engine sends it.
func Request(tb testing.TB, r *Resource) *pulumirpc.AnalyzeRequest {
	tb.Helper()
	return &pulumirpc.AnalyzeRequest{Type: r.Type, Name: r.Name, Urn: r.URN(), Properties: Encode(tb,
		r.Inputs), Options: &pulumirpc.AnalyzerResourceOptions{Parent: r.Parent}}
}

// StackRequest is all resources as the engine sends them at the end.
func StackRequest(tb testing.TB, resources []*Resource) *pulumirpc.AnalyzeStackRequest {
	tb.Helper()
	request := &pulumirpc.AnalyzeStackRequest{}
	for _, r := range resources {
		outputs := maps.Clone(r.Inputs)
		if outputs == nil {
			outputs = map[string]any{}
		}
		maps.Copy(outputs, r.Outputs)
		properties := map[string]*pulumirpc.AnalyzerPropertyDependencies{}
		for key, urns := range r.PropertyDependencies {
			properties[key] = &pulumirpc.AnalyzerPropertyDependencies{Urns: urns}
		}
		request.Resources = append(request.Resources, &pulumirpc.AnalyzerResource{
			Type: r.Type, Name: r.Name, Urn: r.URN(), Properties: Encode(tb, outputs), Parent: r.Parent,
			Dependencies: r.Dependencies, PropertyDependencies: properties,
			Options: &pulumirpc.AnalyzerResourceOptions{Parent: r.Parent},
		})
	}
	return request
}

// Encode is an object as it goes over the wire.
func Encode(tb testing.TB, object map[string]any) *structpb.Struct {
	tb.Helper()
	encoded, err := plugin.MarshalProperties(value(object).ObjectValue(),
		plugin.MarshalOptions{KeepUnknowns: true, KeepSecrets: true})
	require.NoError(tb, err)
	return encoded
}

func value(of any) resource.PropertyValue {
	switch of := of.(type) {
	case Unknown:
		return resource.MakeComputed(resource.NewProperty(""))
	case Secret:
		return resource.MakeSecret(value(of.Value))
	case map[string]any:
		object := resource.PropertyMap{}
		for key, inner := range of {
			object[resource.PropertyKey(key)] = value(inner)
		}
		return resource.NewProperty(object)
	case []any:
		list := make([]resource.PropertyValue, len(of))
		for i, inner := range of {
			list[i] = value(inner)
		}
		return resource.NewProperty(list)
	default:
		return resource.NewPropertyValue(of)
	}
}

// Plain is a property map as plain values, with Unknown and Secret where they stand.
func Plain(properties resource.PropertyMap) map[string]any {
	object := make(map[string]any, len(properties))
	for key, value := range properties {
		object[string(key)] = plain(value)
	}
	return object
}

func plain(value resource.PropertyValue) any {
	switch {
	case value.IsSecret():
		return Secret{plain(value.SecretValue().Element)}
	case value.IsOutput():
		inner := any(Unknown{})
		if value.OutputValue().Known {
			inner = plain(value.OutputValue().Element)
		}
		if value.OutputValue().Secret {
			return Secret{inner}
		}
		return inner
	case value.IsComputed():
		return Unknown{}
	case value.IsObject():
		return Plain(value.ObjectValue())
	case value.IsArray():
		list := make([]any, len(value.ArrayValue()))
		for i, inner := range value.ArrayValue() {
			list[i] = plain(inner)
		}
		return list
	default:
		return value.V
	}
}

// Golden are the resources of a golden file.
func Golden(tb testing.TB, file string) []*Resource {
	tb.Helper()
	text, err := os.ReadFile(file)
	require.NoError(tb, err)
	var entries []struct {
		Resource string
		Parent   string
		Inputs   map[string]any
	}
	require.NoError(tb, yaml.Unmarshal(text, &entries))
	resources := make([]*Resource, len(entries))
	for i, entry := range entries {
		kind, name, _ := strings.Cut(entry.Resource, " ")
		resources[i] = &Resource{Type: kind, Name: name, Inputs: entry.Inputs}
		if parentType, parent, ok := strings.Cut(entry.Parent, "::"); ok {
			resources[i].Parent = (&Resource{Type: parentType, Name: parent}).URN()
		}
	}
	return resources
}

// Named is the resource of a name.
func Named(tb testing.TB, resources []*Resource, name string) *Resource {
	tb.Helper()
	at := slices.IndexFunc(resources, func(r *Resource) bool { return r.Name == name })
	require.GreaterOrEqual(tb, at, 0, "no resource is named %s", name)
	return resources[at]
}
