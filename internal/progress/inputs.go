package progress

import (
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"gopkg.in/yaml.v3"
)

// Placeholders for what a preview cannot or must not show.
const (
	Computed = "<known after the update>"
	Secret   = "<secret>"
)

// unknown values are written by the engine as these ids, whatever their type.
var unknowns = map[string]bool{
	"1c4a061d-8072-4f0a-a4cb-0ff528b18fe7": true, // bool
	"3eeb2bf0-c639-47a8-9e75-3b44932eb421": true, // number
	"04da6b54-80e4-46f7-96ec-b56ff0331ba9": true, // string
	"6a19a0b0-7e62-4c92-b797-7f8e31da9cc2": true, // array
	"030794c1-ac77-496b-92df-f27374a8bd58": true, // asset
	"e48ece36-62e2-4504-bad9-02848725956a": true, // archive
	"dd056dcd-154b-4c76-9bd3-c8f88648b5ff": true, // object
}

// Sanitize replaces unknown values by Computed and secret ones by Secret.
func Sanitize(value any) any {
	switch v := value.(type) {
	case string:
		if unknowns[v] {
			return Computed
		}
		if v == "[secret]" || strings.HasPrefix(v, "[secret") && strings.HasSuffix(v, "]") {
			return Secret
		}
		return v
	case map[string]any:
		// The engine's mark of a secret in a serialised value.
		if _, ok := v["4dabf18193072939515e22adb298388d"]; ok {
			return Secret
		}
		out := make(map[string]any, len(v))
		for key, inner := range v {
			out[key] = Sanitize(inner)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, inner := range v {
			out[i] = Sanitize(inner)
		}
		return out
	default:
		return v
	}
}

func writeInputs(inputs map[string]any) string {
	visible, _ := Sanitize(inputs).(map[string]any)
	delete(visible, "__defaults")
	delete(visible, "__initialApiVersion")
	delete(visible, "__fieldManager")
	text, err := yaml.Marshal(visible)
	if err != nil {
		return "(inputs that cannot be shown: " + err.Error() + ")"
	}
	return string(text)
}

// At follows a property path, such as spec.template.spec.containers[0].image or data["a.b"], into a value; false where
// it leads nowhere.
func At(value any, path string) (any, bool) {
	steps, err := resource.ParsePropertyPath(path)
	if err != nil {
		return nil, false
	}
	for _, step := range steps {
		switch key := step.(type) {
		case string:
			fields, ok := value.(map[string]any)
			if !ok {
				return nil, false
			}
			if value, ok = fields[key]; !ok {
				return nil, false
			}
		case int:
			items, ok := value.([]any)
			if !ok || key < 0 || key >= len(items) {
				return nil, false
			}
			value = items[key]
		}
	}
	return value, true
}
