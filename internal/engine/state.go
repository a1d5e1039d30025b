package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
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
			Version: u.Version, Kind: u.Kind, Result: u.Result, StartTime: u.StartTime, EndTime: u.EndTime,
			Message: u.Message,
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
		return nil, fmt.Errorf("stack %s is not in %s: bring it up with `dbtier up --stack %s`", c.Stack.Name,
			s.backend, c.Stack.Name)
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
	// Parent and Provider are URNs, empty for none and for the only provider of the type's package.
	Parent, Provider string
}

// ImportResource takes a resource that is there into the state, as its provider reads it. The CLI's own import would
// want a language plugin, for a program that it then does not write.
func (s *Session) ImportResource(ctx context.Context, e Existing, o Options) error {
	before, err := s.cli(ctx, "stack", "export")
	if err != nil {
		return err
	}
	d, err := readDeployment([]byte(before))
	if err != nil {
		return err
	}
	urn, err := s.add(d, e)
	if err != nil {
		return err
	}
	after, err := d.write()
	if err != nil {
		return err
	}
	if err := s.replaceState(ctx, after); err != nil {
		return err
	}
	o.Targets = []string{urn}
	result, err := s.Refresh(ctx, o)
	if err != nil {
		// What could not be read is not taken in.
		return errors.Join(err, s.replaceState(context.WithoutCancel(ctx), []byte(before)))
	}
	for _, step := range result.Steps {
		if step.URN == urn && step.Op == apitype.OpDelete {
			return fmt.Errorf("%s %s does not exist: nothing was taken in", e.Type, e.ID)
		}
	}
	return nil
}

// add puts a resource into the deployment of which nothing but its id is known, and returns its URN.
func (s *Session) add(d *deployment, e Existing) (urn string, err error) {
	parent := e.Parent
	stack := fmt.Sprintf("urn:pulumi:%s::%s::", s.config.Stack.Name, s.config.Project.Name)
	root := stack + "pulumi:pulumi:Stack::" + s.config.Project.Name + "-" + s.config.Stack.Name
	chain := ""
	if parent == "" {
		parent = root
	}
	if parts := strings.Split(parent, "::"); len(parts) == 4 && parent != root {
		chain = parts[2] + "$"
	}
	urn = stack + chain + e.Type + "::" + e.Name
	kind := "pulumi:providers:" + strings.SplitN(e.Type, ":", 2)[0]
	var providers []string
	hasParent := false
	for _, raw := range d.resources {
		var r begun
		if err := json.Unmarshal(raw, &r); err != nil {
			return "", fmt.Errorf("reading a resource of the state: %w", err)
		}
		switch {
		case r.URN == urn && !r.Delete:
			return "", fmt.Errorf("the state has %s already", urn)
		case r.Type == kind && (e.Provider == "" || r.URN == e.Provider):
			providers = append(providers, r.URN+"::"+r.ID)
		}
		hasParent = hasParent || r.URN == parent
	}
	switch {
	case !hasParent:
		return "", fmt.Errorf("--parent %s: the state has no such resource; a preview shows the URNs (--json)", parent)
	case len(providers) == 0:
		return "", fmt.Errorf(
			"the state has no provider of %s that it could be read with: bring the stack up first, or name its URN "+
				"with --provider", e.Type,
		)
	case len(providers) > 1:
		return "", fmt.Errorf("the state has several providers of %s: name one with --provider: %s", e.Type,
			strings.Join(providers, ", "))
	}
	text, err := json.Marshal(map[string]any{
		"urn": urn, "custom": true, "id": e.ID, "type": e.Type, "parent": parent, "provider": providers[0],
		"inputs": map[string]any{}, "outputs": map[string]any{},
	})
	if err != nil {
		return "", fmt.Errorf("writing the resource: %w", err)
	}
	d.resources = append(d.resources, text)
	return urn, nil
}

// replaceState puts a whole exported state in the place of the stack's.
func (s *Session) replaceState(ctx context.Context, text []byte) error {
	file := filepath.Join(s.work, "import-"+s.config.Stack.Name+".json")
	defer os.Remove(file)
	if err := writeFile(file, text); err != nil {
		return fmt.Errorf("writing the state: %w", err)
	}
	_, err := s.cli(ctx, "stack", "import", "--file", file)
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

// Cancel takes the locks off a stack whose update is gone for good, and in Pulumi Cloud ends the update. It returns
// whose locks those were, where the backend tells. An update of this machine that lives is none: the error then is a
// [statelock.HeldError].
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
					Stack: c.Stack.Name, Holder: lock.String(),
					Advice: "it lives, on this machine: wait until it has ended, or stop it with ^C where it runs",
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
