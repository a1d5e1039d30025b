package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/pulumi/pulumi/sdk/v3/go/auto"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/events"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optpreview"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"dbtier/components/fault"
	"dbtier/config"
	"dbtier/internal/progress"
	"dbtier/internal/pulumicli"
	"dbtier/internal/statelock"
)

// Reader looks at a stack without its lock. It prepares nothing before the first question that needs a process. It is
// not safe for concurrent use.
type Reader struct {
	config  Config
	backend string
	command *pulumicli.Command
	stack   *auto.Stack
	lock    *statelock.Lock
	// work is the folder in which the CLI runs, home its PULUMI_HOME, temp a folder that Close removes.
	work, home, temp string
	// kept is the folder that keeps the salt of a local stack; empty for other stacks.
	kept        string
	environment environment
	// executing is true while the Automation API runs an operation.
	executing bool
	closed    chan struct{}
	// refusal is the error with which the program itself ended.
	refusal atomic.Pointer[error]
}

// NewReader returns a reader of the stack.
func NewReader(c Config) *Reader {
	if c.Note == nil {
		c.Note = func(string) {}
	}
	c.SecretsProvider = SecretsProvider(c.Stack, c.SecretsProvider)
	return &Reader{
		config: c, backend: Backend(c.Project, c.Stack, c.Backend, os.LookupEnv), closed: make(chan struct{}),
	}
}

// Backend is the URL of the backend in use.
func (r *Reader) Backend() string { return r.backend }

// files is the stack's place in a backend of files on this machine; false for any other backend.
func (r *Reader) files() (statelock.FileBackend, bool) {
	dir, ok := statelock.FileBackendDir(r.backend)
	return statelock.FileBackend{Dir: dir, Project: r.config.Project.Name, Stack: r.config.Stack.Name}, ok
}

// prepare makes the folders that the CLI needs, and the command that runs it.
func (r *Reader) prepare(ctx context.Context) error {
	if r.command != nil {
		return nil
	}
	c := r.config
	if c.Attach != "" && c.Stack.Cloud != config.Local && !c.Offline {
		return fmt.Errorf("stack %s is not marked local: it never runs against attached provider servers", c.Stack.Name)
	}
	cli, err := c.CLI(ctx)
	if err != nil {
		return err
	}
	environment, err := r.place()
	if err != nil {
		return err
	}
	r.home, r.environment = environment.Home, environment
	if err := pulumicli.PrepareHome(r.home); err != nil {
		return err
	}
	if !strings.Contains(c.Attach, "aws:") || !strings.Contains(c.Attach, "kubernetes:") {
		if err := pulumicli.SharePlugins(r.home, pulumicli.UserHome()); err != nil {
			return err
		}
	}
	r.command = &pulumicli.Command{Path: cli, Env: environment.apply(os.Environ()), Answer: r.answer}
	go func(command *pulumicli.Command) {
		select {
		case <-c.Kill:
			command.Kill()
		case <-r.closed:
		}
	}(r.command)
	return nil
}

// place chooses the work folder, the state and the engine's environment, and makes the folders.
func (r *Reader) place() (env environment, err error) {
	c := r.config
	if c.Offline {
		env, err = r.emptyState(environment{Attach: c.Attach}, copying{offline: true, overrides: c.Overrides})
		env.Home = filepath.Join(r.temp, "home")
		return env, err
	}
	if err := CheckSecrets(c.Stack, r.backend, c.SecretsProvider, os.LookupEnv); err != nil {
		return env, err
	}
	if files, ok := r.files(); ok && c.Command != previewing {
		if err := os.MkdirAll(files.Dir, 0o700); err != nil {
			return env, fmt.Errorf("making the folder of the state: %w", err)
		}
	}
	env = environment{
		Backend: r.backend, Home: c.Project.Own("home"), CredentialsPath: credentialsPath(),
		Attach: c.Attach,
	}
	switch {
	case c.Stack.Cloud == config.Local:
		env.Kubeconfig = c.Kubeconfig
		if env.PassphraseFile, err = LocalPassphrase(c.Project); err != nil {
			return env, err
		}
		// The projects of a checkout share the local cloud, so each has its own folder there. It keeps the salts, and
		// plain pulumi works in it. Runs have folders of their own: two at once can have different settings.
		r.kept = c.Project.LocalCloud("state", "pulumi", "work", c.Project.Name)
		if err := copyProject(c.Project, c.Stack, r.kept, copying{}); err != nil {
			return env, err
		}
		if r.temp, err = os.MkdirTemp("", "dbtier-run-"); err != nil {
			return env, fmt.Errorf("making a folder for this run: %w", err)
		}
		r.work = filepath.Join(r.temp, "run")
		return env, copyProject(c.Project, c.Stack, r.work, copying{salts: r.kept, overrides: c.Overrides})
	case len(c.Overrides) == 0:
		r.work = c.Project.Dir
		return env, nil
	}
	// Overrides go into a copy of the stack's file, which keeps the settings that decrypt the other values.
	if r.temp, err = os.MkdirTemp("", "dbtier-config-"); err != nil {
		return env, fmt.Errorf("making a folder for the config of this run: %w", err)
	}
	r.work = r.temp
	return env, copyProject(c.Project, c.Stack, r.work, copying{encryption: true, overrides: c.Overrides})
}

// emptyState moves the reader to an empty state in a temporary folder, and returns the environment for it.
func (r *Reader) emptyState(env environment, how copying) (environment, error) {
	var err error
	if r.temp == "" {
		r.temp, err = os.MkdirTemp("", "dbtier-preview-")
	}
	state := filepath.Join(r.temp, "state")
	if err == nil {
		err = os.Mkdir(state, 0o700)
	}
	if err != nil {
		return env, fmt.Errorf("making a folder for the preview: %w", err)
	}
	r.backend, r.work = "file://"+state, filepath.Join(r.temp, "work")
	env.Backend, env.PassphraseFile, env.Passphrase = r.backend, "", "a preview, nothing is kept"
	return env, copyProject(r.config.Project, r.config.Stack, r.work, how)
}

// credentialsPath is the folder of the user's Pulumi logins.
func credentialsPath() string {
	if path := os.Getenv("PULUMI_CREDENTIALS_PATH"); path != "" {
		return path
	}
	return pulumicli.UserHome()
}

// selectStack makes the stack ready for the engine. It creates a stack that the backend does not have, unless the stack
// must exist.
func (r *Reader) selectStack(ctx context.Context, existing bool) error {
	if r.stack != nil {
		return nil
	}
	if err := r.prepare(ctx); err != nil {
		return err
	}
	creates := r.lock == nil && r.config.Command == previewing && !r.config.Offline && !existing
	if files, ok := r.files(); ok && creates && !files.Exists() {
		return r.previewCreation(ctx)
	}
	name := r.config.Stack.Name
	if r.config.Offline { // The state is empty, and nothing in it needs the key of the stack's secrets.
		workspace, err := r.workspace(ctx)
		if err != nil {
			return err
		}
		return r.create(ctx, workspace)
	}
	workspace, err := r.workspace(ctx, auto.SecretsProvider(r.config.SecretsProvider))
	if err != nil {
		return err
	}
	stack, err := auto.SelectStack(ctx, name, workspace)
	if err != nil && auto.IsSelectStack404Error(err) {
		switch {
		case existing:
			return r.missing()
		case creates:
			return r.previewCreation(ctx)
		}
		if err := r.create(ctx, workspace); err != nil {
			return err
		}
		if err := keepSalt(r.work, r.kept, r.config.Stack); err != nil {
			return err
		}
		r.config.Note(fmt.Sprintf("created stack %s in %s", name, r.backend))
		return nil
	}
	if err != nil {
		return r.explain(err)
	}
	r.stack = &stack
	return nil
}

// workspace is the engine's way to the program and the CLI.
func (r *Reader) workspace(ctx context.Context, more ...auto.LocalWorkspaceOption) (auto.Workspace, error) {
	workspace, err := auto.NewLocalWorkspace(ctx, append([]auto.LocalWorkspaceOption{
		auto.WorkDir(r.work), auto.Program(r.program), auto.Pulumi(r.command), auto.PulumiHome(r.home),
	}, more...)...)
	if err != nil {
		return nil, fmt.Errorf("preparing the engine's workspace: %w", err)
	}
	return workspace, nil
}

// previewing is the command that looks at a stack that may not exist yet.
const previewing = "preview"

// previewCreation makes a stack in a temporary state ready. A reader has no lock and must not create the real one,
// which would also write into the stack's file.
func (r *Reader) previewCreation(ctx context.Context) (err error) {
	r.config.Note(fmt.Sprintf("stack %s is not in %s yet: this shows its creation", r.config.Stack.Name, r.backend))
	r.kept = ""
	r.environment, err = r.emptyState(r.environment, copying{overrides: r.config.Overrides})
	if err != nil {
		return err
	}
	r.command.Env = r.environment.apply(os.Environ())
	workspace, err := r.workspace(ctx)
	if err != nil {
		return err
	}
	return r.create(ctx, workspace)
}

// create creates the stack in the state of the workspace.
func (r *Reader) create(ctx context.Context, workspace auto.Workspace) error {
	stack, err := auto.NewStack(ctx, r.config.Stack.Name, workspace)
	if err != nil {
		return r.explain(err)
	}
	r.stack = &stack
	return nil
}

// missingError is the error of a stack that the backend does not have.
type missingError struct{ name, backend string }

func (e *missingError) Error() string {
	return fmt.Sprintf("stack %s is not in %s: bring it up with `dbtier up --stack %s`", e.name, e.backend, e.name)
}

func (r *Reader) missing() error { return &missingError{r.config.Stack.Name, r.backend} }

// refused reports whether the program ended with faults of its config. A program also ends with an error after a
// resource has failed.
func (r *Reader) refused() bool {
	refusal := r.refusal.Load()
	if refusal == nil {
		return false
	}
	var invalid *config.InvalidError
	var faults *fault.Error
	return errors.As(*refusal, &invalid) || errors.As(*refusal, &faults)
}

// program runs the stack's program and keeps its error. The engine's report of it does not distinguish a config that
// the program refused from a resource that failed.
func (r *Reader) program(ctx *pulumi.Context) error {
	err := r.config.Program(ctx)
	if err != nil {
		r.refusal.Store(&err)
	}
	return err
}

// answer saves the processes whose answer is known: a file backend shows whether the stack exists, and the outputs and
// the history that the Automation API asks for after an update are not used.
func (r *Reader) answer(args []string) (string, bool) {
	if len(args) < 2 || args[0] != "stack" {
		return "", false
	}
	switch args[1] {
	case "select":
		files, ok := r.files()
		return "", ok && files.Exists()
	case "output":
		return "{}", r.executing
	case "history":
		return "[]", r.executing
	}
	return "", false
}

// cli runs the CLI on the stack and returns what it printed.
func (r *Reader) cli(ctx context.Context, args ...string) (string, error) {
	if err := r.prepare(ctx); err != nil {
		return "", err
	}
	var stdout string
	err := r.retrying(ctx, func() error {
		out, stderr, _, err := r.command.Run(ctx, r.work, nil, nil, nil, nil,
			append(slices.Clone(args), "--stack", r.config.Stack.Name)...)
		if stdout = out; err != nil {
			return r.explain(fmt.Errorf("%w\n%s", err, stderr))
		}
		return nil
	})
	return stdout, err
}

// execute runs an operation of the engine and shows its events. The error of an operation that began is a
// [FailureError], a [statelock.HeldError] or ErrCancelled.
func (r *Reader) execute(o Options, operate func(chan<- events.EngineEvent) error) (progress.Result, error) {
	stream := make(chan events.EngineEvent)
	stop := make(chan struct{})
	done := make(chan progress.Result, 1)
	renderer := progress.New(o.Progress)
	go func() { done <- renderer.Consume(stream, stop) }()
	r.executing, r.command.IgnoreProtect = true, o.IgnoreProtect
	err := operate(stream)
	r.executing, r.command.IgnoreProtect = false, false
	close(stop)
	result := <-done
	switch {
	case err != nil && isCancelled(err):
		return result, ErrCancelled
	case len(result.Errors) > 0:
		return result, &FailureError{
			Faults: result.Errors, Policy: result.Violated(), Config: r.refused(),
		}
	case err != nil:
		return result, failed(r.explain(err))
	case !result.Ended:
		return result, failed(fmt.Errorf("stack %s: the engine ended without a summary of the run: run this again",
			r.config.Stack.Name))
	}
	return result, nil
}

// Preview shows what Up would do, also to what is protected.
func (r *Reader) Preview(ctx context.Context, o Options) (progress.Result, error) {
	if err := r.selectStack(ctx, r.config.Existing); err != nil {
		return progress.Result{}, err
	}
	o.Progress.Planning, o.IgnoreProtect = true, true
	refresh := o.Refresh || r.NeedsRefresh() && !r.config.Offline && !o.AsRecorded
	return r.execute(o, func(stream chan<- events.EngineEvent) error {
		_, err := r.stack.Preview(ctx, apply[optpreview.Options](func(preview *optpreview.Options) {
			preview.EventStreams, preview.SuppressProgress, preview.SuppressOutputs = streams{stream}, true, true
			preview.Target, preview.TargetDependents, preview.Replace = o.Targets, o.Dependents, o.Replaces
			preview.Parallel, preview.Refresh, preview.Plan = o.Parallel, refresh, o.Plan
			preview.PolicyPacks, preview.PolicyPackConfigs = o.PolicyPacks, o.PolicyConfigs
		}))
		return err
	})
}

// Drift shows what a refresh would find and changes nothing. Drift is what an update of the same program would put
// back: the engine asks each provider to compare the real resource with the inputs of the last update.
func (r *Reader) Drift(ctx context.Context, o Options) (progress.Result, error) {
	if err := r.selectStack(ctx, true); err != nil {
		return progress.Result{}, err
	}
	o.Progress.Planning = true
	return r.execute(o, func(stream chan<- events.EngineEvent) error {
		_, err := r.stack.PreviewRefresh(ctx, o.refresh(stream))
		return err
	})
}

// owed is a file that exists while the state may differ from the real resources: a run was killed, or drift was found.
// It is written before a run and removed when the run ends, so it exists however the run was killed. The state alone
// does not show this: an engine that outlives its driver for a moment records an interrupted deletion as failed and
// leaves no pending operation.
func (r *Reader) owed() string {
	return r.config.Project.Own("locks", r.config.Stack.Name+".refresh")
}

// NeedsRefresh reports whether the next update refreshes the state first.
func (r *Reader) NeedsRefresh() bool {
	_, err := os.Stat(r.owed())
	return err == nil
}

// RequireRefresh makes the next update on this machine refresh the state first.
func (r *Reader) RequireRefresh() error {
	err := os.MkdirAll(filepath.Dir(r.owed()), 0o700)
	if err == nil {
		err = WriteFile(r.owed(), nil, 0o600)
	}
	if err != nil {
		return fmt.Errorf("marking stack %s for a refresh: %w", r.config.Stack.Name, err)
	}
	return nil
}

// historyKept is the number of updates that the history of a local stack keeps.
const historyKept = 5

// Close releases the lock and removes temporary folders.
func (r *Reader) Close() {
	select {
	case <-r.closed:
		return
	default:
		close(r.closed)
	}
	if r.lock != nil {
		if files, ok := r.files(); ok && r.config.Stack.Cloud == config.Local {
			// A failure costs only disk space.
			_ = files.TrimHistory(historyKept)
		}
		r.lock.Release()
	}
	if r.temp != "" {
		// A kill after the creation of the stack has lost the salt, and the engine has made another.
		_ = keepSalt(r.work, r.kept, r.config.Stack)
		_ = os.RemoveAll(r.temp)
	}
}
