package ruletest

import (
	"cmp"
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
	"dbtier/policy/pack"
	"dbtier/policy/rule"
)

// Now is the current time in tests.
var Now = time.Date(2027, time.January, 15, 12, 0, 0, 0, time.UTC)

// Unknown is a value that is not known before the update.
type Unknown struct{}

// Secret is a value that is secret.
type Secret struct{ Value any }

// Resource is a resource of a stack.
type Resource struct {
	Type, Name string
	// GivenURN is the URN if other resources depend on it.
	GivenURN string
	// Inputs are plain values, which can contain Unknown and Secret.
	Inputs map[string]any
	// Outputs are values of the cloud. Stack rules see them instead of inputs with the same name.
	Outputs      map[string]any
	Parent       string
	Dependencies []string
	// PropertyDependencies are the URNs that each property depends on.
	PropertyDependencies map[string][]string
}

// URN returns GivenURN, or a URN without the types of parents.
func (r *Resource) URN() string {
	if r.GivenURN != "" {
		return r.GivenURN
	}
	return "urn:pulumi:test::test::" + r.Type + "::" + r.Name
}

// Clone returns a deep copy.
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

// Change is one change to the inputs of a resource.
type Change struct {
	// Path has keys and indexes. The value nil removes the member.
	Path  []any
	Value any
}

// Set returns a change that sets the value at a path of keys and indexes, and creates missing objects.
func Set(value any, path ...any) Change { return Change{path, value} }

// Drop returns a change that removes a member.
func Drop(path ...any) Change { return Change{path, nil} }

// On returns a copy of the resource with the change.
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
		panic(fmt.Sprintf("a path has keys and indexes, not %T", path[0]))
	}
}

// Answer is the result of judging a stack.
type Answer struct {
	Diagnostics []*pulumirpc.AnalyzeDiagnostic
	// Pending are the rules that wait for unknown values. Said is the message about them.
	Pending []string
	Said    string
}

// Violations returns the messages of a rule.
func (a *Answer) Violations(name string) []string {
	var messages []string
	for _, d := range a.Diagnostics {
		if d.GetPolicyName() == name {
			messages = append(messages, d.GetMessage())
		}
	}
	return messages
}

// Mandatory returns the mandatory violations, sorted: rule, resource and message.
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

// Setup says how a pack is run.
type Setup struct {
	Profile rule.Profile
	// Update says that the run is an update and not a preview.
	Update bool
	// Config has the properties of rules by name, and the level with the key enforcementLevel.
	Config map[string]map[string]any
}

// Server returns a server that is configured as by the engine, and the messages that it shows.
func Server(tb testing.TB, setup Setup, rules ...*rule.Rule) (*analyzer.Server, *string) {
	tb.Helper()
	said := ""
	tested := pack.Pack{Name: "test", Version: "1.2.3", Rules: rules, Now: func() time.Time { return Now }}
	server, err := analyzer.New(tested, func(_ context.Context, message string) { said += message })
	require.NoError(tb, err)
	profile := cmp.Or(setup.Profile, rule.Production)
	_, err = server.ConfigureStack(tb.Context(), &pulumirpc.AnalyzerStackConfigureRequest{
		Stack: "test", Project: "test", DryRun: !setup.Update,
		Config: map[string]string{pack.ProfileKey: string(profile)},
	})
	require.NoError(tb, err)
	require.NoError(tb, Configure(tb.Context(), server, setup, rules))
	return server, &said
}

// Configure sends the policy config as the engine does: the level of every rule, or the one in the setup.
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

// Judge judges a stack as the engine does: first each resource with its inputs, then all with their outputs.
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

// Request returns a resource as the engine sends it.
func Request(tb testing.TB, r *Resource) *pulumirpc.AnalyzeRequest {
	tb.Helper()
	return &pulumirpc.AnalyzeRequest{Type: r.Type, Name: r.Name, Urn: r.URN(), Properties: Encode(tb,
		r.Inputs), Options: &pulumirpc.AnalyzerResourceOptions{Parent: r.Parent}}
}

// StackRequest returns all resources as the engine sends them at the end.
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

// Encode returns an object as the engine encodes it.
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

// Plain returns properties as plain values, with Unknown and Secret. It is the reverse of [Encode].
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

// Golden returns the resources of a golden file.
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

// Named returns the resource with a logical name.
func Named(tb testing.TB, resources []*Resource, name string) *Resource {
	tb.Helper()
	at := slices.IndexFunc(resources, func(r *Resource) bool { return r.Name == name })
	require.GreaterOrEqual(tb, at, 0, "there is no resource %s", name)
	return resources[at]
}
