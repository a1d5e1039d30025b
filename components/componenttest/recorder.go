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

// Values of the recorded AWS.
const (
	Account = "111122223333"
	Region  = "ap-northeast-2"
	// ProxyID is the resource id of an RDS Proxy.
	ProxyID = "prx-0ab1c2d3e4f567890"
	KeyArn  = "arn:aws:kms:ap-northeast-2:111122223333:key/5f2d1c3e-0000-4000-8000-1234567890ab"
)

// Created is the time at which the API server created each ExternalSecret.
const Created = "2026-11-03T04:05:06Z"

// SecretArn is the secret that RDS creates for an instance. Its name is random, so nothing can compute it.
const SecretArn = "arn:aws:secretsmanager:ap-northeast-2:111122223333:secret:" +
	"rds!db-033d7456-2c96-450d-9d48-f5de3025e51c-xmJRDx"

// Resource is one registered resource.
type Resource struct {
	Type, Name, URN, Parent string
	// Inputs as plain values, without secret and output wrappers.
	Inputs map[string]any
	// Given are the inputs and Answered the outputs, both with their secret and unknown markers.
	Given, Answered resource.PropertyMap
	// Dependencies are the URNs that the resource waits for, by dependsOn or by an input. PropertyDependencies are
	// those of each input.
	Dependencies         []string
	PropertyDependencies map[string][]string
	// Provider is the provider instance, "<urn>::<id>". Empty for components.
	Provider string
	// Secrets are the secret inputs, as dotted paths.
	Secrets       []string
	IgnoreChanges []string
	// ReplaceOnChanges are the paths whose change replaces the resource, although its provider would update it.
	ReplaceOnChanges []string
	// ReplacementTrigger is the plain value whose change replaces the resource, or nil.
	ReplacementTrigger  any
	DeleteBeforeReplace bool
	RetainOnDelete      bool
	Protect             bool
	Custom              bool
}

// Options returns the options that decide what happens to the resource when it changes or leaves the program, without
// those that are not set.
func (r *Resource) Options() map[string]any {
	options := map[string]any{}
	for name, set := range map[string]bool{
		"protect": r.Protect, "retainOnDelete": r.RetainOnDelete, "deleteBeforeReplace": r.DeleteBeforeReplace,
	} {
		if set {
			options[name] = true
		}
	}
	for name, paths := range map[string][]string{
		"ignoreChanges": r.IgnoreChanges, "replaceOnChanges": r.ReplaceOnChanges,
	} {
		if len(paths) > 0 {
			options[name] = paths
		}
	}
	return options
}

// Text returns the inputs as JSON, for searching.
func (r *Resource) Text() string {
	text, err := json.Marshal(r.Inputs)
	if err != nil {
		return fmt.Sprint(r.Inputs)
	}
	return string(text)
}

// At returns the input at a path of object keys and list indexes, or nil.
func (r *Resource) At(path ...any) any { return At(r.Inputs, path...) }

// At returns the value at a path of object keys and list indexes in a tree, or nil.
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

// Recording holds everything that a program registered, in order.
type Recording struct {
	mu        sync.Mutex
	resources []*Resource
	// Outputs are the program's exports.
	Outputs map[string]any
	dryRun  bool
	others  map[string]map[string]any
	answers map[string]map[string]any
	reads   map[string]map[string]any
}

// Option changes how a program is run.
type Option func(*pulumi.RunInfo, *Recording)

// Preview runs the program as a preview: values that only AWS knows are unknown.
func Preview() Option {
	return func(info *pulumi.RunInfo, r *Recording) { info.DryRun, r.dryRun = true, true }
}

// Config sets the stack config by full key ("dbtier:cloud").
func Config(config map[string]string) Option {
	return func(info *pulumi.RunInfo, _ *Recording) { info.Config = config }
}

// SecretConfig marks keys of the stack config as encrypted.
func SecretConfig(keys ...string) Option {
	return func(info *pulumi.RunInfo, _ *Recording) { info.ConfigSecretKeys = keys }
}

// Stack sets the name of the stack. Default test.
func Stack(name string) Option {
	return func(info *pulumi.RunInfo, _ *Recording) { info.Stack = name }
}

// Root sets the folder of the project.
func Root(dir string) Option {
	return func(info *pulumi.RunInfo, _ *Recording) { info.RootDirectory = dir }
}

// Run runs a program and fails the test if the program fails.
func Run(t *testing.T, program pulumi.RunFunc, options ...Option) *Recording {
	t.Helper()
	recording, err := Try(program, options...)
	require.NoError(t, err)
	return recording
}

// Try runs a program and returns its error.
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
	// The engine waits only for outputs of the context, and a plain value has none.
	ours, resolve, _ := ctx.NewOutput()
	resolve(nil)
	pulumi.All(ours, value).ApplyT(func(resolved []any) any {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.Outputs[name] = resolved[1]
		return nil
	})
}

// NewResource records a registration and answers as the cloud does.
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
		// The mocks leave out unknown values.
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
		recorded.ReplaceOnChanges = rpc.GetReplaceOnChanges()
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

// SecretOutput is a secret output of another stack.
type SecretOutput string

// OtherStack adds a stack with outputs to the backend, for stack references.
func OtherStack(name string, outputs map[string]any) Option {
	return func(_ *pulumi.RunInfo, r *Recording) {
		if r.others == nil {
			r.others = map[string]map[string]any{}
		}
		r.others[name] = outputs
	}
}

// Reads gives every resource of a type outputs that differ from its inputs, as if it had changed in the cloud.
func Reads(resourceType string, outputs map[string]any) Option {
	return func(_ *pulumi.RunInfo, r *Recording) {
		if r.reads == nil {
			r.reads = map[string]map[string]any{}
		}
		r.reads[resourceType] = outputs
	}
}

// Invoke answers a provider function, by its token. A function without an answer fails the program.
func Invoke(token string, answer map[string]any) Option {
	return func(_ *pulumi.RunInfo, r *Recording) {
		if r.answers == nil {
			r.answers = map[string]map[string]any{}
		}
		r.answers[token] = answer
	}
}

// Call answers stack references and what Invoke set. It refuses every other call: the tier must call no provider
// functions, so that it can be previewed without credentials.
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
	if answer, ok := r.answers[args.Token]; ok {
		return resource.NewPropertyMapFromMap(answer), nil
	}
	return nil, fmt.Errorf("the program called %s, but it must not use invokes", args.Token)
}

// All returns the resources of a type, sorted by name: the SDK registers independent resources in any order.
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

// Each returns all resources in the order of registration.
func (r *Recording) Each() []*Resource {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.resources)
}

// One returns the only resource of a type.
func (r *Recording) One(t *testing.T, resourceType string) *Resource {
	t.Helper()
	found := r.All(resourceType)
	require.Len(t, found, 1, "resources of type %s", resourceType)
	return found[0]
}

// Named returns the resource of a type with a logical name.
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

// Follows reports whether a resource waits for another: by its own dependencies, by those of its parent component,
// which is registered before it, or through other resources.
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

// short returns a URN without stack and project.
func short(full string) string {
	parts := strings.SplitN(full, "::", 3)
	if len(parts) < 3 {
		return full
	}
	return parts[2]
}

// ParentOf returns the short URN of a resource's parent.
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
