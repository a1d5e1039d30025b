package kubeprovider

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/plugin"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi/provider"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/cli-utils/pkg/object"
	"sigs.k8s.io/cli-utils/pkg/object/graph"

	"dbtier/localcloud/internal/kubeprovider/await"
	"dbtier/localcloud/internal/kubeprovider/chart"
)

// resourcePolicy is Helm's annotation for objects that stay when their release is uninstalled.
const resourcePolicy = "helm.sh/resource-policy"

// Construct renders a helm.v4.Chart and registers its objects as children.
func (s *Server) Construct(ctx context.Context, req *pulumirpc.ConstructRequest) (*pulumirpc.ConstructResponse, error) {
	if req.GetType() != chartToken {
		return nil, fmt.Errorf("%s: component %s is not supported here: use %s, or %s", req.GetName(), req.GetType(),
			chartToken, installed)
	}
	inputs, err := plugin.UnmarshalProperties(req.GetInputs(), plugin.MarshalOptions{
		Label: "chart inputs", KeepUnknowns: true, KeepSecrets: true, KeepOutputValues: true,
	})
	if err != nil {
		return nil, err
	}
	s.mutex.RLock()
	host := s.host
	s.mutex.RUnlock()
	if host == nil {
		return nil, errors.New("the Pulumi engine has not attached to this kubernetes provider")
	}
	ctx, cancel := s.bound(ctx)
	defer cancel()
	return provider.Construct(ctx, req, host.EngineConn(),
		func(program *pulumi.Context, typ, name string, _ provider.ConstructInputs,
			options pulumi.ResourceOption,
		) (*provider.ConstructResult, error) {
			component := &chartComponent{Resources: pulumi.Array{}.ToArrayOutput()}
			if err := program.RegisterComponentResource(typ, name, component, options); err != nil {
				return nil, err
			}
			if inputs.ContainsUnknowns() {
				// As in the real provider: a chart cannot be rendered without all of its values.
				_ = program.Log.Warn("inputs of the chart are not known yet, so its objects are not previewed",
					&pulumi.LogArgs{Resource: component})
				return provider.NewConstructResult(component)
			}
			if err := s.chart(program, name, inputs, component); err != nil {
				return nil, err
			}
			return provider.NewConstructResult(component)
		})
}

// chartComponent is the component resource of a chart.
type chartComponent struct {
	pulumi.ResourceState

	Resources pulumi.ArrayOutput `pulumi:"resources"`
}

// chartArgs are the inputs of a helm.v4.Chart.
type chartArgs struct {
	chart.Options

	prefix    string
	skipAwait bool
	// secret reports that a value is secret. The rendered objects are then secret, too.
	secret bool
}

// readChartArgs reads the inputs of a chart and returns all their faults.
func (s *Server) readChartArgs(name string, inputs resource.PropertyMap) (chartArgs, error) {
	args := chartArgs{
		Options: chart.Options{Dir: s.options.Dir, ReleaseName: name, Values: map[string]any{}},
		prefix:  name, secret: inputs.ContainsSecrets(),
	}
	var faults []error
	fail := func(key, format string, values ...any) {
		faults = append(faults, fmt.Errorf("%s: %s", key, fmt.Sprintf(format, values...)))
	}
	texts := map[string]*string{
		"chart": &args.Chart, "name": &args.ReleaseName, "namespace": &args.Namespace, "version": &args.Version,
		"resourcePrefix": &args.prefix,
	}
	switches := map[string]*bool{
		"devel": &args.Devel, "dependencyUpdate": &args.DependencyUpdate, "verify": &args.Verify,
		"skipCrds":  &args.SkipCRDs,
		"skipAwait": &args.skipAwait, "plainHttp": &args.PlainHTTP,
	}
	for _, key := range inputs.StableKeys() {
		input := string(key)
		value, _ := field(inputs, input)
		value = resolved(value)
		switch {
		case value.IsNull() || strings.HasPrefix(input, "__"):
		case texts[input] != nil && value.IsString():
			*texts[input] = value.StringValue()
		case switches[input] != nil && value.IsBool():
			*switches[input] = value.BoolValue()
		case input == "values" && value.IsObject():
			args.Values = plainMap(value.ObjectValue())
		case input == "valueYamlFiles" && value.IsArray():
			for i, item := range value.ArrayValue() {
				content, err := s.content(resolved(item))
				if err != nil {
					fail(fmt.Sprintf("valueYamlFiles[%d]", i), "%v", err)
					continue
				}
				args.ValueFiles = append(args.ValueFiles, content)
			}
		case input == "keyring":
			path, err := s.path(value)
			if err != nil {
				fail(input, "%v", err)
			}
			args.Keyring = path
		case input == "repositoryOpts" && value.IsObject():
			s.readRepository(value.ObjectValue(), &args, fail)
		case input == "postRenderer":
			fail(input, "is not supported here: set the chart's values instead, or %s", installed)
		case texts[input] != nil:
			fail(input, "must be a string and is a %s", value.TypeString())
		case switches[input] != nil:
			fail(input, "must be true or false and is a %s", value.TypeString())
		case input == "values", input == "repositoryOpts", input == "valueYamlFiles":
			fail(input, "is a %s and must be a map (valueYamlFiles: a list)", value.TypeString())
		default:
			fail(input, "is not a supported input of %s", chartToken)
		}
	}
	if args.Chart == "" {
		fail("chart", "is missing: set a path, an oci:// reference, or the name of a chart in repositoryOpts.repo")
	}
	if len(faults) > 0 {
		return args, fmt.Errorf("chart %q: %w", name, errors.Join(faults...))
	}
	return args, nil
}

func (s *Server) readRepository(
	options resource.PropertyMap, args *chartArgs, fail func(key, format string, values ...any),
) {
	texts := map[string]*string{
		"repo": &args.Repository.URL, "username": &args.Repository.Username,
		"password": &args.Repository.Password,
	}
	files := map[string]*string{
		"caFile": &args.Repository.CAFile, "certFile": &args.Repository.CertFile, "keyFile": &args.Repository.KeyFile,
		"keyring": &args.Keyring,
	}
	for _, key := range options.StableKeys() {
		input := string(key)
		value, _ := field(options, input)
		value = resolved(value)
		switch {
		case value.IsNull():
		case texts[input] != nil && value.IsString():
			*texts[input] = value.StringValue()
		case files[input] != nil:
			path, err := s.path(value)
			if err != nil {
				fail("repositoryOpts."+input, "%v", err)
			}
			*files[input] = path
		default:
			fail("repositoryOpts."+input, "is not a supported option")
		}
	}
}

// resolved unwraps known outputs and secrets.
func resolved(value resource.PropertyValue) resource.PropertyValue {
	for {
		switch {
		case value.IsSecret():
			value = value.SecretValue().Element
		case value.IsOutput():
			value = value.OutputValue().Element
		default:
			return value
		}
	}
}

// path returns the path of a file that is given as a file asset or as a string. Relative paths start in the project
// folder.
func (s *Server) path(value resource.PropertyValue) (string, error) {
	var path string
	switch {
	case value.IsString():
		path = value.StringValue()
	case value.IsAsset() && value.AssetValue().IsPath():
		path = value.AssetValue().Path
	default:
		return "", errors.New("must be a file: use a file asset")
	}
	if !filepath.IsAbs(path) {
		path = filepath.Join(s.options.Dir, path)
	}
	return path, nil
}

// content returns the content of an asset.
func (s *Server) content(value resource.PropertyValue) ([]byte, error) {
	if value.IsAsset() && value.AssetValue().IsText() {
		return []byte(value.AssetValue().Text), nil
	}
	path, err := s.path(value)
	if err != nil {
		return nil, errors.New("must be a file or a text: use a file asset or a string asset")
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the values file: %w", err)
	}
	return content, nil
}

// chart renders the chart and registers its objects.
func (s *Server) chart(
	program *pulumi.Context, name string, inputs resource.PropertyMap, component *chartComponent,
) error {
	args, err := s.readChartArgs(name, inputs)
	if err != nil {
		return err
	}
	found := s.reachable()
	namespace := args.Namespace
	switch {
	case namespace == "" && found != nil:
		namespace = found.namespace
	case namespace == "":
		namespace = "default"
	}
	args.Namespace = namespace
	if s.options.Offline {
		args.Instead = s.options.Chart
	}
	if found != nil {
		// The API versions of the server change with the installed definitions, so they are read each time.
		found.discovery.Invalidate()
		args.Cluster = &chart.Cluster{Config: found.config, Discovery: found.discovery, Mapper: found.mapper}
	}
	rendered, err := chart.Render(program.Context(), args.Options)
	if err != nil {
		return err
	}
	if rendered.Instead != "" {
		_ = program.Log.Warn(
			fmt.Sprintf(
				"an offline preview downloads nothing: chart %s %s is previewed as version %s, which is on this "+
					"machine",
				args.Chart, args.Version, rendered.Instead), &pulumi.LogArgs{Resource: component})
	}
	if rendered.Deprecated {
		_ = program.Log.Warn(fmt.Sprintf("chart %s is deprecated", args.Chart), &pulumi.LogArgs{Resource: component})
	}
	if len(rendered.Hooks) > 0 {
		_ = program.Log.Warn("the hooks of the chart are not run: "+strings.Join(rendered.Hooks, ", "),
			&pulumi.LogArgs{Resource: component})
	}
	return s.register(program, args, rendered.Objects, component)
}

// register registers the objects of a chart as children of its component, all at once. The engine waits for
// dependencies: namespaces and definitions come before the objects that need them.
func (s *Server) register(
	program *pulumi.Context, args chartArgs, objects []*unstructured.Unstructured, component *chartComponent,
) error {
	for _, obj := range objects {
		if obj.GetKind() == "CustomResourceDefinition" {
			s.kinds.learn(properties(map[string]any{"spec": withoutSchemas(obj)}))
		}
	}
	for _, obj := range objects {
		if namespaced, known := s.scope(obj.GroupVersionKind()); known && namespaced && obj.GetNamespace() == "" {
			obj.SetNamespace(args.Namespace)
		}
	}
	dependencies, err := graph.DependencyGraph(objects)
	if err != nil {
		return fmt.Errorf("order the objects of chart %s: %w", args.Chart, err)
	}
	sorted, err := dependencies.Sort()
	if err != nil {
		return fmt.Errorf("order the objects of chart %s: %w", args.Chart, err)
	}
	registered := map[object.ObjMetadata]pulumi.Resource{}
	var definitions []pulumi.Resource
	all := pulumi.Array{}
	for _, definitionsFirst := range []bool{true, false} {
		for _, layer := range graph.HydrateSetList(sorted, objects) {
			for _, obj := range layer {
				isDefinition := obj.GetKind() == "CustomResourceDefinition"
				if isDefinition != definitionsFirst {
					continue
				}
				id := object.UnstructuredToObjMetadata(obj)
				options := []pulumi.ResourceOption{pulumi.Parent(component)}
				needs := []pulumi.Resource{}
				for _, dependency := range dependencies.Dependencies(id) {
					if other, ok := registered[dependency]; ok {
						needs = append(needs, other)
					}
				}
				if !isDefinition {
					needs = append(needs, definitions...)
				}
				if len(needs) > 0 {
					options = append(options, pulumi.DependsOn(needs))
				}
				child, err := registerChild(program, args, obj, component, options)
				if err != nil {
					return err
				}
				registered[id] = child
				all = append(all, pulumi.NewResourceOutput(child))
				if isDefinition {
					definitions = append(definitions, child)
				}
			}
		}
	}
	component.Resources = all.ToArrayOutputWithContext(program.Context())
	return nil
}

// withoutSchemas returns what a definition says about its kinds.
func withoutSchemas(definition *unstructured.Unstructured) map[string]any {
	spec, _ := definition.Object["spec"].(map[string]any)
	versions, _ := spec["versions"].([]any)
	short := make([]any, 0, len(versions))
	for _, item := range versions {
		version, _ := item.(map[string]any)
		short = append(short, map[string]any{"name": version["name"], "served": version["served"]})
	}
	return map[string]any{"group": spec["group"], "scope": spec["scope"], "names": spec["names"], "versions": short}
}

// child is any object of a chart.
type child struct {
	pulumi.CustomResourceState
}

// contents are the inputs of a child. They have no specific Go type.
type contents map[string]any

// ElementType implements pulumi.Input.
func (contents) ElementType() reflect.Type { return reflect.TypeFor[map[string]any]() }

func registerChild(
	program *pulumi.Context, args chartArgs, obj *unstructured.Unstructured, component pulumi.Resource,
	options []pulumi.ResourceOption,
) (pulumi.Resource, error) {
	if args.skipAwait {
		marks := obj.GetAnnotations()
		if marks == nil {
			marks = map[string]string{}
		}
		marks[await.AnnotationSkipAwait] = "true"
		obj.SetAnnotations(marks)
	}
	switch policy := obj.GetAnnotations()[resourcePolicy]; policy {
	case "":
	case "keep":
		options = append(options, pulumi.RetainOnDelete(true))
	default:
		_ = program.Log.Warn(fmt.Sprintf("%s %s: Helm resource policy %q is not supported", obj.GetKind(),
			obj.GetName(), policy),
			&pulumi.LogArgs{Resource: component})
	}
	name := obj.GetName()
	if obj.GetNamespace() != "" {
		name = obj.GetNamespace() + "/" + name
	}
	if args.prefix != "" {
		name = args.prefix + ":" + name
	}
	apiVersion := obj.GetAPIVersion()
	if !strings.Contains(apiVersion, "/") {
		apiVersion = "core/" + apiVersion
	}
	inputs := contents{}
	isSecret := obj.GetKind() == "Secret" && obj.GetAPIVersion() == "v1"
	for key, value := range obj.Object {
		plain := key == "apiVersion" || key == "kind" || key == "metadata"
		if (args.secret && !plain) || (isSecret && (key == "data" || key == "stringData")) {
			inputs[key] = pulumi.ToSecret(value)
			continue
		}
		inputs[key] = value
	}
	registered := &child{}
	token := fmt.Sprintf("%s:%s:%s", packageName, apiVersion, obj.GetKind())
	if err := program.RegisterResource(token, name, inputs, registered, options...); err != nil {
		return nil, fmt.Errorf("register %s: %w", name, err)
	}
	return registered, nil
}
