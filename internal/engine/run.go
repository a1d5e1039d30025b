package engine

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/auto/events"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optdestroy"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optrefresh"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optup"

	"dbtier/internal/progress"
	"dbtier/internal/statelock"
)

// Run changes a stack and holds its lock until Close. As a Reader it sees a stack that no other update changes.
type Run struct{ *Reader }

// NewRun locks the stack, creates it in the backend if needed, and settles what a killed run left unfinished.
func NewRun(ctx context.Context, c Config) (*Run, error) {
	r := &Run{NewReader(c)}
	for _, step := range []func(context.Context) error{
		r.prepare, r.acquire,
		func(ctx context.Context) error { return r.selectStack(ctx, c.Existing) },
		r.settle,
	} {
		if err := step(ctx); err != nil {
			r.Close()
			return nil, err
		}
	}
	return r, nil
}

// acquire takes the driver's lock and removes the backend's locks of processes that have ended. The lock's file is
// beside the state if that is in a folder, so that all checkouts that share the state exclude each other.
func (r *Reader) acquire(ctx context.Context) (err error) {
	c := r.config
	path := c.Project.Own("locks", c.Stack.Name+".lock")
	files, isFolder := r.files()
	if isFolder {
		path = filepath.Join(files.Dir, ".dbtier", files.Project, files.Stack+".lock")
	}
	r.lock, err = statelock.Acquire(ctx, statelock.Options{
		Path: path, Stack: c.Stack.Name, Command: c.Command, Note: c.Note,
	})
	if err != nil {
		return err
	}
	r.command.Held = []*os.File{r.lock.File()}
	if isFolder {
		return files.ClearStaleLocks(c.Note)
	}
	return nil
}

// retrying runs an operation, and runs it again while it meets locks of the backend that do not last.
func (r *Reader) retrying(ctx context.Context, operate func() error) error {
	for tries := 1; ; tries++ {
		if err := operate(); err == nil || !r.tryAgain(ctx, err, tries) {
			return err
		}
	}
}

// tryAgain reports whether an operation that met the backend's locks can start again. If all locks are left by ended
// processes of this machine, it removes them: no other update works on the stack, because this one holds the driver's
// lock. If updates of two machines start at once, each may see the other's lock and give up; a random delay then lets
// one of them start.
func (r *Reader) tryAgain(ctx context.Context, err error, tries int) bool {
	const (
		maxTries = 4
		recent   = 10 * time.Second
	)
	var held *statelock.HeldError
	if r.lock == nil || !errors.As(err, &held) || len(held.Locks) == 0 || tries >= maxTries || ctx.Err() != nil {
		return false
	}
	if !slices.ContainsFunc(held.Locks, func(l statelock.BackendLock) bool { return !l.Dead() }) {
		if _, err := r.cli(ctx, "cancel", "--yes"); err != nil {
			return false
		}
		for _, lock := range held.Locks {
			r.config.Note(lock.Removed(r.config.Stack.Name))
		}
		return true
	}
	if slices.ContainsFunc(held.Locks, func(l statelock.BackendLock) bool { return l.Age().Abs() > recent }) {
		return false
	}
	wait := time.NewTimer(time.Duration(100+rand.IntN(900)) * time.Millisecond) //nolint:gosec // a delay, not a secret
	defer wait.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-wait.C:
		return true
	}
}

// change runs an operation that changes the stack. refresh is true when the operation must refresh the state first.
func (r *Run) change(
	ctx context.Context, o Options, operate func(stream chan<- events.EngineEvent, refresh bool) error,
) (result progress.Result, err error) {
	needed := r.NeedsRefresh()
	if err := r.RequireRefresh(); err != nil {
		return result, failed(err)
	}
	err = r.retrying(ctx, func() (err error) {
		result, err = r.execute(o, func(stream chan<- events.EngineEvent) error {
			return operate(stream, needed || o.Refresh)
		})
		return err
	})
	// A run that failed with a summary, or that had targets, leaves a correct state but has not seen every resource.
	if err == nil && len(o.Targets) == 0 || result.Ended && !needed {
		_ = os.Remove(r.owed())
	}
	return result, err
}

// apply sets the options of an operation. It is an option of every operation of the Automation API.
type apply[T any] func(*T)

// ApplyOption implements the Option of each operation's package.
func (set apply[T]) ApplyOption(options *T) { set(options) }

// streams is the value of EventStreams for one stream.
type streams = []chan<- events.EngineEvent

// Up changes the stack's resources to what the program declares.
func (r *Run) Up(ctx context.Context, o Options) (progress.Result, error) {
	return r.change(ctx, o, func(stream chan<- events.EngineEvent, refresh bool) error {
		_, err := r.stack.Up(ctx, apply[optup.Options](func(up *optup.Options) {
			up.EventStreams, up.SuppressProgress, up.SuppressOutputs = streams{stream}, true, true
			up.Target, up.TargetDependents, up.Replace = o.Targets, o.Dependents, o.Replaces
			up.Parallel, up.Refresh, up.Plan, up.ShowSecrets = o.Parallel, refresh, o.Plan, new(bool)
			up.PolicyPacks, up.PolicyPackConfigs = o.PolicyPacks, o.PolicyConfigs
		}))
		return err
	})
}

// Destroy deletes every resource of the stack.
func (r *Run) Destroy(ctx context.Context, o Options) (progress.Result, error) {
	return r.change(ctx, o, func(stream chan<- events.EngineEvent, refresh bool) error {
		_, err := r.stack.Destroy(ctx, apply[optdestroy.Options](func(destroy *optdestroy.Options) {
			destroy.EventStreams, destroy.SuppressProgress, destroy.SuppressOutputs = streams{stream}, true, true
			destroy.Target, destroy.TargetDependents = o.Targets, o.Dependents
			destroy.Parallel, destroy.Refresh = o.Parallel, refresh
		}))
		return err
	})
}

// Remove removes the stack, which must be empty, and its history from the backend. The stack's file stays.
func (r *Run) Remove(ctx context.Context) error {
	_, err := r.cli(ctx, "stack", "rm", "--yes", "--preserve-config")
	return failed(err)
}

// Refresh updates the state from the real resources and changes no resource.
func (r *Run) Refresh(ctx context.Context, o Options) (result progress.Result, err error) {
	err = r.retrying(ctx, func() (err error) {
		result, err = r.execute(o, func(stream chan<- events.EngineEvent) error {
			_, err := r.stack.Refresh(ctx, o.refresh(stream))
			return err
		})
		return err
	})
	if err == nil && len(o.Targets) == 0 {
		_ = os.Remove(r.owed())
	}
	return result, err
}

// refresh is the option for a refresh or the preview of one.
func (o Options) refresh(stream chan<- events.EngineEvent) optrefresh.Option {
	return apply[optrefresh.Options](func(refresh *optrefresh.Options) {
		refresh.EventStreams, refresh.SuppressProgress, refresh.SuppressOutputs = streams{stream}, true, true
		refresh.Target, refresh.TargetDependents = o.Targets, o.Dependents
		refresh.Parallel, refresh.ShowSecrets = o.Parallel, new(bool)
	})
}

// ImportState replaces the stack's state by an exported one. It first writes the present state to the file backup.
func (r *Run) ImportState(ctx context.Context, file, backup string) (err error) {
	defer func() { err = failed(err) }()
	if err := os.MkdirAll(filepath.Dir(backup), 0o700); err != nil {
		return fmt.Errorf("making the folder for the present state: %w", err)
	}
	before, err := r.cli(ctx, "stack", "export")
	if err != nil {
		return err
	}
	if err := WriteFile(backup, []byte(before), 0o600); err != nil {
		return fmt.Errorf("keeping the present state: %w", err)
	}
	if _, err := r.cli(ctx, "stack", "import", "--file", file); err != nil {
		return err
	}
	// The imported state may be older than the real resources.
	return r.RequireRefresh()
}
