// Package stackstate reads a stack's state: an export of the CLI, or the file of a backend in a folder.
package stackstate

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/urn"
)

// State is the part of a stack's state that the driver reads.
type State struct {
	Resources []Resource `json:"resources"`
	// Pending are operations that an engine began and did not finish.
	Pending []Operation `json:"pending_operations"`
}

// Operation is an operation on a resource that an engine began.
type Operation struct {
	// Type is creating, updating, deleting, reading or importing.
	Type     string   `json:"type"`
	Resource Resource `json:"resource"`
}

// Resource is a resource of the state.
type Resource struct {
	URN      string `json:"urn"`
	Type     string `json:"type"`
	ID       string `json:"id"`
	Parent   string `json:"parent"`
	Provider string `json:"provider"`
	// Delete is set for a resource that has been replaced and is still to be deleted.
	Delete         bool `json:"delete"`
	Protect        bool `json:"protect"`
	RetainOnDelete bool `json:"retainOnDelete"`
	// Modified is the time of the last update of the resource.
	Modified   time.Time       `json:"modified"`
	RawInputs  json.RawMessage `json:"inputs"`
	RawOutputs json.RawMessage `json:"outputs"`
}

// Inputs decodes the resource's inputs.
func (r *Resource) Inputs() map[string]any { return decode(r.RawInputs) }

// Outputs decodes the resource's outputs.
func (r *Resource) Outputs() map[string]any { return decode(r.RawOutputs) }

func decode(raw json.RawMessage) map[string]any {
	var properties map[string]any
	_ = json.Unmarshal(raw, &properties)
	return properties
}

// Read reads an exported state or a backend's state file. An empty text is an empty state.
func Read(text []byte) (*State, error) { return read[State](text) }

// read decodes a part of a state, in either of its forms.
func read[T any](text []byte) (*T, error) {
	var either struct {
		Deployment *T `json:"deployment"`
		Checkpoint struct {
			Latest *T `json:"latest"`
		} `json:"checkpoint"`
	}
	if len(text) > 0 {
		if err := json.Unmarshal(text, &either); err != nil {
			return nil, fmt.Errorf("reading the state: %w", notAState(err))
		}
	}
	for _, state := range []*T{either.Deployment, either.Checkpoint.Latest} {
		if state != nil {
			return state, nil
		}
	}
	return new(T), nil
}

// Digest identifies the resources of a state. A state without resources has an empty digest.
func Digest(text []byte) (string, error) {
	state, err := read[struct {
		Resources []any `json:"resources"`
	}](text)
	if err != nil || len(state.Resources) == 0 {
		return "", err
	}
	canonical, err := json.Marshal(state.Resources)
	if err != nil {
		return "", fmt.Errorf("reading the state: %w", err)
	}
	digest := sha256.Sum256(canonical)
	return hex.EncodeToString(digest[:]), nil
}

// CheckExport returns an error unless the text is an exported state of the project's stack. Another stack's state would
// give the stack what belongs to the other.
func CheckExport(text []byte, project, stack string) error {
	var export struct {
		Version    int `json:"version"`
		Deployment *struct {
			Resources []struct {
				URN urn.URN `json:"urn"`
			} `json:"resources"`
		} `json:"deployment"`
	}
	if err := json.Unmarshal(text, &export); err != nil {
		return notAState(err)
	}
	if export.Version == 0 || export.Deployment == nil {
		return errors.New("is not an exported state: it has no version and deployment")
	}
	for _, r := range export.Deployment.Resources {
		if !r.URN.IsValid() {
			return fmt.Errorf("has a resource with the invalid URN %q", r.URN)
		}
		if string(r.URN.Stack()) != stack || string(r.URN.Project()) != project {
			return fmt.Errorf("is the state of stack %s of project %s, and not of stack %s of project %s",
				r.URN.Stack(), r.URN.Project(), stack, project)
		}
	}
	return nil
}

// notAState explains an error of the decoder without naming Go types.
func notAState(err error) error {
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		return fmt.Errorf("is not JSON (at byte %d: %w)", syntax.Offset, syntax)
	}
	return errors.New("is not a state: it is JSON of another form")
}
