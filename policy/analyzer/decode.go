package analyzer

import (
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/plugin"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/urn"
	"github.com/pulumi/pulumi/sdk/v3/go/property"
	"google.golang.org/protobuf/types/known/structpb"
)

// marshalling is how the engine encodes values.
var marshalling = plugin.MarshalOptions{
	Label: "policy", KeepUnknowns: true, KeepSecrets: true, KeepResources: true, KeepOutputValues: true,
}

// fields are the properties of a resource. Each is decoded when a rule first reads it.
type fields struct {
	encoded map[string]*structpb.Value
	decoded map[string]property.Value
	err     error
}

func fieldsOf(encoded *structpb.Struct) *fields {
	return &fields{encoded: encoded.GetFields(), decoded: map[string]property.Value{}}
}

// GetOk returns a property. It keeps the first decoding error in err.
func (f *fields) GetOk(key string) (property.Value, bool) {
	encoded, found := f.encoded[key]
	if !found {
		return property.Value{}, false
	}
	value, done := f.decoded[key]
	if !done {
		var err error
		if value, err = decodeValue(encoded); err != nil && f.err == nil {
			f.err = err
		}
		f.decoded[key] = value
	}
	return value, true
}

// decode decodes all properties.
func decode(encoded *structpb.Struct) (property.Map, error) {
	values := make(map[string]property.Value, len(encoded.GetFields()))
	for key, field := range encoded.GetFields() {
		value, err := decodeValue(field)
		if err != nil {
			return property.Map{}, err
		}
		values[key] = value
	}
	return property.NewMap(values), nil
}

// unknowns are the strings that stand for an unknown value, one per type.
var unknowns = map[string]bool{
	plugin.UnknownBoolValue: true, plugin.UnknownNumberValue: true, plugin.UnknownStringValue: true,
	plugin.UnknownArrayValue: true, plugin.UnknownAssetValue: true, plugin.UnknownArchiveValue: true,
	plugin.UnknownObjectValue: true,
}

// decodeValue decodes a value in one step, where the SDK needs two. It uses the SDK for assets, archives and
// references, which rules do not read.
func decodeValue(encoded *structpb.Value) (property.Value, error) {
	switch kind := encoded.GetKind().(type) {
	case *structpb.Value_BoolValue:
		return property.New(kind.BoolValue), nil
	case *structpb.Value_NumberValue:
		return property.New(kind.NumberValue), nil
	case *structpb.Value_StringValue:
		// All unknowns have the same length.
		if len(kind.StringValue) == len(plugin.UnknownStringValue) && unknowns[kind.StringValue] {
			return property.New(property.Computed), nil
		}
		return property.New(kind.StringValue), nil
	case *structpb.Value_ListValue:
		list := make([]property.Value, len(kind.ListValue.GetValues()))
		for i, item := range kind.ListValue.GetValues() {
			value, err := decodeValue(item)
			if err != nil {
				return property.Value{}, err
			}
			list[i] = value
		}
		return property.New(property.NewArray(list)), nil
	case *structpb.Value_StructValue:
		return decodeObject(kind.StructValue)
	default:
		return property.Value{}, nil
	}
}

func decodeObject(encoded *structpb.Struct) (property.Value, error) {
	fields := encoded.GetFields()
	switch signature := fields[resource.SigKey].GetStringValue(); signature {
	case "":
		object, err := decode(encoded)
		return property.New(object), err
	case resource.SecretSig:
		value, err := decodeValue(fields["value"])
		return value.WithSecret(true), err
	case resource.OutputValueSig:
		inner, known := fields["value"]
		value := property.New(property.Computed)
		if known {
			var err error
			if value, err = decodeValue(inner); err != nil {
				return property.Value{}, err
			}
		}
		var dependencies []urn.URN
		for _, dependency := range fields["dependencies"].GetListValue().GetValues() {
			dependencies = append(dependencies, urn.URN(dependency.GetStringValue()))
		}
		if len(dependencies) > 0 {
			value = value.WithDependencies(dependencies)
		}
		return value.WithSecret(value.Secret() || fields["secret"].GetBoolValue()), nil
	default:
		decoded, err := plugin.UnmarshalPropertyValue("", structpb.NewStructValue(encoded), marshalling)
		if err != nil || decoded == nil {
			return property.Value{}, err
		}
		return resource.FromResourcePropertyValue(*decoded), nil
	}
}
