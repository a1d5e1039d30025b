package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"

	"dbtier/internal/progress"
	"dbtier/internal/stackstate"
	"dbtier/internal/statelock"
)

// StateFile reads the stack's state from its file, without a process. It returns false when the backend is not a folder
// of this machine, or compresses its files. A stack that was never brought up has an empty state.
func (r *Reader) StateFile() (state []byte, ok bool, err error) {
	files, ok := r.files()
	if !ok {
		return nil, false, nil
	}
	state, err = os.ReadFile(files.StateFile())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, !files.Compressed(), nil
	}
	if err != nil {
		return nil, true, fmt.Errorf("reading the state of stack %s: %w", r.config.Stack.Name, err)
	}
	return state, true, nil
}

// State reads the stack's state: from its file if possible, otherwise through the CLI.
func (r *Reader) State(ctx context.Context) (*stackstate.State, error) {
	text, ok, err := r.StateFile()
	if err == nil && !ok {
		text, err = r.Export(ctx)
	}
	if err != nil {
		return nil, err
	}
	return r.read(text)
}

// StateDigest identifies the resources of the stack's state. It is empty for a stack that has none, or does not exist.
func (r *Reader) StateDigest(ctx context.Context) (string, error) {
	text, ok, err := r.StateFile()
	if err == nil && !ok {
		text, err = r.Export(ctx)
		if _, missing := errors.AsType[*missingError](err); missing {
			return "", nil
		}
	}
	if err != nil {
		return "", err
	}
	digest, err := stackstate.Digest(text)
	if err != nil {
		return "", fmt.Errorf("the state of stack %s in %s is damaged: %w", r.config.Stack.Name, r.backend, err)
	}
	return digest, nil
}

func (r *Reader) read(text []byte) (*stackstate.State, error) {
	state, err := stackstate.Read(text)
	if err != nil {
		return nil, fmt.Errorf("the state of stack %s in %s is damaged: %w", r.config.Stack.Name, r.backend, err)
	}
	return state, nil
}

func isUnknownStack(err error) bool {
	return err != nil && strings.Contains(err.Error(), "no stack named")
}

// Outputs reads the stack's outputs: from the state's file if possible, otherwise through the CLI. Secret outputs are
// "[secret]". A stack that was never brought up has none.
func (r *Reader) Outputs(ctx context.Context) (map[string]any, error) {
	outputs := map[string]any{}
	text, ok, err := r.StateFile()
	if err != nil {
		return nil, err
	}
	if ok {
		state, err := r.read(text)
		if err != nil {
			return nil, err
		}
		for _, resource := range state.Resources {
			if resource.Type == stackType && len(resource.RawOutputs) > 0 {
				if err := json.Unmarshal(resource.RawOutputs, &outputs); err != nil {
					return nil, fmt.Errorf("the outputs of stack %s are damaged: %w", r.config.Stack.Name, err)
				}
			}
		}
		for name, value := range outputs {
			outputs[name] = progress.Replace(value, func(value any) (any, bool) {
				return "[secret]", progress.IsSecret(value)
			})
		}
		return outputs, nil
	}
	stdout, err := r.cli(ctx, "stack", "output", "--json")
	if isUnknownStack(err) {
		return outputs, nil
	}
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal([]byte(stdout), &outputs); err != nil {
		return nil, fmt.Errorf("reading the outputs of stack %s: %w", r.config.Stack.Name, err)
	}
	return outputs, nil
}

// stackType is the type of the stack itself among its resources.
const stackType = "pulumi:pulumi:Stack"

// Update is an earlier run that changed a stack.
type Update struct {
	Version int `json:"version"`
	// Kind is update, destroy, refresh or import. Result is succeeded, failed or in-progress.
	Kind      string                 `json:"kind"`
	Result    string                 `json:"result"`
	StartTime time.Time              `json:"startTime"`
	EndTime   time.Time              `json:"endTime"`
	Message   string                 `json:"message,omitempty"`
	Changes   map[apitype.OpType]int `json:"changes,omitempty"`
	// Commit is the commit of the project's checkout, Author its author.
	Commit string `json:"commit,omitempty"`
	Author string `json:"author,omitempty"`
}

// History lists the stack's last updates, the newest first, without config values.
func (r *Reader) History(ctx context.Context, limit int) ([]Update, error) {
	stdout, err := r.cli(ctx, "stack", "history", "--json", "--page-size", strconv.Itoa(limit), "--page", "1")
	if isUnknownStack(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var printed []struct {
		Update
		ResourceChanges map[apitype.OpType]int
		Environment     map[string]string
	}
	if err := json.Unmarshal([]byte(stdout), &printed); err != nil {
		return nil, fmt.Errorf("reading the history of stack %s: %w", r.config.Stack.Name, err)
	}
	updates := make([]Update, 0, len(printed))
	for _, u := range printed {
		u.Changes, u.Commit, u.Author = u.ResourceChanges, u.Environment["git.head"], u.Environment["git.author"]
		updates = append(updates, u.Update)
	}
	return updates, nil
}

// Export returns the stack's state. Secrets in it are encrypted.
func (r *Reader) Export(ctx context.Context) (json.RawMessage, error) {
	stdout, err := r.cli(ctx, "stack", "export")
	if isUnknownStack(err) {
		return nil, r.missing()
	}
	if err != nil {
		return nil, err
	}
	if !json.Valid([]byte(stdout)) {
		return nil, fmt.Errorf("stack %s: the Pulumi CLI exported no JSON", r.config.Stack.Name)
	}
	return json.RawMessage(stdout), nil
}

// Reach returns the reason why the backend cannot be read, or nil.
func (r *Reader) Reach(ctx context.Context) error {
	if err := r.prepare(ctx); err != nil {
		return err
	}
	if _, stderr, _, err := r.command.Run(ctx, r.work, nil, nil, nil, nil, "stack", "ls", "--json"); err != nil {
		return r.explain(fmt.Errorf("%w\n%s", err, stderr))
	}
	return nil
}

// Cancel removes the locks of an update that is gone, and in Pulumi Cloud ends the update. It returns the holders of
// the locks as far as the backend names them. It returns a [statelock.HeldError] when an update of this machine is
// alive, and holds the driver's own lock meanwhile to make sure.
func (r *Reader) Cancel(ctx context.Context) (holders []string, err error) {
	if err := r.prepare(ctx); err != nil {
		return nil, err
	}
	if err := r.acquire(ctx); err != nil {
		return nil, err
	}
	if files, ok := r.files(); ok {
		locks, err := files.Locks()
		if err != nil || len(locks) == 0 {
			return nil, err
		}
		for _, lock := range locks {
			if lock.Lives {
				return nil, &statelock.HeldError{
					Stack: r.config.Stack.Name, Holder: lock.String(),
					Advice: "its process is alive on this machine: wait until it ends, or stop it with ^C",
				}
			}
			holders = append(holders, lock.String())
		}
	}
	_, err = r.cli(ctx, "cancel", "--yes")
	if err != nil {
		return nil, err
	}
	return holders, nil
}
