package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"dbtier/internal/project"
	"dbtier/internal/pulumicli"
)

// secretMark is the key of the engine's mark in a serialised secret.
const secretMark = "4dabf18193072939515e22adb298388d" //nolint:gosec // a mark, no secret

// FileState reads a stack's state from its file; ok is false for a backend that is no folder of this machine, or whose
// files only the CLI reads. A stack that was never brought up has none.
func FileState(p *project.Project, s *project.Stack, backend string) (text []byte, ok bool, err error) {
	files, ok := fileBackend(p, s, backend)
	if !ok {
		return nil, false, nil
	}
	text, err = os.ReadFile(files.StateFile())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, !files.Compressed(), nil
	}
	if err != nil {
		return nil, true, fmt.Errorf("reading the state of stack %s: %w", s.Name, err)
	}
	return text, true, nil
}

// FileOutputs reads a stack's outputs from the state's file; ok is false where FileState's is. A stack that was never
// brought up has none.
func FileOutputs(p *project.Project, s *project.Stack, backend string) (outputs map[string]any, ok bool, err error) {
	text, ok, err := FileState(p, s, backend)
	if !ok || err != nil {
		return nil, ok, err
	}
	if text == nil {
		return map[string]any{}, true, nil
	}
	var state struct {
		Checkpoint struct {
			Latest struct {
				Resources []struct {
					Type    string          `json:"type"`
					Outputs json.RawMessage `json:"outputs"`
				} `json:"resources"`
			} `json:"latest"`
		} `json:"checkpoint"`
	}
	if err := json.Unmarshal(text, &state); err != nil {
		return nil, true, fmt.Errorf("the state of stack %s in %s is damaged: %w", s.Name, backend, err)
	}
	for _, resource := range state.Checkpoint.Latest.Resources {
		if resource.Type != "pulumi:pulumi:Stack" {
			continue
		}
		outputs := map[string]any{}
		if len(resource.Outputs) > 0 {
			if err := json.Unmarshal(resource.Outputs, &outputs); err != nil {
				return nil, true, fmt.Errorf("the outputs of stack %s are damaged: %w", s.Name, err)
			}
		}
		for name, value := range outputs {
			outputs[name] = withoutSecrets(value)
		}
		return outputs, true, nil
	}
	return map[string]any{}, true, nil
}

func withoutSecrets(value any) any {
	switch v := value.(type) {
	case map[string]any:
		if _, marked := v[secretMark]; marked {
			return "[secret]"
		}
		for key, inner := range v {
			v[key] = withoutSecrets(inner)
		}
	case []any:
		for i, inner := range v {
			v[i] = withoutSecrets(inner)
		}
	}
	return value
}

// ReadOutputs asks the CLI for a stack's outputs; secret ones are "[secret]".
func ReadOutputs(ctx context.Context, c Config) (map[string]any, error) {
	s, err := newSession(c)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	stdout, err := s.cli(ctx, "stack", "output", "--json")
	if isUnknownStack(err) {
		return map[string]any{}, nil
	}
	if err != nil {
		return nil, err
	}
	outputs := map[string]any{}
	if err := json.Unmarshal([]byte(stdout), &outputs); err != nil {
		return nil, fmt.Errorf("reading the outputs of stack %s: %w", c.Stack.Name, err)
	}
	return outputs, nil
}

// newSession is a session for questions that the CLI answers from the state: it needs no stack that is there, and no
// lock.
func newSession(c Config) (*Session, error) {
	if c.Note == nil {
		c.Note = func(string) {}
	}
	s := &Session{config: c, closed: make(chan struct{})}
	run, work, err := s.place()
	if err == nil {
		err = s.prepareHome(run.Home)
	}
	if err != nil {
		s.Close()
		return nil, err
	}
	s.work = work
	s.command = &pulumicli.Command{Path: c.CLI, Env: Environment(os.Environ(), run)}
	return s, nil
}

func isUnknownStack(err error) bool {
	return err != nil && strings.Contains(err.Error(), "no stack named")
}
