package engine

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"dbtier/config"
	"dbtier/internal/progress"
	"dbtier/internal/stackstate"
)

// A killed engine leaves in the state the operations that it had begun. Updates and deletions are of resources that the
// state has: a refresh settles them. A creation may have created a resource that the state does not have.

// deployment is an exported state. Only the parts that change are decoded, so that everything else stays as it is.
type deployment struct {
	whole, inner map[string]json.RawMessage
	resources    []json.RawMessage
	pending      []pendingOperation
}

type pendingOperation struct {
	Type     string          `json:"type"`
	Resource json.RawMessage `json:"resource"`
}

// creating is the only operation whose outcome the state cannot tell.
const creating = "creating"

func readDeployment(text []byte) (*deployment, error) {
	d := &deployment{}
	if err := json.Unmarshal(text, &d.whole); err != nil {
		return nil, fmt.Errorf("reading the exported state: %w", err)
	}
	if err := json.Unmarshal(d.whole["deployment"], &d.inner); err != nil {
		return nil, fmt.Errorf("reading the exported deployment: %w", err)
	}
	for key, into := range map[string]any{"resources": &d.resources, "pending_operations": &d.pending} {
		if part, ok := d.inner[key]; ok {
			if err := json.Unmarshal(part, into); err != nil {
				return nil, fmt.Errorf("reading the exported %s: %w", key, err)
			}
		}
	}
	return d, nil
}

// write encodes the deployment without pending operations.
func (d *deployment) write() ([]byte, error) {
	delete(d.inner, "pending_operations")
	resources, err := json.Marshal(d.resources)
	if err != nil {
		return nil, fmt.Errorf("writing the resources: %w", err)
	}
	if d.resources != nil {
		d.inner["resources"] = resources
	}
	if d.whole["deployment"], err = json.Marshal(d.inner); err != nil {
		return nil, fmt.Errorf("writing the deployment: %w", err)
	}
	return json.Marshal(d.whole)
}

// adopt adds the resource of a pending creation under the provider's id. The next refresh finds the resource, or
// removes it from the state if it was never created.
func (d *deployment) adopt(raw json.RawMessage, id string) error {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	var resource map[string]any
	if err := decoder.Decode(&resource); err != nil {
		return fmt.Errorf("reading a pending operation: %w", err)
	}
	resource["id"] = id
	// The inputs stand in for the outputs, which no refresh has read yet.
	resource["outputs"] = resource["inputs"]
	text, err := json.Marshal(resource)
	if err != nil {
		return fmt.Errorf("writing a pending operation: %w", err)
	}
	d.resources = append(d.resources, text)
	return nil
}

// fits reports whether the state can take the resource: it has the resource's parent and provider, and not the
// resource.
func (d *deployment) fits(r *stackstate.Resource) bool {
	parent, provider := r.Parent == "", r.Provider == ""
	for _, raw := range d.resources {
		var other stackstate.Resource
		if json.Unmarshal(raw, &other) != nil || other.URN == r.URN && !other.Delete {
			return false
		}
		parent = parent || other.URN == r.Parent
		provider = provider || other.URN+"::"+other.ID == r.Provider
	}
	return parent && provider
}

// settle settles the operations that a killed engine had begun. On a local stack they are dropped: its providers adopt
// resources that exist already. Elsewhere a creation whose resource has a name from the program enters the state under
// that name, and the next update's refresh checks it. A person decides about the other creations.
func (r *Run) settle(ctx context.Context) error {
	if files, ok := r.files(); ok && !files.Compressed() {
		// Usually nothing is pending; the file tells without a process.
		state, err := files.State()
		if err != nil || len(state.Pending) == 0 && len(r.config.Adopt)+len(r.config.Forget) == 0 {
			return err
		}
	}
	exported := filepath.Join(r.work, "pending-"+r.config.Stack.Name+".json")
	defer os.Remove(exported)
	if _, err := r.cli(ctx, "stack", "export", "--file", exported); err != nil {
		return err
	}
	text, err := os.ReadFile(exported)
	if err != nil {
		return fmt.Errorf("reading the exported state: %w", err)
	}
	d, err := readDeployment(text)
	if err != nil {
		return err
	}
	begun, unsettled, err := r.decide(d)
	if err != nil {
		return err
	}
	if len(unsettled) > 0 {
		return &UnsettledError{Stack: r.config.Stack.Name, Pending: unsettled}
	}
	if len(d.pending) == 0 {
		return nil
	}
	// A pending deletion may have deleted a resource that the state still has.
	if err := r.RequireRefresh(); err != nil {
		return err
	}
	settled, err := d.write()
	if err != nil {
		return err
	}
	if err := r.replaceState(ctx, settled); err != nil {
		return err
	}
	r.config.Note(fmt.Sprintf("an earlier run was killed while it was %s: continuing from there", brief(begun)))
	return nil
}

// replaceState replaces the stack's state by an exported one.
func (r *Run) replaceState(ctx context.Context, text []byte) error {
	file := filepath.Join(r.work, "import-"+r.config.Stack.Name+".json")
	defer os.Remove(file)
	if err := WriteFile(file, text, 0o600); err != nil {
		return fmt.Errorf("writing the state: %w", err)
	}
	_, err := r.cli(ctx, "stack", "import", "--file", file)
	return err
}

// decide adds to the deployment every pending creation that can be looked up. It returns all pending operations, and
// the creations that a person must decide about.
func (r *Run) decide(d *deployment) (begun []string, unsettled []Unsettled, err error) {
	used := map[string]bool{}
	for _, operation := range d.pending {
		var b stackstate.Resource
		if err := json.Unmarshal(operation.Resource, &b); err != nil {
			return nil, nil, fmt.Errorf("reading a pending operation: %w", err)
		}
		begun = append(begun, operation.Type+" "+b.URN)
		// A provider consists of settings only.
		if operation.Type != creating || strings.HasPrefix(b.Type, "pulumi:providers:") ||
			r.config.Stack.Cloud == config.Local {
			continue
		}
		id, given := r.adopted(b.URN, used)
		switch {
		case r.forgotten(b.URN, used):
		case given, d.fits(&b) && identify(b.Type, b.Inputs(), &id):
			if err := d.adopt(operation.Resource, id); err != nil {
				return nil, nil, err
			}
		default:
			unsettled = append(unsettled, Unsettled{URN: b.URN, Type: b.Type})
		}
	}
	unused := func(flag, name string) error {
		known := ""
		if len(begun) > 0 {
			known = "; unfinished are: " + strings.Join(begun, ", ")
		}
		return fmt.Errorf("%s %s: the stack has no such unfinished creation%s", flag, name, known)
	}
	for name := range r.config.Adopt {
		if !used[name] {
			return nil, nil, unused("--adopt-pending", name)
		}
	}
	for _, name := range r.config.Forget {
		if !used[name] {
			return nil, nil, unused("--forget-pending", name)
		}
	}
	return begun, unsettled, nil
}

// adopted returns the id that Adopt gives for the resource, and marks the name as used.
func (r *Run) adopted(urn string, used map[string]bool) (id string, ok bool) {
	for name, id := range r.config.Adopt {
		if progress.Matches(urn, name) {
			used[name] = true
			return id, true
		}
	}
	return "", false
}

// forgotten reports whether Forget names the resource, and marks the name as used.
func (r *Run) forgotten(urn string, used map[string]bool) bool {
	at := slices.IndexFunc(r.config.Forget, func(name string) bool { return progress.Matches(urn, name) })
	if at < 0 {
		return false
	}
	used[r.config.Forget[at]] = true
	return true
}

// brief names the first operations for people.
func brief(operations []string) string {
	const shown = 2
	var words []string
	for _, operation := range operations[:min(len(operations), shown)] {
		doing, urn, _ := strings.Cut(operation, " ")
		words = append(words, doing+" "+progress.Subject(urn))
	}
	text := strings.Join(words, ", ")
	if more := len(operations) - shown; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// Unsettled is a creation that was begun, of a resource that has no name to look it up by.
type Unsettled struct{ URN, Type string }

// UnsettledError lists creations that a person must decide about, with the command for each answer.
type UnsettledError struct {
	Stack   string
	Pending []Unsettled
}

func (e *UnsettledError) Error() string {
	var out strings.Builder
	fmt.Fprintf(&out,
		"stack %s: an earlier run was killed while it was creating resources that cannot be found by name: "+
			"check whether each of them exists, then run the command for what you found", e.Stack)
	refresh := "dbtier refresh --stack " + e.Stack
	for _, p := range e.Pending {
		fmt.Fprintf(&out, "\n  %s\n    it exists:           %s --adopt-pending '%s=<id>'\n"+
			"    it does not exist:   %s --forget-pending '%s'",
			progress.Subject(p.URN), refresh, p.URN, refresh, p.URN)
	}
	return out.String()
}
