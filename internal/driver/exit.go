package driver

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"dbtier/internal/engine"
	"dbtier/internal/localcloud"
	"dbtier/internal/stackfile"
	"dbtier/internal/statelock"
)

// Exit codes, as documented in docs/driver.md.
const (
	exitDone = 0
	// exitTrouble is used when something that a run needs is missing, when a check failed, and for any other error.
	exitTrouble = 1
	// exitPending means that something would change.
	exitPending = 2
	// exitRefused means that a mandatory policy is violated, or that data would be lost.
	exitRefused = 3
	// exitConfig is an error in the project's or the stack's config.
	exitConfig = 4
	// exitFailed is a run of the engine that began and failed.
	exitFailed = 5
	// exitConflict means that another update works on the stack.
	exitConflict = 6
	// exitUsage is a wrong command line. The number is EX_USAGE of sysexits.h.
	exitUsage     = 64
	exitCancelled = 130
)

// severity orders the codes. A command on several stacks ends with the first of these codes that one of them has.
var severity = []int{
	exitCancelled, exitFailed, exitConfig, exitRefused, exitConflict, exitTrouble, exitUsage, exitPending, exitDone,
}

// codedError is an error with an exit code that its type does not imply. A silent one is not printed: it is not a
// fault, or was already reported.
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

// errPending ends a command that only reports whether something would change.
var errPending = &codedError{error: errors.New("changes are pending"), code: exitPending, silent: true}

// usageError is a wrong command line.
type usageError struct {
	error
	command string
}

func usage(cmd *cobra.Command, format string, args ...any) error {
	return &usageError{error: fmt.Errorf(format, args...), command: cmd.CommandPath()}
}

// exitCode returns the exit code for an error.
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

// faults returns the texts of an error that are still to be printed, each fault once.
func faults(ctx context.Context, err error) []string {
	var coded *codedError
	var failure *engine.FailureError
	switch code := exitCode(ctx, err); {
	case err == nil, errors.Is(err, localcloud.ErrReported), errors.As(err, &coded) && coded.silent:
		return nil
	case code == exitCancelled:
		return []string{engine.ErrCancelled.Error()}
	case errors.As(err, &failure):
		return failure.Faults
	default:
		return []string{err.Error()}
	}
}

// printError prints an error for a person.
func (a *app) printError(ctx context.Context, err error) {
	var usage *usageError
	switch code := exitCode(ctx, err); {
	case code == exitCancelled:
		fmt.Fprintln(a.stderr, engine.ErrCancelled)
	case errors.As(err, &usage):
		fmt.Fprintf(a.stderr, "error: %s\nsee: %s --help\n", usage.Error(), usage.command)
	default:
		// Lines of a file are pasted as they are.
		below := "\n    "
		if missing := (*stackfile.MissingError)(nil); errors.As(err, &missing) {
			below = "\n"
		}
		for _, fault := range faults(ctx, err) {
			fmt.Fprintf(a.stderr, "error: %s\n", strings.ReplaceAll(fault, "\n", below))
		}
	}
}
