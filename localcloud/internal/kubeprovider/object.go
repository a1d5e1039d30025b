package kubeprovider

import (
	"fmt"
	"maps"
	"math"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/plugin"
	"google.golang.org/protobuf/types/known/structpb"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// Keys in the outputs in addition to the live object. They are those of pulumi-kubernetes, so that a stack can switch
// between the two.
const (
	inputsKey            = "__inputs"
	fieldManagerKey      = "__fieldManager"
	initialAPIVersionKey = "__initialApiVersion"
)

// unknown represents a value that is not known until other resources exist.
type unknown struct{}

func unmarshal(label string, properties *structpb.Struct) (resource.PropertyMap, error) {
	return plugin.UnmarshalProperties(properties,
		plugin.MarshalOptions{Label: label, KeepUnknowns: true, KeepSecrets: true})
}

func marshal(label string, properties resource.PropertyMap) (*structpb.Struct, error) {
	return plugin.MarshalProperties(properties,
		plugin.MarshalOptions{Label: label, KeepUnknowns: true, KeepSecrets: true})
}

// dashed maps field names of the SDKs to those of Kubernetes. The SDKs cannot use dashes in names.
var dashed = map[string]string{
	"x_kubernetes_embedded_resource":       "x-kubernetes-embedded-resource",
	"x_kubernetes_int_or_string":           "x-kubernetes-int-or-string",
	"x_kubernetes_list_map_keys":           "x-kubernetes-list-map-keys",
	"x_kubernetes_list_type":               "x-kubernetes-list-type",
	"x_kubernetes_map_type":                "x-kubernetes-map-type",
	"x_kubernetes_preserve_unknown_fields": "x-kubernetes-preserve-unknown-fields",
	"x_kubernetes_validations":             "x-kubernetes-validations",
}

// underscored returns the name of a field in the outputs.
func underscored(key string) string {
	if strings.HasPrefix(key, "x-kubernetes-") {
		if spelling := strings.ReplaceAll(key, "-", "_"); dashed[spelling] != "" {
			return spelling
		}
	}
	return key
}

// plainMap converts properties to the content of an object. Secrets are unwrapped, whole numbers become int64, and
// unknown values become [unknown].
func plainMap(properties resource.PropertyMap) map[string]any {
	content := make(map[string]any, len(properties))
	for key, value := range properties {
		name := string(key)
		if spelling, ok := dashed[name]; ok {
			name = spelling
		}
		content[name] = plainValue(value)
	}
	return content
}

func plainValue(value resource.PropertyValue) any {
	switch {
	case value.IsSecret():
		return plainValue(value.SecretValue().Element)
	case value.IsComputed():
		return unknown{}
	case value.IsOutput():
		if output := value.OutputValue(); output.Known {
			return plainValue(output.Element)
		}
		return unknown{}
	case value.IsObject():
		return plainMap(value.ObjectValue())
	case value.IsArray():
		items := make([]any, 0, len(value.ArrayValue()))
		for _, item := range value.ArrayValue() {
			items = append(items, plainValue(item))
		}
		return items
	case value.IsNumber():
		// Kubernetes distinguishes int64 and float64. The engine has only float64.
		if number := value.NumberValue(); number == math.Trunc(number) && math.Abs(number) < 1<<53 {
			return int64(number)
		}
		return value.NumberValue()
	default:
		return value.V
	}
}

// asObject returns an unstructured object of properties that are all known.
func asObject(properties resource.PropertyMap) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: plainMap(properties)}
}

// properties converts the content of an object to properties.
func properties(content map[string]any) resource.PropertyMap {
	return resource.NewPropertyMapFromMapRepl(content, func(key string) (resource.PropertyKey, bool) {
		return resource.PropertyKey(underscored(key)), true
	}, nil)
}

// field follows keys into nested properties, through secrets.
func field(properties resource.PropertyMap, keys ...string) (resource.PropertyValue, bool) {
	value := resource.NewObjectProperty(properties)
	for _, key := range keys {
		for value.IsSecret() {
			value = value.SecretValue().Element
		}
		if !value.IsObject() {
			return value, false
		}
		next, ok := value.ObjectValue()[resource.PropertyKey(key)]
		if !ok {
			return next, false
		}
		value = next
	}
	for value.IsSecret() {
		value = value.SecretValue().Element
	}
	return value, true
}

// text returns a string field, or "" if it is absent, unknown or not a string.
func text(properties resource.PropertyMap, keys ...string) string {
	if value, ok := field(properties, keys...); ok && value.IsString() {
		return value.StringValue()
	}
	return ""
}

// isUnknown reports whether a field or one of its parents is not known yet.
func isUnknown(properties resource.PropertyMap, keys ...string) bool {
	for i := 1; i <= len(keys); i++ {
		value, ok := field(properties, keys[:i]...)
		if !ok {
			return false
		}
		if value.IsComputed() || (value.IsOutput() && !value.OutputValue().Known) {
			return true
		}
	}
	return false
}

// annotations returns the known annotations of the inputs.
func annotations(properties resource.PropertyMap) map[string]string {
	found := map[string]string{}
	value, ok := field(properties, "metadata", "annotations")
	if !ok || !value.IsObject() {
		return found
	}
	for key := range value.ObjectValue() {
		if item, ok := field(value.ObjectValue(), string(key)); ok && item.IsString() {
			found[string(key)] = item.StringValue()
		}
	}
	return found
}

// withMetadata returns a copy of the inputs with changed metadata. It does not modify the inputs.
func withMetadata(inputs resource.PropertyMap, change func(metadata resource.PropertyMap)) resource.PropertyMap {
	inputs = maps.Clone(inputs)
	value, ok := inputs["metadata"]
	secret := ok && value.IsSecret()
	for ok && value.IsSecret() {
		value = value.SecretValue().Element
	}
	metadata := resource.PropertyMap{}
	switch {
	case ok && value.IsObject():
		metadata = maps.Clone(value.ObjectValue())
	case ok && !value.IsNull():
		// The metadata is unknown as a whole, so no field can be set.
		return inputs
	}
	change(metadata)
	inputs["metadata"] = resource.NewObjectProperty(metadata)
	if secret {
		inputs["metadata"] = resource.MakeSecret(inputs["metadata"])
	}
	return inputs
}

// isSecretObject reports whether an object is a core Secret. Its contents are secret even if the program does not mark
// them.
func isSecretObject(content resource.PropertyMap) bool {
	return text(content, "kind") == "Secret" && text(content, "apiVersion") == "v1"
}

// markSecrets marks values that a server returned as secret where the inputs were secret. A list with a secret anywhere
// in the inputs becomes secret as a whole, because its order can differ.
func markSecrets(values, inputs resource.PropertyMap) {
	if isSecretObject(values) {
		for _, key := range []resource.PropertyKey{"data", "stringData"} {
			if value, ok := values[key]; ok && !value.IsSecret() {
				values[key] = resource.MakeSecret(value)
			}
		}
		// kubectl apply stores a copy of the whole object in an annotation.
		if value, ok := field(values, "metadata", "annotations"); ok && value.IsObject() {
			const applied = resource.PropertyKey("kubectl.kubernetes.io/last-applied-configuration")
			if copied, ok := value.ObjectValue()[applied]; ok && !copied.IsSecret() {
				value.ObjectValue()[applied] = resource.MakeSecret(copied)
			}
		}
	}
	for key, input := range inputs {
		value, ok := values[key]
		switch {
		case !ok || value.IsSecret():
		case value.IsObject() && input.IsObject():
			markSecrets(value.ObjectValue(), input.ObjectValue())
		case input.ContainsSecrets():
			values[key] = resource.MakeSecret(value)
		}
	}
}

// outputs returns what the engine records of an object: the live object and the inputs of the last update.
func outputs(
	live *unstructured.Unstructured, inputs resource.PropertyMap, initialAPIVersion, fieldManager string,
) resource.PropertyMap {
	content := live.DeepCopy()
	// managedFields is half of a typical object, and programs do not need it.
	unstructured.RemoveNestedField(content.Object, "metadata", "managedFields")
	state := properties(content.Object)
	markSecrets(state, inputs)
	recorded := maps.Clone(inputs)
	if isSecretObject(recorded) {
		recorded = inputs.Copy()
		markSecrets(recorded, nil)
	}
	state[inputsKey] = resource.NewObjectProperty(recorded)
	state[initialAPIVersionKey] = resource.NewStringProperty(initialAPIVersion)
	state[fieldManagerKey] = resource.NewStringProperty(fieldManager)
	return state
}

// recordedState is what the engine recorded of an object.
type recordedState struct {
	inputs            resource.PropertyMap
	live              *unstructured.Unstructured
	initialAPIVersion string
	fieldManager      string
}

func readState(state resource.PropertyMap) recordedState {
	recorded := recordedState{
		initialAPIVersion: text(state, initialAPIVersionKey),
		fieldManager:      text(state, fieldManagerKey),
	}
	if value, ok := field(state, inputsKey); ok && value.IsObject() {
		recorded.inputs = value.ObjectValue()
	}
	live := maps.Clone(state)
	for _, key := range []resource.PropertyKey{inputsKey, initialAPIVersionKey, fieldManagerKey} {
		delete(live, key)
	}
	recorded.live = asObject(live)
	return recorded
}

// identifier returns the ID of an object: "namespace/name", or "name" for cluster-scoped objects.
func identifier(obj *unstructured.Unstructured) string {
	if namespace := obj.GetNamespace(); namespace != "" {
		return namespace + "/" + obj.GetName()
	}
	return obj.GetName()
}

// parseIdentifier is the inverse of [identifier].
func parseIdentifier(id string) (namespace, name string, err error) {
	namespace, name, found := strings.Cut(id, "/")
	if !found {
		namespace, name = "", id
	}
	if name == "" || strings.Contains(name, "/") {
		return "", "",
			fmt.Errorf("%q is not the ID of a Kubernetes object: want \"namespace/name\", or \"name\" for objects "+
				"without a namespace", id)
	}
	return namespace, name, nil
}

// notObjects returns the paths of inputs that a Kubernetes object cannot contain.
func notObjects(path resource.PropertyPath, value resource.PropertyValue) []string {
	var faults []string
	switch {
	case value.IsSecret():
		return notObjects(path, value.SecretValue().Element)
	case value.IsObject():
		for _, key := range value.ObjectValue().StableKeys() {
			faults = append(faults, notObjects(append(path[:len(path):len(path)], string(key)),
				value.ObjectValue()[key])...)
		}
	case value.IsArray():
		for i, item := range value.ArrayValue() {
			faults = append(faults, notObjects(append(path[:len(path):len(path)], i), item)...)
		}
	case value.IsAsset(), value.IsArchive(), value.IsResourceReference():
		faults = append(faults, path.String())
	}
	return faults
}
