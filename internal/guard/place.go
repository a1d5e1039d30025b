package guard

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"

	"dbtier/internal/progress"
)

// place is a field or an element of a list: its path for people and its last name, its path by indexes, and what the
// program and the cluster have there. The input is nil if the program does not write it.
type place struct {
	path, name  string
	at          resource.PropertyPath
	input, live any
	// tests check in a JSON patch that the elements of lists in the path are the same ones.
	tests []patch
	// above is the place that contains this one, nil at the top. element is true for an element of a list; keys are the
	// fields that tell it from the others, nil if it is a value.
	above   *place
	element bool
	keys    map[string]any
	// kind is the object.
	kind Object
}

// added calls visit for each field and element of a list that is written and not among the inputs.
func (p *place) added(fields map[string]any, visit func(place)) {
	for _, key := range p.ordered(fields) {
		inner, _ := fields[key].(map[string]any)
		kind, name, _ := strings.Cut(key, ":")
		var below place
		switch kind {
		case "f":
			below = p.field(name)
		case "k", "v":
			below = p.elementOf(name)
		default: // "." is the object or element itself
			continue
		}
		_, whole := inner["."]
		switch {
		case isSecret(below.input):
		case p.isKey(name) && p.input != nil:
			// The element is the program's, which leaves this key to the API server.
		case below.input == nil && (len(inner) == 0 || whole && below.element || below.isWhole(inner)):
			visit(below)
		default:
			below.added(inner, visit)
		}
	}
}

// ordered returns the keys of fields. Elements of a list come from the last to the first, so that the commands that
// take them out find them at their places one after the other.
func (p *place) ordered(fields map[string]any) []string {
	keys := slices.Sorted(maps.Keys(fields))
	index := func(key string) int {
		kind, name, _ := strings.Cut(key, ":")
		if kind != "k" && kind != "v" {
			return 0
		}
		_, at := find(p.live, name, false)
		return at
	}
	slices.SortStableFunc(keys, func(a, b string) int { return index(b) - index(a) })
	return keys
}

func (p *place) field(name string) place {
	below := place{path: member(p.path, name), name: name, above: p, tests: p.tests, kind: p.kind}
	input, _ := p.input.(map[string]any)
	live, _ := p.live.(map[string]any)
	below.input, below.live = input[name], live[name]
	if p.at != nil && below.live != nil {
		below.at = slices.Concat(p.at, resource.PropertyPath{name})
	}
	return below
}

// isKey reports whether a field tells an element of a list from the others.
func (p *place) isKey(name string) bool {
	_, ok := p.keys[name]
	return ok
}

func (p *place) elementOf(keys string) place {
	below := place{name: element(keys), above: p, tests: p.tests, element: true, kind: p.kind}
	below.path = p.path + "[" + below.name + "]"
	below.input, _ = find(p.input, keys, true)
	byKeys := json.Unmarshal([]byte(keys), &below.keys) == nil
	live, index := find(p.live, keys, false)
	if p.at == nil || index < 0 {
		return below
	}
	below.live, below.at = live, slices.Concat(p.at, resource.PropertyPath{index})
	if !byKeys {
		below.tests = slices.Concat(p.tests, []patch{{Op: "test", Path: below.pointer(), Value: live}})
		return below
	}
	for _, key := range slices.Sorted(maps.Keys(below.keys)) {
		below.tests = slices.Concat(below.tests,
			[]patch{{Op: "test", Path: below.pointer() + "/" + escaped.Replace(key), Value: below.keys[key]}})
	}
	return below
}

// isWhole reports whether one client has written everything in an object that the program does not have, such as the
// handler of a probe. Labels and annotations are apart: each is for itself.
func (p *place) isWhole(fields map[string]any) bool {
	live, ok := p.live.(map[string]any)
	if !ok || len(live) == 0 || slices.Contains([]string{"metadata", "labels", "annotations"}, p.name) {
		return false
	}
	for name := range live {
		if _, written := fields["f:"+name]; !written {
			return false
		}
	}
	return true
}

// inPlace reports whether the list of an element has every element of the program, as the program writes it.
func (p *place) inPlace() bool {
	if !p.element || p.at == nil {
		return false
	}
	inputs, _ := p.above.input.([]any)
	live, _ := p.above.live.([]any)
	for _, input := range inputs {
		if !slices.ContainsFunc(live, func(e any) bool { return has(e, input) }) {
			return false
		}
	}
	return true
}

// has reports whether a value of the cluster has everything that an input has. Nobody knows that of a secret.
func has(live, input any) bool {
	if isSecret(input) {
		return false
	}
	switch input := input.(type) {
	case map[string]any:
		fields, ok := live.(map[string]any)
		for name, value := range input {
			ok = ok && has(fields[name], value)
		}
		return ok
	case []any:
		elements, ok := live.([]any)
		ok = ok && len(elements) >= len(input)
		for i := range input {
			ok = ok && has(elements[i], input[i])
		}
		return ok
	}
	return input == nil || fmt.Sprint(live) == fmt.Sprint(input)
}

// isSecret reports whether an input is encrypted in the state, or masked by the engine, so that nothing is known of it.
func isSecret(input any) bool {
	text, isText := input.(string)
	return progress.IsSecret(input) || isText && progress.Sanitize(text) == progress.Secret
}

// holdsSecret reports whether something in an input is a secret, or is not known yet.
func holdsSecret(input any) bool {
	found := false
	progress.Replace(input, func(value any) (any, bool) {
		text, _ := value.(string)
		found = found || isSecret(value) || progress.IsUnknown(text)
		return nil, found
	})
	return found
}

// find returns the element of a list that has the keys, or is the value, and its index, -1 if there is none. In a list
// of inputs, a key can be left to the API server's default.
func find(list any, keys string, ofInputs bool) (found any, index int) {
	elements, _ := list.([]any)
	var wanted any
	if json.Unmarshal([]byte(keys), &wanted) != nil {
		return nil, -1
	}
	for i, e := range elements {
		object, isObject := e.(map[string]any)
		pairs, byKeys := wanted.(map[string]any)
		if !isObject || !byKeys {
			if fmt.Sprint(e) == fmt.Sprint(wanted) {
				return e, i
			}
			continue
		}
		same := true
		for key, value := range pairs {
			has, given := object[key]
			same = same && (!given && ofInputs || fmt.Sprint(has) == fmt.Sprint(value))
		}
		if same {
			return e, i
		}
	}
	return nil, -1
}

func member(path, name string) string {
	switch {
	case strings.ContainsAny(name, "./"):
		return path + `["` + name + `"]`
	case path == "":
		return name
	default:
		return path + "." + name
	}
}

// element returns the values of the keys of a list's element, which the API server writes as JSON: api for
// {"name":"api"}.
func element(keys string) string {
	var object map[string]any
	if json.Unmarshal([]byte(keys), &object) != nil {
		return strings.Trim(keys, `"`)
	}
	var values []string
	for _, key := range slices.Sorted(maps.Keys(object)) {
		values = append(values, fmt.Sprint(object[key]))
	}
	return strings.Join(values, ",")
}

// ofContainer matches a variable of a container.
var ofContainer = regexp.MustCompile(`^spec\.template\.spec\.containers\[([^]]+)]\.env\[[^]]+]$`)
