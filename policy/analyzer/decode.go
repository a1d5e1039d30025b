package analyzer

import (
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/sig"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/urn"
	"github.com/pulumi/pulumi/sdk/v3/go/property"
	"google.golang.org/protobuf/types/known/structpb"
)

// The SDK's package plugin also decodes and encodes values. With it, a fifth of the pack would be code for languages,
// credentials and files that a pack does not use, and all of that runs at the start.

// fields are the properties of a resource. Each is decoded when a rule first reads it.
type fields struct {
	encoded map[string]*structpb.Value
	decoded map[string]property.Value
}

func fieldsOf(encoded *structpb.Struct) *fields {
	return &fields{encoded: encoded.GetFields(), decoded: map[string]property.Value{}}
}

// GetOk returns a property.
func (f *fields) GetOk(key string) (property.Value, bool) {
	encoded, found := f.encoded[key]
	if !found {
		return property.Value{}, false
	}
	value, done := f.decoded[key]
	if !done {
		value = decodeValue(encoded)
		f.decoded[key] = value
	}
	return value, true
}

// decode decodes all properties.
func decode(encoded *structpb.Struct) property.Map {
	values := make(map[string]property.Value, len(encoded.GetFields()))
	for key, field := range encoded.GetFields() {
		values[key] = decodeValue(field)
	}
	return property.NewMap(values)
}

// unknownText stands for an unknown value of any type in what the pack sends.
const unknownText = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"

// unknowns are the strings that stand for an unknown value in what the engine sends, one per type.
var unknowns = map[string]bool{
	unknownText:                            true,
	"1c4a061d-8072-4f0a-a4cb-0ff528b18fe7": true, // bool
	"3eeb2bf0-c639-47a8-9e75-3b44932eb421": true, // number
	"6a19a0b0-7e62-4c92-b797-7f8e31da9cc2": true, // array
	"030794c1-ac77-496b-92df-f27374a8bd58": true, // asset
	"e48ece36-62e2-4504-bad9-02848725956a": true, // archive
	"dd056dcd-154b-4c76-9bd3-c8f88648b5ff": true, // object
}

// decodeValue decodes a value. Assets, archives and references become the objects that stand for them: rules do not
// read them, and encode returns them as they came.
func decodeValue(encoded *structpb.Value) property.Value {
	switch kind := encoded.GetKind().(type) {
	case *structpb.Value_BoolValue:
		return property.New(kind.BoolValue)
	case *structpb.Value_NumberValue:
		return property.New(kind.NumberValue)
	case *structpb.Value_StringValue:
		// All unknowns have the same length.
		if len(kind.StringValue) == len(unknownText) && unknowns[kind.StringValue] {
			return property.New(property.Computed)
		}
		return property.New(kind.StringValue)
	case *structpb.Value_ListValue:
		list := make([]property.Value, len(kind.ListValue.GetValues()))
		for i, item := range kind.ListValue.GetValues() {
			list[i] = decodeValue(item)
		}
		return property.New(property.NewArray(list))
	case *structpb.Value_StructValue:
		return decodeObject(kind.StructValue)
	default:
		return property.Value{}
	}
}

func decodeObject(encoded *structpb.Struct) property.Value {
	fields := encoded.GetFields()
	switch fields[sig.Key].GetStringValue() {
	case sig.Secret:
		return decodeValue(fields["value"]).WithSecret(true)
	case sig.OutputValue:
		value := property.New(property.Computed)
		if inner, known := fields["value"]; known {
			value = decodeValue(inner)
		}
		var dependencies []urn.URN
		for _, dependency := range fields["dependencies"].GetListValue().GetValues() {
			dependencies = append(dependencies, urn.URN(dependency.GetStringValue()))
		}
		if len(dependencies) > 0 {
			value = value.WithDependencies(dependencies)
		}
		return value.WithSecret(value.Secret() || fields["secret"].GetBoolValue())
	default:
		return property.New(decode(encoded))
	}
}

// encode encodes all properties.
func encode(properties property.Map) *structpb.Struct {
	fields := make(map[string]*structpb.Value, properties.Len())
	for key, value := range properties.AllStable {
		fields[key] = encodeValue(value)
	}
	return &structpb.Struct{Fields: fields}
}

func encodeValue(value property.Value) *structpb.Value {
	encoded := encodePlain(value)
	switch dependencies := value.Dependencies(); {
	case len(dependencies) > 0:
		fields := map[string]*structpb.Value{sig.Key: structpb.NewStringValue(sig.OutputValue)}
		if !value.IsComputed() {
			fields["value"] = encoded
		}
		if value.Secret() {
			fields["secret"] = structpb.NewBoolValue(true)
		}
		list := make([]*structpb.Value, len(dependencies))
		for i, dependency := range dependencies {
			list[i] = structpb.NewStringValue(string(dependency))
		}
		fields["dependencies"] = structpb.NewListValue(&structpb.ListValue{Values: list})
		return structpb.NewStructValue(&structpb.Struct{Fields: fields})
	case value.Secret():
		return structpb.NewStructValue(&structpb.Struct{Fields: map[string]*structpb.Value{
			sig.Key: structpb.NewStringValue(sig.Secret), "value": encoded,
		}})
	default:
		return encoded
	}
}

// encodePlain encodes a value without its secrecy and dependencies.
func encodePlain(value property.Value) *structpb.Value {
	switch {
	case value.IsBool():
		return structpb.NewBoolValue(value.AsBool())
	case value.IsNumber():
		return structpb.NewNumberValue(value.AsNumber())
	case value.IsString():
		return structpb.NewStringValue(value.AsString())
	case value.IsComputed():
		return structpb.NewStringValue(unknownText)
	case value.IsMap():
		return structpb.NewStructValue(encode(value.AsMap()))
	case value.IsArray():
		list := make([]*structpb.Value, value.AsArray().Len())
		for i := range list {
			list[i] = encodeValue(value.AsArray().Get(i))
		}
		return structpb.NewListValue(&structpb.ListValue{Values: list})
	default:
		return structpb.NewNullValue()
	}
}
