package analyzer

import (
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/asset"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/plugin"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/sig"
	"github.com/pulumi/pulumi/sdk/v3/go/property"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"
)

// marshalling is how the engine encodes values.
var marshalling = plugin.MarshalOptions{
	Label: "policy", KeepUnknowns: true, KeepSecrets: true, KeepResources: true, KeepOutputValues: true,
}

// bySDK decodes with the SDK, as policyx does.
func bySDK(encoded *structpb.Struct) (property.Map, error) {
	decoded, err := plugin.UnmarshalProperties(encoded, marshalling)
	if err != nil {
		return property.Map{}, err
	}
	return resource.FromResourcePropertyMap(decoded), nil
}

func TestDecodingIsThatOfTheSDK(t *testing.T) {
	t.Parallel()
	element := resource.NewProperty("hunter22")
	properties := resource.PropertyMap{
		"null": resource.NewNullProperty(), "bool": resource.NewProperty(true), "number": resource.NewProperty(1.5),
		"text":  element,
		"list":  resource.NewProperty([]resource.PropertyValue{element, resource.MakeComputed(element)}),
		"empty": resource.NewProperty(resource.PropertyMap{}),
		"object": resource.NewProperty(resource.PropertyMap{
			"a": resource.MakeSecret(element), "b": resource.MakeSecret(resource.MakeComputed(element)),
		}),
		"secrets": resource.MakeSecret(resource.NewProperty(resource.PropertyMap{"a": element})),
		"unknown": resource.MakeComputed(resource.NewProperty(resource.PropertyMap{})),
		"output": resource.NewProperty(resource.Output{
			Element: element, Known: true, Secret: true, Dependencies: []resource.URN{"urn:pulumi:a::b::c::d"},
		}),
		"waiting": resource.NewProperty(resource.Output{Secret: true}),
	}
	encoded, err := plugin.MarshalProperties(properties, marshalling)
	require.NoError(t, err)
	want, err := bySDK(encoded)
	require.NoError(t, err)
	assert.Equal(t, want, decode(encoded))

	lazy := fieldsOf(encoded)
	value, found := lazy.GetOk("text")
	assert.True(t, found)
	assert.Equal(t, property.New("hunter22"), value)
	_, found = lazy.GetOk("missing")
	assert.False(t, found)
	assert.Equal(t, map[string]property.Value{"text": value}, lazy.decoded,
		"a property that no rule reads is not decoded")
}

func TestEncodingIsThatOfTheSDK(t *testing.T) {
	t.Parallel()
	text, err := asset.FromText("hello")
	require.NoError(t, err)
	element := resource.NewProperty("hunter22")
	properties := resource.PropertyMap{
		"null": resource.NewNullProperty(), "bool": resource.NewProperty(true), "number": resource.NewProperty(1.5),
		"list":    resource.NewProperty([]resource.PropertyValue{element, resource.MakeSecret(element)}),
		"object":  resource.NewProperty(resource.PropertyMap{"a": resource.MakeSecret(element)}),
		"unknown": resource.MakeComputed(resource.NewProperty("")),
		"output": resource.NewProperty(resource.Output{
			Element: element, Known: true, Secret: true, Dependencies: []resource.URN{"urn:pulumi:a::b::c::d"},
		}),
		"waiting": resource.NewProperty(resource.Output{Dependencies: []resource.URN{"urn:pulumi:a::b::c::d"}}),
		"asset":   resource.NewProperty(text),
		"other":   resource.MakeCustomResourceReference("urn:pulumi:a::b::c::d", "id", "1.0.0"),
	}
	encoded, err := plugin.MarshalProperties(properties, marshalling)
	require.NoError(t, err)
	assert.True(t, proto.Equal(encoded, encode(decode(encoded))), "%v\n%v", encoded, encode(decode(encoded)))
}

func FuzzDecodingIsThatOfTheSDK(f *testing.F) {
	f.Add(`{"a":[1,null,{"b":"04da6b54-80e4-46f7-96ec-b56ff0331ba9"}],"c":{"4dabf18193072939515e22adb298388d":"1b47061264138c4ac30d75fd1eb44270","value":{"d":true}}}`)
	f.Add(`{"a":{"4dabf18193072939515e22adb298388d":"d0e6a833031e9bbcd3f4e8bde6ca49a4","secret":true,"dependencies":["b","a"]}}`)
	f.Fuzz(func(t *testing.T, text string) {
		encoded := &structpb.Struct{}
		if protojson.Unmarshal([]byte(text), encoded) != nil {
			return
		}
		// Assets, archives and references stay the objects that stand for them.
		for _, signature := range []string{sig.AssetSig, sig.ArchiveSig, sig.ResourceReference, sig.ByteString} {
			if strings.Contains(encoded.String(), signature) {
				return
			}
		}
		want, err := bySDK(encoded)
		if err != nil {
			return
		}
		got := decode(encoded)
		assert.True(t, property.New(want).Equals(property.New(got)), "%v\n%v", want, got)
	})
}
