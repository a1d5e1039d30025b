package progress

import (
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/plugin"
	"gopkg.in/yaml.v3"

	"dbtier/validation/credential"
)

// Placeholders for values that a preview cannot know or must not show.
const (
	Computed = "<known after the update>"
	Secret   = "<secret>"
)

// IsUnknown reports whether the value is what the engine writes in place of a value that is not known yet.
func IsUnknown(value string) bool {
	switch value {
	case plugin.UnknownBoolValue, plugin.UnknownNumberValue, plugin.UnknownStringValue, plugin.UnknownArrayValue,
		plugin.UnknownAssetValue, plugin.UnknownArchiveValue, plugin.UnknownObjectValue:
		return true
	}
	return false
}

// IsSecret reports whether the value is a secret as the engine serialises it.
func IsSecret(value any) bool {
	object, _ := value.(map[string]any)
	_, marked := object[resource.SigKey]
	return marked
}

// Replace copies a value of maps and lists, and puts what replace returns in the place of each value for which it
// returns true.
func Replace(value any, replace func(any) (any, bool)) any {
	if other, ok := replace(value); ok {
		return other
	}
	switch v := value.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for key, inner := range v {
			out[key] = Replace(inner, replace)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, inner := range v {
			out[i] = Replace(inner, replace)
		}
		return out
	}
	return value
}

// Sanitize copies a value with Computed in the place of unknown values and Secret in the place of secret ones.
func Sanitize(value any) any {
	return Replace(value, func(value any) (any, bool) {
		text, _ := value.(string)
		switch {
		case IsUnknown(text):
			return Computed, true
		case IsSecret(value), strings.HasPrefix(text, "[secret") && strings.HasSuffix(text, "]"):
			return Secret, true
		}
		return nil, false
	})
}

// Visible is [Sanitize] for the properties of a resource. It masks credentials that nothing declares secret, such as a
// password in a variable of a container: the policies refuse them only after they would have been shown.
func Visible(properties map[string]any) map[string]any {
	if properties == nil {
		return nil
	}
	visible, _ := Sanitize(credential.Tree("", properties)).(map[string]any)
	return visible
}

func writeInputs(inputs map[string]any) string {
	visible := Visible(inputs)
	delete(visible, "__defaults")
	delete(visible, "__initialApiVersion")
	delete(visible, "__fieldManager")
	text, err := yaml.Marshal(visible)
	if err != nil {
		return "(the inputs cannot be shown: " + err.Error() + ")"
	}
	return string(text)
}

// At follows a property path, such as spec.template.spec.containers[0].image or data["a.b"], into a value. It returns
// false when the value has nothing at that path.
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
