package guard

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// patch is an operation of a JSON patch.
type patch struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value any    `json:"value,omitempty"`
}

// escaped writes a name as a part of a JSON pointer.
var escaped = strings.NewReplacer("~", "~0", "/", "~1")

// pointer is the place as a JSON pointer.
func (p *place) pointer() string {
	var pointer strings.Builder
	for _, step := range p.at {
		pointer.WriteString("/" + escaped.Replace(fmt.Sprint(step)))
	}
	return pointer.String()
}

// without returns the command that takes a field out of the object, one of all places that people have added. It can
// put back what the program writes beside the field, which then belongs to the provider, so that a later update can
// take it out.
func (o Object) without(p *place, all []place, putsBack bool, provider string) string {
	at := strings.ToLower(o.Kind) + "/" + o.Metadata.Name
	if o.Metadata.Namespace != "" {
		at += " --namespace=" + o.Metadata.Namespace
	}
	container := ofContainer.FindStringSubmatch(p.path)
	switch {
	case strings.HasPrefix(p.path, "metadata.labels"):
		return "kubectl label " + at + " " + p.name + "-"
	case strings.HasPrefix(p.path, "metadata.annotations"):
		return "kubectl annotate " + at + " " + p.name + "-"
	case container != nil:
		return "kubectl set env " + at + " --containers=" + container[1] + " " + p.name + "-"
	}
	patches := p.remove(all, putsBack)
	text, err := json.Marshal(patches)
	if len(patches) == 0 || err != nil {
		return "kubectl edit " + at
	}
	back := func(p patch) bool { return p.Op == "add" || p.Op == "replace" }
	if provider != "" && slices.ContainsFunc(patches, back) {
		at += " --field-manager=" + provider
	}
	return "kubectl patch " + at + " --type=json --patch='" + strings.ReplaceAll(string(text), "'", `'\''`) + "'"
}

// remove returns the JSON patch that takes out a place, nil if there is none. A list that would be empty gets the
// program's elements in the same patch: the API server refuses most empty lists, and an update cannot put the elements
// beside those that were added if they have a name in common.
func (p *place) remove(all []place, putsBack bool) []patch {
	if p.at == nil {
		return nil
	}
	if live, isList := p.above.live.([]any); p.element && isList {
		out := 0
		for i := range all {
			if all[i].element && all[i].above.path == p.above.path {
				out++
			}
		}
		if out >= len(live) {
			inputs, _ := p.above.input.([]any)
			if len(inputs) == 0 || holdsSecret(inputs) {
				return nil
			}
			return append(slices.Clone(p.above.tests), patch{Op: "replace", Path: p.above.pointer(), Value: inputs})
		}
	}
	patches := slices.Clone(p.tests)
	if putsBack && !p.element {
		patches = append(patches, p.above.back()...)
	}
	return append(patches, patch{Op: "remove", Path: p.pointer()})
}

// back returns the patch that sets what the program writes in an object and the cluster has not.
func (p *place) back() []patch {
	inputs, _ := p.input.(map[string]any)
	live, _ := p.live.(map[string]any)
	var patches []patch
	for _, name := range slices.Sorted(maps.Keys(inputs)) {
		value := inputs[name]
		_, isMap := value.(map[string]any)
		_, isList := value.([]any)
		// What is inside of objects and lists is for an update. An autoscaler may have set the replicas.
		if live[name] != nil && (isMap || isList) || name == "replicas" || value == nil || has(live[name], value) ||
			holdsSecret(value) {
			continue
		}
		patches = append(patches, patch{Op: "add", Path: p.pointer() + "/" + escaped.Replace(name), Value: value})
	}
	return patches
}

// selector matches the part of a path that says which element of a list it is.
var selector = regexp.MustCompile(`\[[^]"]+]`)
