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

// FileOutputs reads a stack's outputs from the state's file; ok is false for a backend that is no folder of this machine.
// A stack that was never brought up has none.
func FileOutputs(p *project.Project, s *project.Stack, backend string) (outputs map[string]any, ok bool, err error) {
	files, ok := fileBackend(p, s, backend)
	if !ok {
		return nil, false, nil
	}
	text, err := os.ReadFile(files.StateFile())
	if errors.Is(err, fs.ErrNotExist) {
		if files.Compressed() {
			return nil, false, nil
		}
		return map[string]any{}, true, nil
	}
	if err != nil {
		return nil, true, fmt.Errorf("reading the state of stack %s: %w", s.Name, err)
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
		return nil, true, fmt.Errorf("the state of stack %s in %s is damaged: %w", s.Name, files.StateFile(), err)
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
	s := &Session{config: c, closed: make(chan struct{})}
	run, work, err := s.place()
	if err != nil {
		return nil, err
	}
	if err := s.prepareHome(run.Home); err != nil {
		return nil, err
	}
	s.command = &pulumicli.Command{Path: c.CLI, Env: Environment(os.Environ(), run)}
	stdout, stderr, _, err := s.command.Run(ctx, work, nil, nil, nil, nil, "stack", "output", "--json", "--stack", c.Stack.Name)
	if err != nil {
		if strings.Contains(stderr, "no stack named") {
			return map[string]any{}, nil
		}
		return nil, s.explain(fmt.Errorf("%w\n%s", err, stderr))
	}
	outputs := map[string]any{}
	if err := json.Unmarshal([]byte(stdout), &outputs); err != nil {
		return nil, fmt.Errorf("reading the outputs of stack %s: %w", c.Stack.Name, err)
	}
	return outputs, nil
}
