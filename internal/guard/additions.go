package guard

import (
	"encoding/json"
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
