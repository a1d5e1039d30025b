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

	"dbtier/internal/progress"
	"dbtier/internal/project"
)

// An engine that was killed leaves in the state which operations it had begun. Updates and deletions are of resources
// that the state knows: a look at what is there settles them. A creation may have made something that the state does
// not know.

// deployment is an exported state, of which only what is changed here is taken apart.
type deployment struct {
	whole, inner map[string]json.RawMessage
	resources    []json.RawMessage
	pending      []pendingOperation
}

type pendingOperation struct {
	Type     string          `json:"type"`
	Resource json.RawMessage `json:"resource"`
}

// begun is what is asked of the resource of a pending operation.
type begun struct {
	URN      string         `json:"urn"`
	Type     string         `json:"type"`
	Custom   bool           `json:"custom"`
	Parent   string         `json:"parent"`
	Provider string         `json:"provider"`
	Inputs   map[string]any `json:"inputs"`
	Delete   bool           `json:"delete"`
	ID       string         `json:"id"`
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

// write is the deployment as text, without pending operations; what was not touched stays as it was.
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

// adopt takes the resource of a pending creation into the state, under the id that the provider knows it by. A look
// then finds it, and takes it out again where it was never made.
func (d *deployment) adopt(raw json.RawMessage, id string) error {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	var resource map[string]any
	if err := decoder.Decode(&resource); err != nil {
		return fmt.Errorf("reading a pending operation: %w", err)
	}
	resource["id"] = id
	// What was asked for stands for what is there, which nobody has seen yet.
	resource["outputs"] = resource["inputs"]
	text, err := json.Marshal(resource)
	if err != nil {
		return fmt.Errorf("writing a pending operation: %w", err)
	}
	d.resources = append(d.resources, text)
	return nil
}

// fits reports whether the state can take the resource in: nothing of that name is there, but its parent and provider
// are.
func (d *deployment) fits(b begun) bool {
	parent, provider := b.Parent == "", b.Provider == ""
	for _, raw := range d.resources {
		var other begun
		if json.Unmarshal(raw, &other) != nil {
			return false
		}
		if other.URN == b.URN && !other.Delete {
			return false
		}
		parent = parent || other.URN == b.Parent
		provider = provider || other.URN+"::"+other.ID == b.Provider
	}
	return parent && provider
}

// settle deals with the operations that a killed engine had begun. On the local stack they are forgotten: its providers
// adopt what was half made. Elsewhere a creation is settled by the look that the next update takes, where the provider
// finds the resource by a name that the program gave it; of the rest only a person knows.
func (s *Session) settle(ctx context.Context) error {
	if backend, ok := fileBackend(s.config.Project, s.config.Stack, s.backend); ok && !backend.Compressed() {
		// Without a process.
		pending, err := backend.PendingOperations()
		if err != nil || len(pending) == 0 && len(s.config.Adopt)+len(s.config.Forget) == 0 {
			return err
		}
	}
	exported := filepath.Join(s.work, "pending-"+s.config.Stack.Name+".json")
	defer os.Remove(exported)
	if _, err := s.cli(ctx, "stack", "export", "--file", exported); err != nil {
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
	done, unsettled, err := s.decide(d)
	if err != nil {
		return err
	}
	if len(unsettled) > 0 {
		return &UnsettledError{Stack: s.config.Stack.Name, Pending: unsettled}
	}
	if len(d.pending) == 0 {
		return nil
	}
	// Forgotten is not undone: a deletion that was under way may have deleted what the state still has. The next update
	// looks first.
	if err := s.OweALook(); err != nil {
		return err
	}
	settled, err := d.write()
	if err != nil {
		return err
	}
	if err := s.replaceState(ctx, settled); err != nil {
		return err
	}
	s.config.Note(fmt.Sprintf("an earlier run was killed while it was %s: going on from there", brief(done)))
	return nil
}

// decide takes into the deployment what can be looked for, and returns every operation that was begun, and those that a
// person has to judge.
func (s *Session) decide(d *deployment) (done []string, unsettled []Unsettled, err error) {
	named := map[string]bool{}
	for _, operation := range d.pending {
		var b begun
		if err := json.Unmarshal(operation.Resource, &b); err != nil {
			return nil, nil, fmt.Errorf("reading a pending operation: %w", err)
		}
		done = append(done, operation.Type+" "+b.URN)
		// A provider is nothing but settings.
		if operation.Type != creating || strings.HasPrefix(b.Type, "pulumi:providers:") ||
			s.config.Stack.Cloud == project.Local {
			continue
		}
		id, given := s.adopted(b.URN, named)
		switch {
		case s.forgotten(b.URN, named):
		case given, d.fits(b) && id == "" && identify(b.Type, b.Inputs, &id):
			if err := d.adopt(operation.Resource, id); err != nil {
				return nil, nil, err
			}
		default:
			unsettled = append(unsettled, Unsettled{URN: b.URN, Type: b.Type})
		}
	}
	for name := range s.config.Adopt {
		if !named[name] {
			return nil, nil, fmt.Errorf("--adopt-pending %s: the stack has no such unfinished creation%s", name,
				among(done))
		}
	}
	for _, name := range s.config.Forget {
		if !named[name] {
			return nil, nil, fmt.Errorf("--forget-pending %s: the stack has no such unfinished creation%s", name,
				among(done))
		}
	}
	return done, unsettled, nil
}

func (s *Session) adopted(urn string, named map[string]bool) (id string, ok bool) {
	for name, id := range s.config.Adopt {
		if isResource(urn, name) {
			named[name] = true
			return id, true
		}
	}
	return "", false
}

func (s *Session) forgotten(urn string, named map[string]bool) bool {
	at := slices.IndexFunc(s.config.Forget, func(name string) bool { return isResource(urn, name) })
	if at < 0 {
		return false
	}
	named[s.config.Forget[at]] = true
	return true
}

// isResource reports whether a person who says name, a URN or its last part, means the resource.
func isResource(urn, name string) bool {
	return urn == name || strings.HasSuffix(urn, "::"+name)
}

func among(pending []string) string {
	if len(pending) == 0 {
		return ""
	}
	return "; unfinished are: " + strings.Join(pending, ", ")
}

// brief names the first few operations for people.
func brief(pending []string) string {
	const shown = 2
	var words []string
	for _, operation := range pending[:min(len(pending), shown)] {
		doing, urn, _ := strings.Cut(operation, " ")
		words = append(words, doing+" "+progress.Subject(urn))
	}
	text := strings.Join(words, ", ")
	if more := len(pending) - shown; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// Unsettled is a creation that was begun and that nothing but a look by a person can settle.
type Unsettled struct{ URN, Type string }

// UnsettledError lists creations for a person to judge, with the command for each.
type UnsettledError struct {
	Stack   string
	Pending []Unsettled
}

func (e *UnsettledError) Error() string {
	var out strings.Builder
	fmt.Fprintf(&out,
		"stack %s: an earlier run was killed while it made what cannot be found by its name: look for each, then say "+
			"what you found", e.Stack)
	for _, p := range e.Pending {
		refresh := "dbtier refresh --stack " + e.Stack
		fmt.Fprintf(&out,
			"\n  %s\n    it is there:      %s --adopt-pending '%s=<id>'\n    it was not made:  %s --forget-pending "+
				"'%s'",
			progress.Subject(p.URN), refresh, p.URN, refresh, p.URN)
	}
	return out.String()
}
