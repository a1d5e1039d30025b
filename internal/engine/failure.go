package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"dbtier/config"
	"dbtier/internal/statelock"
	"dbtier/internal/text"
)

// FailureError is a run that began and failed.
type FailureError struct {
	// Faults are the reasons, each once, ready to print.
	Faults []string
	// Policy is true when a mandatory policy is violated, Config when the program refused its config.
	Policy, Config bool
}

func (f *FailureError) Error() string { return strings.Join(f.Faults, "\n") }

// failed turns the error of a run that had begun into a FailureError, unless it is of a more specific kind.
func failed(err error) error {
	var failure *FailureError
	var held *statelock.HeldError
	if err == nil || errors.Is(err, ErrCancelled) || errors.As(err, &failure) || errors.As(err, &held) {
		return err
	}
	return &FailureError{Faults: []string{err.Error()}}
}

// ErrCancelled is the error of a run that the person stopped.
var ErrCancelled = errors.New("cancelled: what was finished is recorded; run the same command again to go on")

func isCancelled(err error) bool {
	return errors.Is(err, context.Canceled) || strings.Contains(err.Error(), "update canceled")
}

// explain turns an error of the CLI into one sentence.
func (r *Reader) explain(err error) error {
	if err == nil || isCancelled(err) {
		return ErrCancelled
	}
	name, said := r.config.Stack.Name, err.Error()
	contains := func(parts ...string) bool {
		return slices.ContainsFunc(parts, func(part string) bool { return strings.Contains(said, part) })
	}
	switch {
	case contains("no space left on device", "disk quota exceeded"):
		return fmt.Errorf("stack %s: the disk is full: free some space (the state is in %s) and run this again", name,
			r.backend)
	case contains("incorrect passphrase") && r.config.Stack.Cloud == config.Local:
		return fmt.Errorf("stack %s: its state was encrypted with another passphrase than the one in %s: "+
			"delete the local state with `dbtier local stop --purge`", name,
			r.config.Project.Own("local-passphrase"))
	case contains("incorrect passphrase"):
		return fmt.Errorf("stack %s: its secrets were encrypted with another passphrase: "+
			"check PULUMI_CONFIG_PASSPHRASE or PULUMI_CONFIG_PASSPHRASE_FILE", name)
	// The messages of a backend of files or objects, and of Pulumi Cloud.
	case contains("the stack is currently locked by", "Another update is currently in progress"):
		return &statelock.HeldError{
			Stack: name, Holder: "another update (" + lockedBy(said) + ")", Locks: statelock.ParseLocks(said),
			Advice: fmt.Sprintf("wait until it ends; if it is gone for good: dbtier cancel --stack %s", name),
		}
	case contains("PULUMI_ACCESS_TOKEN must be set"):
		return fmt.Errorf("stack %s: not logged in to %s: set PULUMI_ACCESS_TOKEN or run `pulumi login %s`", name,
			r.backend, r.backend)
	case contains("policy pack \"") && contains("failed to start"):
		return fmt.Errorf("stack %s: %s: check that the file is a policy pack for this machine, and can be executed",
			name, text.FirstError(said))
	case contains("failed to load plugin", "no resource plugin"):
		return fmt.Errorf("stack %s: a provider plugin is missing: %s", name, text.FirstError(said))
	}
	if line := text.FirstError(said); line != "" {
		return fmt.Errorf("stack %s: %s", name, line)
	}
	return fmt.Errorf("stack %s: %w", name, err)
}

// lockedBy returns the holder of the backend's lock from the CLI's message.
func lockedBy(said string) string {
	for line := range strings.Lines(said) {
		if _, by, ok := strings.Cut(line, "created by "); ok {
			return strings.TrimSpace(by)
		}
	}
	return "the backend does not name its holder"
}
