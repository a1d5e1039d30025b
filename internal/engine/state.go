package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"

	"dbtier/internal/statelock"
)

// Update is an earlier run that changed a stack.
type Update struct {
	Version int `json:"version"`
	// Kind is update, destroy, refresh or import; Result succeeded, failed or in-progress.
	Kind      string                 `json:"kind"`
	Result    string                 `json:"result"`
	StartTime time.Time              `json:"startTime"`
	EndTime   time.Time              `json:"endTime"`
	Message   string                 `json:"message,omitempty"`
	Changes   map[apitype.OpType]int `json:"changes,omitempty"`
	// Commit is what the project's checkout was at, Author whose commit that was.
	Commit string `json:"commit,omitempty"`
	Author string `json:"author,omitempty"`
}

// History lists the stack's last updates, the newest first. Config values are no part of it.
func History(ctx context.Context, c Config, limit int) ([]Update, error) {
	s, err := newSession(c)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	stdout, err := s.cli(ctx, "stack", "history", "--json", "--page-size", strconv.Itoa(limit), "--page", "1")
	if isUnknownStack(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var said []struct {
		Version         int
		Kind            string
		Result          string
		StartTime       time.Time
		EndTime         time.Time
		Message         string
		ResourceChanges map[apitype.OpType]int
		Environment     map[string]string
	}
	if err := json.Unmarshal([]byte(stdout), &said); err != nil {
		return nil, fmt.Errorf("reading the history of stack %s: %w", c.Stack.Name, err)
	}
	updates := make([]Update, 0, len(said))
	for _, u := range said {
		updates = append(updates, Update{
			Version: u.Version, Kind: u.Kind, Result: u.Result, StartTime: u.StartTime, EndTime: u.EndTime, Message: u.Message,
			Changes: u.ResourceChanges, Commit: u.Environment["git.head"], Author: u.Environment["git.author"],
		})
	}
	return updates, nil
}

// Export is the stack's state; secrets are encrypted in it.
func Export(ctx context.Context, c Config) (json.RawMessage, error) {
	s, err := newSession(c)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	stdout, err := s.cli(ctx, "stack", "export")
	if isUnknownStack(err) {
		return nil, fmt.Errorf("stack %s is not in %s: bring it up with `dbtier up --stack %s`", c.Stack.Name, s.backend, c.Stack.Name)
	}
	if err != nil {
		return nil, err
	}
	if !json.Valid([]byte(stdout)) {
		return nil, fmt.Errorf("stack %s: the Pulumi CLI exported no JSON", c.Stack.Name)
	}
	return json.RawMessage(stdout), nil
}

// ImportState replaces the stack's state by an exported one, after it has written the present one to the file backup.
func (s *Session) ImportState(ctx context.Context, file, backup string) error {
	if err := os.MkdirAll(filepath.Dir(backup), 0o700); err != nil {
		return fmt.Errorf("making the folder for the present state: %w", err)
	}
	before, err := s.cli(ctx, "stack", "export")
	if err != nil {
		return err
	}
	if err := writeFile(backup, []byte(before)); err != nil {
		return fmt.Errorf("keeping the present state: %w", err)
	}
	if _, err := s.cli(ctx, "stack", "import", "--file", file); err != nil {
		return err
	}
	// Nobody knows how old it is.
	return s.OweALook()
}

// Existing is a resource that is there and that the state is to take in.
type Existing struct {
	// Type is the resource's type token, Name its name in the program, ID what its provider knows it by.
	Type, Name, ID string
	// Parent and Provider are URNs, empty for none and for the default one.
	Parent, Provider string
}

// ImportResource takes a resource that is there into the state, unprotected.
func (s *Session) ImportResource(ctx context.Context, e Existing) error {
	args := []string{"import", e.Type, e.Name, e.ID, "--yes", "--skip-preview", "--generate-code=false", "--protect=false", "--suppress-outputs"}
	if e.Parent != "" {
		args = append(args, "--parent", "parent="+e.Parent)
	}
	if e.Provider != "" {
		args = append(args, "--provider", "provider="+e.Provider)
	}
	_, err := s.cli(ctx, args...)
	return err
}

// Reach reports why the backend cannot be read.
func Reach(ctx context.Context, c Config) error {
	s, err := newSession(c)
	if err != nil {
		return err
	}
	defer s.Close()
	if _, stderr, _, err := s.command.Run(ctx, s.work, nil, nil, nil, nil, "stack", "ls", "--json"); err != nil {
		return s.explain(fmt.Errorf("%w\n%s", err, stderr))
	}
	return nil
}

// Cancel takes the locks off a stack whose update is gone for good, and in Pulumi Cloud ends the update. It returns whose locks those
// were, where the backend tells. An update of this machine that lives is none: the error then is a [statelock.HeldError].
func Cancel(ctx context.Context, c Config) (holders []string, err error) {
	s, err := newSession(c)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	if err := s.acquire(ctx); err != nil {
		return nil, err
	}
	if backend, ok := fileBackend(c.Project, c.Stack, s.backend); ok {
		locks, err := backend.Locks()
		if err != nil {
			return nil, err
		}
		for _, lock := range locks {
			if lock.Lives {
				return nil, &statelock.HeldError{
					Stack: c.Stack.Name, Holder: lock.String(), Advice: "it lives, on this machine: wait until it has ended, or stop it with ^C where it runs",
				}
			}
			holders = append(holders, lock.String())
		}
		if len(locks) == 0 {
			return nil, nil
		}
	}
	if _, err := s.cli(ctx, "cancel", "--yes"); err != nil {
		return nil, err
	}
	return holders, nil
}
