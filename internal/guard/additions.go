package guard

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
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

	// at is the place of the field in the object of the cluster, nil if it is not known.
	at resource.PropertyPath
	// inPlace is true for an element of a list that has every element of the program too, as the program writes it.
	inPlace bool
	// takenOver is true if the provider takes over what the client wrote when it updates the object.
	takenOver bool
}

// Live is an object of the cluster with everything that clients have written.
type Live struct {
	Object

	content map[string]any
}

// UnmarshalJSON reads an object as the API server shows it.
func (l *Live) UnmarshalJSON(text []byte) error {
	if err := json.Unmarshal(text, &l.Object); err != nil {
		return err //nolint:wrapcheck // The decoder that calls this names the place.
	}
	return json.Unmarshal(text, &l.content)
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

// WatchedIn returns the objects of the steps that update the resources. Their inputs are what the program writes, which
// the state does not have after a refresh.
func WatchedIn(steps []progress.Step, urns []string) []Watched {
	var watched []Watched
	for _, step := range steps {
		object, ok := objectOf(step.Last.Outputs)
		if ok && step.Op == apitype.OpUpdate && slices.Contains(urns, step.URN) {
			watched = append(watched, Watched{URN: step.URN, Object: object, inputs: step.Inputs})
		}
	}
	return watched
}

// Additions finds what people have added to the watched objects, among the existing ones with their managed fields. A
// field that the program writes is not an addition, whoever wrote it last: the provider compares its value. Neither is
// a value that the API server would fill in by itself: taking it out would change nothing.
func Additions(watched []Watched, existing []Live) []Addition {
	return additions(watched, existing, search{})
}

// InTheWay finds what people have added to objects whose update the API server refuses with these messages, by URN:
// what a message concerns, or else everything but labels and annotations. If there is nothing, these are the values
// that the API server fills in itself, which can contradict what the program writes. The commands put back what the
// program writes beside them, because the object may not be valid without either.
func InTheWay(watched []Watched, existing []Live, messages map[string]string) []Addition {
	var all []Addition
	for _, w := range watched {
		for _, defaults := range []bool{false, true} {
			found := additions([]Watched{w}, existing, search{putsBack: true, defaults: defaults})
			found = slices.DeleteFunc(found, func(a Addition) bool { return strings.HasPrefix(a.Path, "metadata.") })
			concerned := slices.DeleteFunc(slices.Clone(found), func(a Addition) bool {
				return !a.isConcerned(messages[w.URN])
			})
			if len(concerned) > 0 {
				found = concerned
			}
			if all = append(all, found...); len(found) > 0 {
				break
			}
		}
	}
	return all
}

// refusedPath is a field in the message of an API server that refuses an object: spec.ports[1].name.
var refusedPath = regexp.MustCompile(`\b(spec\.[\w.\[\]-]*\w]?): `)

// isConcerned reports whether a message is about the list that the addition is in, or about the object.
func (a *Addition) isConcerned(message string) bool {
	path := selector.ReplaceAllString(a.Path, "")
	// A field contradicts another one of its object, unless that is the whole spec.
	if end := strings.LastIndex(path, "."); !a.isElement() && end > len("spec") {
		path = path[:end]
	}
	return slices.ContainsFunc(refusedPath.FindAllStringSubmatch(message, -1), func(found []string) bool {
		return strings.HasPrefix(selector.ReplaceAllString(found[1], "")+".", path+".")
	})
}

// search says what additions looks for.
type search struct {
	// putsBack is true if the commands put back what the program writes.
	putsBack bool
	// defaults is true if values that the API server fills in are additions.
	defaults bool
}

func additions(watched []Watched, existing []Live, how search) []Addition {
	var found []Addition
	for _, w := range watched {
		at := slices.IndexFunc(existing, func(l Live) bool { return w.Object.is(l.Object) })
		if at < 0 {
			continue
		}
		live := &existing[at]
		first := len(found)
		var places []place
		for _, entry := range live.Metadata.ManagedFields {
			if entry.Subresource != "" || !person(entry.Manager) {
				continue
			}
			root := place{input: w.inputs, live: live.content, kind: w.Object}
			if live.content != nil {
				root.at = resource.PropertyPath{}
			}
			root.added(entry.FieldsV1, func(p place) {
				if operational(p.path, p.name) || !how.defaults && p.isDefault() {
					return
				}
				places = append(places, p)
				found = append(found, Addition{
					URN: w.URN, Object: w.Object.Kind + " " + w.Object.ID(), Path: p.path,
					By: entry.Manager, Time: entry.Time, at: p.at, inPlace: p.inPlace(),
					takenOver: entry.takenOver(),
				})
			})
		}
		for i := range places {
			found[first+i].Fix = w.Object.without(&places[i], places, how.putsBack, live.applier())
		}
	}
	return found
}

// applier is the field manager by which the provider applies the object, "" if there is none.
func (l *Live) applier() string {
	for _, entry := range l.Metadata.ManagedFields {
		if entry.Operation == "Apply" && strings.HasPrefix(entry.Manager, "pulumi-kubernetes") {
			return entry.Manager
		}
	}
	return ""
}

// takenOver reports whether the provider makes the fields its own before it applies, so that an update removes those
// that the program does not write. It does so for what kubectl apply and the first clients of an object have written.
func (m *ManagedField) takenOver() bool {
	return m.Operation != "Apply" &&
		slices.Contains([]string{"kubectl", "kubectl-client-side-apply", "before-first-apply"}, m.Manager)
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

// Beside tells additions and drift apart. A provider that reads a list again also reports the elements that others have
// added, although its update leaves them there: these paths leave the steps, which are the same without any other. An
// addition of which an update makes the provider the owner leaves the additions instead, which are returned.
func Beside(additions []Addition, result *progress.Result) []Addition {
	for i := range result.Steps {
		step := &result.Steps[i]
		if step.Op != apitype.OpUpdate || len(step.Changed) == 0 {
			continue
		}
		left := slices.DeleteFunc(slices.Clone(step.Changed), func(changed string) bool {
			return slices.ContainsFunc(additions, func(a Addition) bool {
				return a.URN == step.URN && !a.takenOver && a.explains(changed)
			})
		})
		if step.Changed = left; len(left) == 0 && len(step.Options) == 0 {
			result.Same(step)
		}
	}
	return slices.DeleteFunc(additions, func(a Addition) bool {
		path := selector.ReplaceAllString(a.Path, "")
		return a.takenOver && slices.ContainsFunc(result.Steps, func(s progress.Step) bool {
			return s.URN == a.URN && slices.ContainsFunc(s.Changed, func(changed string) bool {
				return selector.ReplaceAllString(changed, "") == path
			})
		})
	})
}

// Disturbs reports whether the addition is beside something that an update of the step changes, so that the API server
// may refuse both together.
func (a *Addition) Disturbs(step progress.Step) bool {
	// Labels and annotations are each for itself, and so are the fields of a whole spec.
	if step.URN != a.URN || step.Op != apitype.OpUpdate || strings.HasPrefix(a.Path, "metadata.") ||
		len(a.at) < 3 && !a.isElement() {
		return false
	}
	return slices.ContainsFunc(step.Changed, func(changed string) bool {
		path, err := resource.ParsePropertyPath(changed)
		return err == nil && a.at[:len(a.at)-1].Contains(path)
	})
}

func (a *Addition) isElement() bool {
	if len(a.at) == 0 {
		return false
	}
	_, is := a.at[len(a.at)-1].(int)
	return is
}

// explains reports whether a path that a provider reports has changed because of the addition only. A provider compares
// lists by the places of their elements, which an element before them moves.
func (a *Addition) explains(changed string) bool {
	path, err := resource.ParsePropertyPath(changed)
	if err != nil || a.at == nil {
		return false
	}
	if a.inPlace {
		return a.at[:len(a.at)-1].Contains(path)
	}
	return !a.isElement() && a.at.Contains(path)
}
