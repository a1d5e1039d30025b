package awsprovider

import (
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
)

// previewCreate returns what is known of the outputs before a creation: the inputs, and unknowns for what AWS decides.
func (t *resourceType) previewCreate(inputs resource.PropertyMap) resource.PropertyMap {
	outputs := t.fromInputs(inputs)
	for _, name := range t.outputs {
		outputs[resource.PropertyKey(name)] = unknown()
	}
	for name, p := range t.properties {
		if _, ok := inputs[resource.PropertyKey(name)]; !ok && p.computed {
			outputs[resource.PropertyKey(name)] = unknown()
		}
	}
	t.allTags(outputs, inputs)
	return outputs
}

// previewUpdate returns what is known of the outputs before an update: the old state with the new inputs, and unknowns
// for what AWS changes along with them.
func (t *resourceType) previewUpdate(oldState, oldInputs, inputs resource.PropertyMap) resource.PropertyMap {
	outputs := resource.PropertyMap{}
	for k, v := range oldState {
		p, isInput := t.properties[string(k)]
		if t.isOutput(string(k)) && (!isInput || p.computed) {
			outputs[k] = v
		}
	}
	for k, v := range t.fromInputs(inputs) {
		outputs[k] = v
	}
	for _, name := range t.changed(oldState, oldInputs, inputs) {
		for _, touched := range t.touches[name] {
			outputs[resource.PropertyKey(touched)] = unknown()
		}
	}
	t.allTags(outputs, inputs)
	return outputs
}

// state returns what the engine records: the inputs, overlaid by the stand-in's answer, with secrets kept secret.
func (t *resourceType) state(inputs resource.PropertyMap, answer map[string]any) resource.PropertyMap {
	outputs := t.fromInputs(inputs)
	for k, v := range answer {
		// Drop outputs that the real type does not have. A program must not rely on them.
		if !t.isOutput(k) || v == nil {
			continue
		}
		p := t.properties[k]
		key := resource.PropertyKey(k)
		input, given := inputs[key]
		switch {
		case p.secret:
			// The stand-in does not return secrets.
			continue
		case given && p.answers(plain(input), v):
			// The stand-in returned the same value in another order or case. Keep the program's spelling.
			continue
		}
		value := resource.NewPropertyValue(v)
		if given && input.ContainsSecrets() {
			value = resource.MakeSecret(value)
		}
		outputs[key] = value
	}
	if _, ok := answer["tagsAll"]; !ok {
		t.allTags(outputs, inputs)
	}
	return outputs
}

// fromInputs returns the outputs that repeat inputs.
func (t *resourceType) fromInputs(inputs resource.PropertyMap) resource.PropertyMap {
	outputs := resource.PropertyMap{}
	for k, v := range inputs {
		if strings.HasPrefix(string(k), "__") {
			continue
		}
		if t.properties[string(k)].secret && !v.IsSecret() {
			v = resource.MakeSecret(v)
		}
		outputs[k] = v
	}
	return outputs
}

// allTags sets the tagsAll output. Check has already merged the default tags into the resource's tags.
func (t *resourceType) allTags(outputs, inputs resource.PropertyMap) {
	if !t.tagged() {
		return
	}
	tags, ok := inputs["tags"]
	if !ok {
		tags = resource.NewProperty(resource.PropertyMap{})
	}
	outputs["tagsAll"] = tags
}

// refreshed returns the inputs of a resource after its state was read. Inputs that did not drift keep the program's
// spelling. Inputs that drifted get the value that was found, so that the next update sees the difference and reverts
// it.
func (t *resourceType) refreshed(oldInputs resource.PropertyMap, inputs, outputs map[string]any) resource.PropertyMap {
	found := func(name string) (any, bool) {
		if v, ok := outputs[name]; ok && v != nil {
			return v, true
		}
		v, ok := inputs[name]
		return v, ok && v != nil
	}
	result := resource.PropertyMap{}
	imported := len(oldInputs) == 0
	if defaults, ok := oldInputs[defaultsKey]; ok {
		result[defaultsKey] = defaults
	}
	for name, p := range t.properties {
		key := resource.PropertyKey(name)
		old, had := oldInputs[key]
		now, has := found(name)
		switch {
		case had && (p.writeOnly || p.secret || !has && isZero(plain(old))):
			result[key] = old
		case had && has && (p.answers(plain(old), now) || p.grown(oldInputs, plain(old), now)):
			result[key] = old
		case had && has:
			result[key] = resource.NewPropertyValue(now)
			if old.ContainsSecrets() {
				result[key] = resource.MakeSecret(result[key])
			}
		case had:
			// The value was removed outside the program. Leave the input out, so that the next update sets it again.
		case imported:
			if v, ok := inputs[name]; ok && v != nil && !p.secret {
				result[key] = resource.NewPropertyValue(v)
			} else if p.defaultValue != nil {
				result[key] = resource.NewPropertyValue(p.defaultValue)
			}
		case has && !p.computed && !p.secret && !p.writeOnly && !isZero(now):
			// The value was set outside the program, which gives none.
			result[key] = resource.NewPropertyValue(now)
		}
	}
	return result
}
