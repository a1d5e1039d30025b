package driver

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"dbtier/internal/engine"
	"dbtier/internal/localcloud"
	"dbtier/internal/statelock"
)

// Exit codes; docs/driver.md promises them.
const (
	exitDone = 0
	// exitTrouble is what none of the others says: something that a run needs is missing, or a check failed.
	exitTrouble = 1
	// exitPending says that something would change.
	exitPending = 2
	// exitRefused is a mandatory policy that is violated, or data that would be lost.
	exitRefused = 3
	// exitConfig is a fault in the project's or the stack's config.
	exitConfig = 4
	// exitFailed is a run of the engine that began and failed.
	exitFailed = 5
	// exitConflict says that someone else works on the stack.
	exitConflict = 6
	// exitUsage is a command line that is not understood; the number is sysexits.h's EX_USAGE.
	exitUsage     = 64
	exitCancelled = 130
)

// severity orders the codes of several stacks: the first that occurs is that of all.
var severity = []int{
	exitCancelled, exitFailed, exitConfig, exitRefused, exitConflict, exitTrouble, exitUsage,
	exitPending, exitDone,
}

// codedError is an error whose exit code its kind does not tell. A silent one is no fault: what it stands for was said.
type codedError struct {
	error
	code   int
	silent bool
}

func (e *codedError) Unwrap() error { return e.error }

func coded(code int, err error) error {
	if err == nil {
		return nil
	}
	return &codedError{error: err, code: code}
}

// errPending is the end of a run that was only to tell whether something would change.
var errPending = &codedError{error: errors.New("changes are pending"), code: exitPending, silent: true}

// usageError is a command line that no command understands.
type usageError struct {
	error
	command string
}

// exitCode tells an error's code.
func exitCode(ctx context.Context, err error) int {
	var coded *codedError
	var usage *usageError
	var failure *engine.FailureError
	var unsettled *engine.UnsettledError
	var held *statelock.HeldError
	switch {
	case err == nil:
		return exitDone
	case errors.Is(err, engine.ErrCancelled), errors.Is(err, context.Canceled), ctx.Err() != nil:
		return exitCancelled
	case errors.As(err, &usage):
		return exitUsage
	case errors.As(err, &held):
		return exitConflict
	case errors.As(err, &failure) && failure.Policy:
		return exitRefused
	case errors.As(err, &failure) && failure.Config:
		return exitConfig
	case errors.As(err, &coded):
		return coded.code
	case errors.As(err, &failure), errors.As(err, &unsettled):
		return exitFailed
	default:
		return exitTrouble
	}
}

// faults are what an error has to say, each fault once; none where all was said.
func faults(ctx context.Context, err error) []string {
	var coded *codedError
	var failure *engine.FailureError
	switch code := exitCode(ctx, err); {
	case err == nil, errors.Is(err, localcloud.ErrSaid), errors.As(err, &coded) && coded.silent:
		return nil
	case code == exitCancelled:
		return []string{engine.ErrCancelled.Error()}
	case errors.As(err, &failure):
		return failure.Faults
	default:
		return []string{err.Error()}
	}
}

// tell says an error to a person.
func (a *app) tell(ctx context.Context, err error) {
	var usage *usageError
	switch code := exitCode(ctx, err); {
	case code == exitCancelled:
		fmt.Fprintln(a.stderr, engine.ErrCancelled)
	case errors.As(err, &usage):
		fmt.Fprintf(a.stderr, "error: %s\nsee: %s --help\n", usage.Error(), usage.command)
	default:
		for _, fault := range faults(ctx, err) {
			fmt.Fprintf(a.stderr, "error: %s\n", strings.ReplaceAll(fault, "\n", "\n    "))
		}
	}
}
