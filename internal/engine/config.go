package engine

import (
	"context"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"dbtier/internal/progress"
	"dbtier/internal/project"
)

// Config selects a stack, and the way to work on it.
type Config struct {
	Project *project.Project
	Stack   *project.Stack
	// Program is the stack's program.
	Program pulumi.RunFunc
	// CLI returns the path of the pinned Pulumi CLI. It is called once, before the first process starts.
	CLI func(context.Context) (string, error)
	// Command is the driver's command, for the message to others that find the stack locked.
	Command string
	// Backend and SecretsProvider are the flags of those names.
	Backend, SecretsProvider string
	// Attach is the value of PULUMI_DEBUG_PROVIDERS. Only local stacks and offline previews may have one.
	Attach string
	// Offline previews from an empty state in a temporary folder.
	Offline bool
	// Kubeconfig is the local cluster's, for a local stack.
	Kubeconfig string
	// Kill ends the engine at once when it closes.
	Kill <-chan struct{}
	// Note receives what was repaired before the run.
	Note func(string)
	// Adopt and Forget settle creations that a killed run left unfinished, by URN or name. Adopt gives the id of a
	// resource that was created; Forget names those that were not.
	Adopt  map[string]string
	Forget []string
	// Overrides are config values for this run only, by full key (dbtier:pool) or a path below one
	// (dbtier:pool.replicas).
	Overrides map[string]any
	// Existing makes a stack that the backend does not have an error. Otherwise the stack is created.
	Existing bool
}

// Options adjust one operation of the engine. The zero value is a plain operation.
type Options struct {
	// Progress selects how the operation is shown.
	Progress progress.Options
	// Plan is an absolute path. Preview writes a plan to it; Up fails when it would do anything else.
	Plan string
	// Targets and Replaces are URNs, with * and ** as the engine understands them. Dependents adds the resources that
	// depend on the targets.
	Targets, Replaces []string
	Dependents        bool
	// Parallel is how many resources are worked on at once; 0 leaves the number to the engine.
	Parallel int
	// Refresh compares the state with the real resources first. An update after a killed run always does.
	Refresh bool
	// AsRecorded makes a preview compare with the state as it is, also if the next update refreshes it first.
	AsRecorded bool
	// IgnoreProtect lets the operation delete and replace what the option protect protects.
	IgnoreProtect bool
	// PolicyPacks and PolicyConfigs are absolute paths. There is one config for each pack, or none at all.
	PolicyPacks, PolicyConfigs []string
}
