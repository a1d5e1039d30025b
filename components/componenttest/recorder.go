package componenttest

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/plugin"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/require"
)

// What the recorded AWS is.
const (
	Account = "111122223333"
	Region  = "ap-northeast-2"
	// ProxyID is the resource id of an RDS Proxy.
	ProxyID = "prx-0ab1c2d3e4f567890"
	KeyArn  = "arn:aws:kms:ap-northeast-2:111122223333:key/5f2d1c3e-0000-4000-8000-1234567890ab"
)

// SecretArn is the secret that RDS makes for an instance: a random name that nothing can compute.
//
//nolint:gosec // a name, and no credential
const SecretArn = "arn:aws:secretsmanager:ap-northeast-2:111122223333:secret:rds!db-033d7456-2c96-450d-9d48-f5de3025e51c-xmJRDx"

// Resource is one registration.
type Resource struct {
	Type, Name, URN, Parent string
	// Inputs as plain values; secret and output wrappers are taken off.
	Inputs map[string]any
	// Given are the inputs as they were given, and Answered the outputs, with what is secret and unknown about them.
	Given, Answered resource.PropertyMap
	// Dependencies are URNs that must be done first, by dependsOn or by an input; PropertyDependencies are those of
	// each input.
	Dependencies         []string
	PropertyDependencies map[string][]string
	// Provider is the provider instance, "<urn>::<id>"; empty for components.
	Provider string
	// Secrets are the inputs that are secret, as dotted paths.
	Secrets       []string
	IgnoreChanges []string
	// ReplacementTrigger is the plain value whose change replaces the resource; nil when there is none.
	ReplacementTrigger  any
	DeleteBeforeReplace bool
	RetainOnDelete      bool
	Protect             bool
	Custom              bool
}

// Text is the inputs as JSON, for searching.
func (r *Resource) Text() string {
	text, err := json.Marshal(r.Inputs)
	if err != nil {
		return fmt.Sprint(r.Inputs)
	}
	return string(text)
}

// At is the value under a path of object keys and list indexes; nil when there is none.
func (r *Resource) At(path ...any) any { return At(r.Inputs, path...) }

// At is the value in a tree under a path of object keys and list indexes; nil when there is none.
func At(value any, path ...any) any {
	for _, step := range path {
		switch key := step.(type) {
		case string:
			object, ok := value.(map[string]any)
			if !ok {
				return nil
			}
			value = object[key]
		case int:
			list, ok := value.([]any)
			if !ok || key >= len(list) {
				return nil
			}
			value = list[key]
		}
	}
	return value
}

// Recording is everything that a program registered, in order.
type Recording struct {
	mu        sync.Mutex
	resources []*Resource
	// Outputs are what the program exported.
	Outputs map[string]any
	dryRun  bool
	others  map[string]map[string]any
}

// Option changes how a program is run.
type Option func(*pulumi.RunInfo, *Recording)

// Preview runs the program as a preview does: what only AWS can know is unknown.
func Preview() Option {
	return func(info *pulumi.RunInfo, r *Recording) { info.DryRun, r.dryRun = true, true }
}

// Config sets the stack config, by full key ("dbtier:cloud").
func Config(config map[string]string) Option {
	return func(info *pulumi.RunInfo, _ *Recording) { info.Config = config }
}

// SecretConfig marks keys of the stack config as encrypted.
func SecretConfig(keys ...string) Option {
	return func(info *pulumi.RunInfo, _ *Recording) { info.ConfigSecretKeys = keys }
}

// Stack names the stack; by default it is test.
func Stack(name string) Option {
	return func(info *pulumi.RunInfo, _ *Recording) { info.Stack = name }
}

// Root is the folder of the project.
func Root(dir string) Option {
	return func(info *pulumi.RunInfo, _ *Recording) { info.RootDirectory = dir }
}

// Run runs a program that must succeed.
func Run(t *testing.T, program pulumi.RunFunc, options ...Option) *Recording {
	t.Helper()
	recording, err := Try(program, options...)
	require.NoError(t, err)
	return recording
}

// Try runs a program.
func Try(program pulumi.RunFunc, options ...Option) (*Recording, error) {
	recording := &Recording{Outputs: map[string]any{}}
	runOptions := []pulumi.RunOption{pulumi.WithMocks("dbtier", "test", recording)}
	runOptions = append(runOptions, func(info *pulumi.RunInfo) {
		for _, option := range options {
			option(info, recording)
		}
	})
	err := pulumi.RunErr(func(ctx *pulumi.Context) error {
		err := program(ctx)
		for name, value := range ctx.GetCurrentExportMap() {
			recording.export(ctx, name, value)
		}
		return err
	}, runOptions...)
	return recording, err
}

func (r *Recording) export(ctx *pulumi.Context, name string, value pulumi.Input) {
	// The engine waits for outputs of the context only; a plain value has none.
	ours, resolve, _ := ctx.NewOutput()
	resolve(nil)
	pulumi.All(ours, value).ApplyT(func(resolved []any) any {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.Outputs[name] = resolved[1]
		return nil
	})
}

// NewResource records a registration and answers as the cloud would.
func (r *Recording) NewResource(args pulumi.MockResourceArgs) (string, resource.PropertyMap, error) {
	recorded := &Resource{
		Type:     args.TypeToken,
		Name:     args.Name,
		Provider: args.Provider,
		Custom:   args.Custom,
		Inputs:   plain(resource.NewObjectProperty(args.Inputs)).(map[string]any),
		Secrets:  secretPaths("", resource.NewObjectProperty(args.Inputs)),
		Given:    args.Inputs,
	}
	if rpc := args.RegisterRPC; rpc != nil {
		recorded.Parent = rpc.GetParent()
		// The mocks leave out what is not known.
		whole := plugin.MarshalOptions{
			KeepUnknowns: true, KeepSecrets: true, KeepResources: true,
			KeepOutputValues: true,
		}
		given, err := plugin.UnmarshalProperties(rpc.GetObject(), whole)
		if err != nil {
			return "", nil, fmt.Errorf("the inputs of %s: %w", args.Name, err)
		}
		recorded.Given = given
		if trigger := rpc.GetReplacementTrigger(); trigger != nil {
			value, err := plugin.UnmarshalPropertyValue("replacementTrigger", trigger, whole)
			if err != nil {
				return "", nil, fmt.Errorf("the replacement trigger of %s: %w", args.Name, err)
			}
			recorded.ReplacementTrigger = plain(*value)
		}
		recorded.Dependencies = slices.Sorted(slices.Values(rpc.GetDependencies()))
		recorded.PropertyDependencies = map[string][]string{}
		for key, of := range rpc.GetPropertyDependencies() {
			recorded.PropertyDependencies[key] = of.GetUrns()
		}
		recorded.IgnoreChanges = rpc.GetIgnoreChanges()
		recorded.DeleteBeforeReplace = rpc.GetDeleteBeforeReplace()
		recorded.RetainOnDelete = rpc.GetRetainOnDelete()
		recorded.Protect = rpc.GetProtect()
	}
	recorded.URN = urn(recorded)
	id, outputs := r.answer(args)
	recorded.Answered = outputs
	r.mu.Lock()
	r.resources = append(r.resources, recorded)
	r.mu.Unlock()
	return id, outputs, nil
}

func urn(r *Resource) string {
	parentType := ""
	if parts := strings.Split(r.Parent, "::"); len(parts) == 4 && parts[2] != "pulumi:pulumi:Stack" {
		parentType = parts[2] + "$"
	}
	return fmt.Sprintf("%s%s::%s", parentType, r.Type, r.Name)
}

// SecretOutput is an output of another stack that is secret.
type SecretOutput string

// OtherStack is a stack of the same backend with its outputs, for stack references.
func OtherStack(name string, outputs map[string]any) Option {
	return func(_ *pulumi.RunInfo, r *Recording) {
		if r.others == nil {
			r.others = map[string]map[string]any{}
		}
		r.others[name] = outputs
	}
}

// Call reads stack references. It refuses all else: the program asks nothing of a provider outside of resources, so
// that it can be previewed without credentials.
func (r *Recording) Call(args pulumi.MockCallArgs) (resource.PropertyMap, error) {
	if args.Token == "pulumi:pulumi:readStackOutputs" {
		name := args.Args["name"].StringValue()
		outputs, ok := r.others[name]
		if !ok {
			return nil, fmt.Errorf("unknown stack %q", name)
		}
		secret := []resource.PropertyValue{}
		for key, value := range outputs {
			if marked, ok := value.(SecretOutput); ok {
				outputs[key] = string(marked)
				secret = append(secret, resource.NewProperty(key))
			}
		}
		return resource.PropertyMap{
			"outputs":           resource.NewPropertyValue(outputs),
			"secretOutputNames": resource.NewProperty(secret),
		}, nil
	}
	return nil, fmt.Errorf("the program called %s, but it must need no invokes", args.Token)
}

// All are the resources of a type, by their names: the SDK registers what does not wait for each other in any order.
func (r *Recording) All(resourceType string) []*Resource {
	r.mu.Lock()
	defer r.mu.Unlock()
	var found []*Resource
	for _, resource := range r.resources {
		if resource.Type == resourceType {
			found = append(found, resource)
		}
	}
	slices.SortStableFunc(found, func(a, b *Resource) int { return strings.Compare(a.Name, b.Name) })
	return found
}

// Each are all resources, in the order of registration.
func (r *Recording) Each() []*Resource {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.resources)
}

// One is the only resource of a type.
func (r *Recording) One(t *testing.T, resourceType string) *Resource {
	t.Helper()
	found := r.All(resourceType)
	require.Len(t, found, 1, "resources of type %s", resourceType)
	return found[0]
}

// Named is the resource of a type with a logical name.
func (r *Recording) Named(t *testing.T, resourceType, name string) *Resource {
	t.Helper()
	var names []string
	for _, resource := range r.All(resourceType) {
		if resource.Name == name {
			return resource
		}
		names = append(names, resource.Name)
	}
	require.Failf(t, "no such resource", "no %s named %s; there are %v", resourceType, name, names)
	return nil
}

// Types counts the resources by type.
func (r *Recording) Types() map[string]int {
	counts := map[string]int{}
	for _, resource := range r.Each() {
		counts[resource.Type]++
	}
	return counts
}

// Follows reports whether a resource waits for another: by a dependency, by one of its parent component, which is
// registered before it, or through others that wait.
func (r *Recording) Follows(later, earlier *Resource) bool {
	byURN := map[string]*Resource{}
	for _, resource := range r.Each() {
		byURN[resource.URN] = resource
	}
	seen := map[string]bool{}
	var visit func(*Resource) bool
	visit = func(at *Resource) bool {
		before := at.Dependencies
		if at.Parent != "" {
			before = append(slices.Clone(before), at.Parent)
		}
		for _, dependency := range before {
			name := short(dependency)
			if name == earlier.URN {
				return true
			}
			if next := byURN[name]; next != nil && !seen[name] {
				seen[name] = true
				if visit(next) {
					return true
				}
			}
		}
		return false
	}
	return visit(later)
}

// short takes stack and project off a URN.
func short(full string) string {
	parts := strings.SplitN(full, "::", 3)
	if len(parts) < 3 {
		return full
	}
	return parts[2]
}

// ParentOf is the short URN of a resource's parent.
func ParentOf(r *Resource) string { return short(r.Parent) }

func plain(value resource.PropertyValue) any {
	switch {
	case value.IsSecret():
		return plain(value.SecretValue().Element)
	case value.IsOutput():
		return plain(value.OutputValue().Element)
	case value.IsObject():
		object := map[string]any{}
		for key, inner := range value.ObjectValue() {
			object[string(key)] = plain(inner)
		}
		return object
	case value.IsArray():
		list := make([]any, 0, len(value.ArrayValue()))
		for _, inner := range value.ArrayValue() {
			list = append(list, plain(inner))
		}
		return list
	case value.IsComputed():
		return nil
	default:
		return value.V
	}
}

func secretPaths(path string, value resource.PropertyValue) []string {
	var found []string
	switch {
	case value.IsSecret():
		return []string{path}
	case value.IsObject():
		object := value.ObjectValue()
		for _, key := range slices.Sorted(maps.Keys(object)) {
			found = append(found, secretPaths(strings.TrimPrefix(path+"."+string(key), "."), object[key])...)
		}
	case value.IsArray():
		for i, inner := range value.ArrayValue() {
			found = append(found, secretPaths(fmt.Sprintf("%s[%d]", path, i), inner)...)
		}
	}
	return found
}
