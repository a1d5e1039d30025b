package analyzer

import (
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/plugin"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/urn"
	"github.com/pulumi/pulumi/sdk/v3/go/property"
	"google.golang.org/protobuf/types/known/structpb"
)

// marshalling is how values go over the wire.
var marshalling = plugin.MarshalOptions{
	Label: "policy", KeepUnknowns: true, KeepSecrets: true, KeepResources: true, KeepOutputValues: true,
}

// decode turns the properties that rules read into values, with what is secret and unknown about them.
func decode(encoded *structpb.Struct, wanted *reads) (property.Map, error) {
	fields := encoded.GetFields()
	if len(fields) == 0 {
		return property.Map{}, nil
	}
	values := make(map[string]property.Value, len(fields))
	for key, field := range fields {
		if !wanted.all && !wanted.keys[key] {
			continue
		}
		value, err := decodeValue(field)
		if err != nil {
			return property.Map{}, err
		}
		values[key] = value
	}
	return property.NewMap(values), nil
}

// unknowns are the texts that stand for a value that is not known, one a type.
var unknowns = map[string]bool{
	plugin.UnknownBoolValue: true, plugin.UnknownNumberValue: true, plugin.UnknownStringValue: true,
	plugin.UnknownArrayValue: true,
	plugin.UnknownAssetValue: true, plugin.UnknownArchiveValue: true, plugin.UnknownObjectValue: true,
}

// decodeValue does in one go what the SDK does in two, for the values that rules can read; the rest it leaves to the
// SDK.
func decodeValue(encoded *structpb.Value) (property.Value, error) {
	switch kind := encoded.GetKind().(type) {
	case *structpb.Value_BoolValue:
		return property.New(kind.BoolValue), nil
	case *structpb.Value_NumberValue:
		return property.New(kind.NumberValue), nil
	case *structpb.Value_StringValue:
		// They are all as long as each other.
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
		object, err := decode(encoded, &reads{all: true})
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
