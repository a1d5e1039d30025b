package awsprovider

import (
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
)

// previewCreate is what a creation will be known to result in: the inputs, and unknowns for what AWS decides.
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

// previewUpdate is what an update will be known to result in: the old state with the new inputs, and unknowns for what
// AWS changes along with them.
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

// state is what the engine records: the stand-in's answer over the inputs, secrets kept secret.
func (t *resourceType) state(inputs resource.PropertyMap, answer map[string]any) resource.PropertyMap {
	outputs := t.fromInputs(inputs)
	for k, v := range answer {
		// What the real type does not have must not come into the state: no program could count on it on AWS.
		if !t.isOutput(k) || v == nil {
			continue
		}
		p := t.properties[k]
		key := resource.PropertyKey(k)
		input, given := inputs[key]
		switch {
		case p.secret:
			// Secrets go to the stand-in and do not come back.
			continue
		case given && p.answers(plain(input), v):
			// The same value in the stand-in's words (order, case): keep the program's.
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

// fromInputs are the outputs that echo inputs.
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

// allTags sets the output that shows the tags as AWS has them: Check put the default tags among the resource's.
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

// refreshed are the inputs of a resource after its state was read. What did not drift keeps the program's words; what
// did takes what was found, so that the next update sees the difference and undoes it.
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
		case had && has && p.answers(plain(old), now):
			result[key] = old
		case had && has:
			result[key] = resource.NewPropertyValue(now)
			if old.ContainsSecrets() {
				result[key] = resource.MakeSecret(result[key])
			}
		case had:
			// It is gone in the world: no input, so that the next update sets it again.
		case imported:
			if v, ok := inputs[name]; ok && v != nil && !p.secret {
				result[key] = resource.NewPropertyValue(v)
			} else if p.defaultValue != nil {
				result[key] = resource.NewPropertyValue(p.defaultValue)
			}
		case has && !p.computed && !p.secret && !p.writeOnly && !isZero(now):
			// Set by hand where the program says nothing.
			result[key] = resource.NewPropertyValue(now)
		}
	}
	return result
}
