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
	"dbtier/internal/stackstate"
)

// An addition is invisible to the Kubernetes provider: the API server merges what several clients write, and a provider
// compares only what it wrote itself. So the driver asks the API server who wrote what.

// Addition is a field that a person has added to an object of a stack. An update does not remove it.
type Addition struct {
	URN string `json:"urn"`
	// Object is the kind and the name.
	Object string `json:"object"`
	// Path is the field, with the names of list elements in brackets:
	// spec.template.spec.containers[api].env[LOG_LEVEL].
	Path string `json:"path"`
	// By is the client that wrote it, and Time the last time that it wrote to the object.
	By   string `json:"by"`
	Time string `json:"time,omitempty"`
	// Fix is the command that takes it out.
	Fix string `json:"fix"`
}

// Watched is an object of a stack, with what the program writes.
type Watched struct {
	URN    string
	Object Object
	inputs map[string]any
}

// WatchedOf returns the objects of a state that people could have added fields to. A definition of the operator is not
// one of them: its own controller completes it, and it is large.
func WatchedOf(state *stackstate.State) []Watched {
	var watched []Watched
	for i := range state.Resources {
		r := &state.Resources[i]
		if r.Delete || !strings.HasPrefix(r.Type, "kubernetes:") || strings.HasSuffix(r.Type, "Patch") ||
			strings.HasSuffix(r.Type, ":CustomResourceDefinition") {
			continue
		}
		if object, ok := objectOf(r.Outputs()); ok {
			watched = append(watched, Watched{URN: r.URN, Object: object, inputs: r.Inputs()})
		}
	}
	return watched
}

// Additions finds what people have added to the watched objects, among the existing ones with their managed fields. A
// field that the program writes is not an addition, whoever wrote it last: the provider compares its value.
func Additions(watched []Watched, existing []Object) []Addition {
	var found []Addition
	for _, w := range watched {
		at := slices.IndexFunc(existing, w.Object.is)
		if at < 0 {
			continue
		}
		for _, entry := range existing[at].Metadata.ManagedFields {
			if entry.Subresource != "" || !person(entry.Manager) {
				continue
			}
			added(entry.FieldsV1, w.inputs, "", func(path, name string) {
				if !operational(path, name) {
					found = append(found, Addition{
						URN: w.URN, Object: w.Object.Kind + " " + w.Object.ID(), Path: path,
						By: entry.Manager, Time: entry.Time, Fix: w.Object.without(path, name),
					})
				}
			})
		}
	}
	return found
}

// operational reports whether a field is an annotation by which people ask a controller to do something once, such as a
// rollout or the refresh of an ExternalSecret.
func operational(path, name string) bool {
	return strings.HasPrefix(name, "kubectl.kubernetes.io/") || path == "metadata.annotations.force-sync"
}

// person reports whether people use a client by hand. A client that says nothing else is known by its program's name:
// node-fetch is Lens, and Mozilla a dashboard in a browser.
func person(manager string) bool {
	return strings.HasPrefix(manager, "kubectl") ||
		slices.Contains([]string{"k9s", "helm", "curl", "node-fetch", "Mozilla"}, manager)
}

// added calls visit with the path and the last name of each field and element of a list that is written and not among
// the inputs, which are nil below such a field.
func added(fields map[string]any, inputs any, path string, visit func(path, name string)) {
	for _, key := range slices.Sorted(maps.Keys(fields)) {
		inner, _ := fields[key].(map[string]any)
		kind, name, _ := strings.Cut(key, ":")
		var at string
		var input any
		switch kind {
		case "f":
			at = member(path, name)
			object, _ := inputs.(map[string]any)
			input = object[name]
		case "k", "v":
			input = elementOf(inputs, name)
			name = element(name)
			at = path + "[" + name + "]"
		default: // "." is the object or element itself
			continue
		}
		_, whole := inner["."]
		switch {
		case isSecret(input):
		case input == nil && (len(inner) == 0 || whole && kind != "f"):
			visit(at, name)
		default:
			added(inner, input, at, visit)
		}
	}
}

// isSecret reports whether an input is encrypted in the state, so that nothing is known of it.
func isSecret(input any) bool {
	object, _ := input.(map[string]any)
	return object[resource.SigKey] == resource.SecretSig
}

// elementOf returns the element of a list that has the keys, or is the value. A key that it does not have was left to
// the API server's default.
func elementOf(list any, keys string) any {
	elements, _ := list.([]any)
	var wanted any
	if json.Unmarshal([]byte(keys), &wanted) != nil {
		return nil
	}
	for _, e := range elements {
		object, isObject := e.(map[string]any)
		pairs, byKeys := wanted.(map[string]any)
		if !isObject || !byKeys {
			if fmt.Sprint(e) == fmt.Sprint(wanted) {
				return e
			}
			continue
		}
		same := true
		for key, value := range pairs {
			has, given := object[key]
			same = same && (!given || fmt.Sprint(has) == fmt.Sprint(value))
		}
		if same {
			return e
		}
	}
	return nil
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

// without returns the command that takes a field out of the object.
func (o Object) without(path, name string) string {
	at := strings.ToLower(o.Kind) + "/" + o.Metadata.Name
	if o.Metadata.Namespace != "" {
		at += " --namespace=" + o.Metadata.Namespace
	}
	container := ofContainer.FindStringSubmatch(path)
	switch {
	case strings.HasPrefix(path, "metadata.labels"):
		return "kubectl label " + at + " " + name + "-"
	case strings.HasPrefix(path, "metadata.annotations"):
		return "kubectl annotate " + at + " " + name + "-"
	case container != nil:
		return "kubectl set env " + at + " --containers=" + container[1] + " " + name + "-"
	default:
		return "kubectl edit " + at
	}
}

// selector matches the part of a path that says which element of a list it is.
var selector = regexp.MustCompile(`\[[^]"]+]`)

// Beside returns the additions without those to a property that has drifted: an update puts that back.
func Beside(additions []Addition, drifted []progress.Step) []Addition {
	return slices.DeleteFunc(additions, func(a Addition) bool {
		path := selector.ReplaceAllString(a.Path, "")
		return slices.ContainsFunc(drifted, func(s progress.Step) bool {
			return s.URN == a.URN && slices.ContainsFunc(s.Changed, func(changed string) bool {
				return selector.ReplaceAllString(changed, "") == path
			})
		})
	})
}
