package engine

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/auto"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/events"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optdestroy"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optpreview"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optrefresh"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optup"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"dbtier/internal/progress"
	"dbtier/internal/project"
	"dbtier/internal/pulumicli"
	"dbtier/internal/statelock"
)

// Config says what to run on which stack.
type Config struct {
	Project *project.Project
	Stack   *project.Stack
	// Program is the stack's program.
	Program pulumi.RunFunc
	// CLI is the path of the pinned Pulumi CLI.
	CLI string
	// Command is the driver's command, for the lock's message. Changes says that it changes the stack and needs the
	// lock.
	Command string
	Changes bool
	// Backend and SecretsProvider are the flags of those names.
	Backend, SecretsProvider string
	// Attach is the value of PULUMI_DEBUG_PROVIDERS; only local stacks and offline previews may have one.
	Attach string
	// Offline previews from an empty state in a folder of its own.
	Offline bool
	// Kubeconfig of the local cluster, for a local stack.
	Kubeconfig string
	// Kill ends the engine at once when it closes.
	Kill <-chan struct{}
	// Note hears what is put right before the run.
	Note func(string)
	// Adopt and Forget settle creations that a killed run had begun, by URN or name: the id of what was made, or that
	// nothing was.
	Adopt  map[string]string
	Forget []string
	// Overrides are config values of this run alone, by full key (dbtier:pool) or a path below one
	// (dbtier:pool.replicas).
	Overrides map[string]any
	// Existing says that a stack that the backend does not know is an error: nothing is made.
	Existing bool
}

// Session is a stack that is ready for the engine.
type Session struct {
	config  Config
	backend string
	command *pulumicli.Command
	stack   auto.Stack
	work    string
	lock    *statelock.Lock
	temp    string
	closed  chan struct{}
	// refusal is the error with which the program itself ended.
	refusal atomic.Pointer[error]
}

// Open prepares a run: locks the stack, clears what a killed run left behind, and selects the stack or makes it.
func Open(ctx context.Context, c Config) (_ *Session, err error) {
	if c.Attach != "" && c.Stack.Cloud != project.Local && !c.Offline {
		return nil, fmt.Errorf("stack %s is not marked local: it never runs against attached provider servers",
			c.Stack.Name)
	}
	if c.Note == nil {
		c.Note = func(string) {}
	}
	s := &Session{config: c, closed: make(chan struct{})}
	defer func() {
		if err != nil {
			s.Close()
		}
	}()
	run, work, err := s.place()
	if err != nil {
		return nil, err
	}
	s.work = work
	if err := s.prepareHome(run.Home); err != nil {
		return nil, err
	}
	s.command = &pulumicli.Command{Path: c.CLI, Env: Environment(os.Environ(), run), Answer: s.answer}
	go func() {
		select {
		case <-c.Kill:
			s.command.Kill()
		case <-s.closed:
		}
	}()
	if c.Changes {
		if err := s.acquire(ctx); err != nil {
			return nil, err
		}
	}
	workspace, err := auto.NewLocalWorkspace(ctx, auto.WorkDir(work), auto.Program(s.program), auto.Pulumi(s.command),
		auto.PulumiHome(run.Home),
		auto.SecretsProvider(c.SecretsProvider))
	if err != nil {
		return nil, fmt.Errorf("preparing the engine's workspace: %w", err)
	}
	s.stack, err = auto.SelectStack(ctx, c.Stack.Name, workspace)
	if err != nil && auto.IsSelectStack404Error(err) {
		if c.Existing {
			return nil, fmt.Errorf("stack %s is not in %s: bring it up with `dbtier up --stack %s`", c.Stack.Name,
				s.backend, c.Stack.Name)
		}
		s.stack, err = auto.NewStack(ctx, c.Stack.Name, workspace)
		if err == nil && !c.Offline {
			c.Note(fmt.Sprintf("made stack %s in %s", c.Stack.Name, s.backend))
		}
	}
	if err != nil {
		return nil, s.explain(err)
	}
	if c.Changes {
		if err := s.settle(ctx); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// program runs the stack's program and remembers its own error: the engine's report of it does not tell a config that
// the program refused from a resource that failed.
func (s *Session) program(ctx *pulumi.Context) error {
	err := s.config.Program(ctx)
	if err != nil {
		s.refusal.Store(&err)
	}
	return err
}

// prepareHome makes the run's PULUMI_HOME, with the user's plugins where the run uses any.
func (s *Session) prepareHome(home string) error {
	if err := pulumicli.PrepareHome(home); err != nil {
		return err
	}
	if strings.Contains(s.config.Attach, "aws:") && strings.Contains(s.config.Attach, "kubernetes:") {
		return nil
	}
	return pulumicli.SharePlugins(home, pulumicli.UserHome())
}

// place decides where state, work folder and PULUMI_HOME are, and makes them.
func (s *Session) place() (run Run, work string, err error) {
	c := s.config
	if c.Offline {
		s.temp, err = os.MkdirTemp("", "dbtier-offline-")
		if err != nil {
			return run, "", fmt.Errorf("making a folder for the offline preview: %w", err)
		}
		state := filepath.Join(s.temp, "state")
		if err := os.Mkdir(state, 0o700); err != nil {
			return run, "", fmt.Errorf("making a folder for the offline preview: %w", err)
		}
		s.backend = "file://" + state
		work = filepath.Join(s.temp, "work")
		run = Run{
			Backend: s.backend, Home: filepath.Join(s.temp, "home"), Attach: c.Attach,
			Passphrase: "offline preview, nothing is kept",
		}
		return run, work, copyProject(c.Project, c.Stack, work, copying{offline: true, overrides: c.Overrides})
	}
	s.backend = Backend(c.Project, c.Stack, c.Backend, os.LookupEnv)
	if err := CheckSecrets(c.Stack, s.backend, c.SecretsProvider, os.LookupEnv); err != nil {
		return run, "", err
	}
	if dir, ok := statelock.FileBackendDir(s.backend); ok {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return run, "", fmt.Errorf("making the folder of the state: %w", err)
		}
	}
	run = Run{Backend: s.backend, Home: c.Project.Own("home"), CredentialsPath: credentialsPath(), Attach: c.Attach}
	if c.Stack.Cloud != project.Local {
		if len(c.Overrides) == 0 {
			return run, c.Project.Dir, nil
		}
		// The stack's own file stays as it is: values of one run are in a copy, beside the settings that decrypt the
		// others.
		if s.temp, err = os.MkdirTemp("", "dbtier-config-"); err != nil {
			return run, "", fmt.Errorf("making a folder for the config of this run: %w", err)
		}
		return run, s.temp, copyProject(c.Project, c.Stack, s.temp, copying{encryption: true, overrides: c.Overrides})
	}
	run.Kubeconfig = c.Kubeconfig
	if run.PassphraseFile, err = LocalPassphrase(c.Project); err != nil {
		return run, "", err
	}
	// A folder a project: each has a Pulumi.yaml of its own, and all share the local cloud.
	work = c.Project.LocalCloud("state", "pulumi", "work", c.Project.Name)
	return run, work, copyProject(c.Project, c.Stack, work, copying{overrides: c.Overrides})
}

func (s *Session) acquire(ctx context.Context) error {
	c := s.config
	lock, err := statelock.Acquire(ctx, statelock.Options{
		Path: s.lockFile(), Stack: c.Stack.Name, Command: c.Command, Note: c.Note,
	})
	if err != nil {
		return err
	}
	s.lock = lock
	s.command.Held = []*os.File{lock.File()}
	if backend, ok := fileBackend(c.Project, c.Stack, s.backend); ok {
		return backend.ClearStaleLocks(c.Note)
	}
	return nil
}

// lockFile is beside the state where that is in a folder of this machine, so that all checkouts that share it exclude
// each other.
func (s *Session) lockFile() string {
	if backend, ok := fileBackend(s.config.Project, s.config.Stack, s.backend); ok {
		return filepath.Join(backend.Dir, ".dbtier", backend.Project, backend.Stack+".lock")
	}
	return s.config.Project.Own("locks", s.config.Stack.Name+".lock")
}

// owed is the file that says that the state may not tell what is there: a run was killed, or drift was found. It is
// written before a run and taken away when the run ends by itself, so that it is there however the run was killed. An
// engine that outlives its driver for a moment records an interrupted deletion as one that failed, and leaves no
// pending operation to tell of it.
func (s *Session) owed() string {
	return s.config.Project.Own("locks", s.config.Stack.Name+".refresh")
}

// change runs an operation that changes the stack; look says that it must look first at what is there.
func (s *Session) change(
	ctx context.Context, o Options, operate func(stream chan<- events.EngineEvent, look bool) error,
) (progress.Result, error) {
	look := s.OwesALook()
	if err := s.OweALook(); err != nil {
		return progress.Result{}, err
	}
	run := func() (progress.Result, error) {
		return s.run(o.Progress, func(stream chan<- events.EngineEvent) error {
			return operate(stream, look || o.Refresh)
		})
	}
	result, err := run()
	for tries := 1; err != nil && s.tryAgain(ctx, err, tries); tries++ {
		result, err = run()
	}
	// A run that failed in good order, or that was about some resources only, leaves the state as it should be, but has
	// not seen every resource.
	if err == nil && len(o.Targets) == 0 || result.Ended && !look {
		_ = os.Remove(s.owed())
	}
	return result, err
}

// tryAgain reports whether a run that met the backend's locks may begin again. The locks of processes of this machine
// that have ended are taken off first: nobody else here works on the stack, because this session holds the driver's own
// lock. And where updates of two machines begin at once, each may see the other's lock and give up: after a moment of
// chance one of them finds none.
func (s *Session) tryAgain(ctx context.Context, err error, tries int) bool {
	const (
		most  = 4
		young = 10 * time.Second
	)
	var held *statelock.HeldError
	if s.lock == nil || !errors.As(err, &held) || len(held.Locks) == 0 || tries >= most || ctx.Err() != nil {
		return false
	}
	if !slices.ContainsFunc(held.Locks, func(l statelock.BackendLock) bool { return !l.Dead() }) {
		if _, err := s.cli(ctx, "cancel", "--yes"); err != nil {
			return false
		}
		for _, lock := range held.Locks {
			s.config.Note(fmt.Sprintf("removed the lock that process %d left on stack %s when it was killed", lock.PID,
				s.config.Stack.Name))
		}
		return true
	}
	if slices.ContainsFunc(held.Locks, func(l statelock.BackendLock) bool {
		return l.Age() > young ||
			l.Age() < -young
	}) {
		return false
	}
	wait := time.NewTimer(time.Duration(100+rand.IntN(900)) * time.Millisecond) //nolint:gosec // chance, no secret
	defer wait.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-wait.C:
		return true
	}
}

// OwesALook reports whether the next update will look first at what is there.
func (s *Session) OwesALook() bool {
	_, err := os.Stat(s.owed())
	return err == nil
}

// OweALook has the next update look first at what is there: the state may not tell it.
func (s *Session) OweALook() error {
	if err := os.MkdirAll(filepath.Dir(s.owed()), 0o700); err != nil {
		return fmt.Errorf("marking stack %s to be looked at: %w", s.config.Stack.Name, err)
	}
	if err := writeFile(s.owed(), nil); err != nil {
		return fmt.Errorf("marking stack %s to be looked at: %w", s.config.Stack.Name, err)
	}
	return nil
}

// cli runs the CLI on the stack and returns what it printed.
func (s *Session) cli(ctx context.Context, args ...string) (string, error) {
	for tries := 1; ; tries++ {
		stdout, stderr, _, err := s.command.Run(ctx, s.work, nil, nil, nil, nil,
			append(slices.Clone(args), "--stack", s.config.Stack.Name)...)
		if err == nil {
			return stdout, nil
		}
		if err = s.explain(fmt.Errorf("%w\n%s", err, stderr)); !s.tryAgain(ctx, err, tries) {
			return "", err
		}
	}
}

// answer saves the processes whose answer is known: a file backend shows whether the stack exists, and nobody reads the
// outputs and the history that the Automation API asks for after an update.
func (s *Session) answer(args []string) (string, bool) {
	if len(args) < 2 || args[0] != "stack" {
		return "", false
	}
	switch args[1] {
	case "select":
		backend, ok := fileBackend(s.config.Project, s.config.Stack, s.backend)
		return "", ok && backend.Exists()
	case "output":
		return "{}", true
	case "history":
		return "[]", true
	}
	return "", false
}

// Backend is the URL of the backend in use.
func (s *Session) Backend() string { return s.backend }

// Options steer one operation of the engine; the zero value is a plain one.
type Options struct {
	// Progress says how to show it.
	Progress progress.Options
	// Plan is a file, absolute: Preview writes it, Up does nothing that is not in it.
	Plan string
	// Targets and Replaces are URNs, with * and ** as the engine understands them; Dependents adds what depends on the
	// targets.
	Targets, Replaces []string
	Dependents        bool
	// Parallel is how many resources are worked on at once; 0 for the engine's own choice.
	Parallel int
	// Refresh looks first at what is there. An update after a run that was killed does so anyway.
	Refresh bool
	// PolicyPacks and PolicyConfigs are files, absolute; a config for each pack or none.
	PolicyPacks, PolicyConfigs []string
}

// Up brings the stack to what the program says.
func (s *Session) Up(ctx context.Context, o Options) (progress.Result, error) {
	return s.change(ctx, o, func(stream chan<- events.EngineEvent, look bool) error {
		options := []optup.Option{
			optup.EventStreams(stream), optup.SuppressProgress(), optup.SuppressOutputs(), optup.ShowSecrets(false),
			optup.Parallel(o.Parallel),
			optup.Target(o.Targets), optup.Replace(o.Replaces), optup.PolicyPacks(o.PolicyPacks...),
			optup.PolicyPackConfigs(o.PolicyConfigs...),
			optup.Plan(o.Plan),
		}
		if o.Dependents {
			options = append(options, optup.TargetDependents())
		}
		if look {
			options = append(options, optup.Refresh())
		}
		_, err := s.stack.Up(ctx, options...)
		return err
	})
}

// Preview says what Up would do.
func (s *Session) Preview(ctx context.Context, o Options) (progress.Result, error) {
	o.Progress.Planning = true
	look := s.OwesALook() && !s.config.Offline
	return s.run(o.Progress, func(stream chan<- events.EngineEvent) error {
		options := []optpreview.Option{
			optpreview.EventStreams(stream), optpreview.SuppressProgress(), optpreview.SuppressOutputs(),
			optpreview.Parallel(o.Parallel),
			optpreview.Target(o.Targets), optpreview.Replace(o.Replaces), optpreview.PolicyPacks(o.PolicyPacks...),
			optpreview.PolicyPackConfigs(o.PolicyConfigs...), optpreview.Plan(o.Plan),
		}
		if o.Dependents {
			options = append(options, optpreview.TargetDependents())
		}
		if look || o.Refresh {
			options = append(options, optpreview.Refresh())
		}
		_, err := s.stack.Preview(ctx, options...)
		return err
	})
}

// Destroy deletes every resource of the stack.
func (s *Session) Destroy(ctx context.Context, o Options) (progress.Result, error) {
	return s.change(ctx, o, func(stream chan<- events.EngineEvent, look bool) error {
		options := []optdestroy.Option{
			optdestroy.EventStreams(stream), optdestroy.SuppressProgress(), optdestroy.SuppressOutputs(),
			optdestroy.Parallel(o.Parallel),
			optdestroy.Target(o.Targets),
		}
		if o.Dependents {
			options = append(options, optdestroy.TargetDependents())
		}
		if look {
			options = append(options, optdestroy.Refresh())
		}
		_, err := s.stack.Destroy(ctx, options...)
		return err
	})
}

// Refresh brings the state to what is there; the resources stay as they are.
func (s *Session) Refresh(ctx context.Context, o Options) (progress.Result, error) {
	run := func() (progress.Result, error) {
		return s.run(o.Progress, func(stream chan<- events.EngineEvent) error {
			_, err := s.stack.Refresh(ctx, refreshing(o, stream)...)
			return err
		})
	}
	result, err := run()
	for tries := 1; err != nil && s.tryAgain(ctx, err, tries); tries++ {
		result, err = run()
	}
	if err == nil && len(o.Targets) == 0 {
		_ = os.Remove(s.owed())
	}
	return result, err
}

// Drift says what a Refresh would find, and changes nothing. What counts is what an update of the same program would
// put back: the engine asks each provider to compare what is there with what was asked for.
func (s *Session) Drift(ctx context.Context, o Options) (progress.Result, error) {
	o.Progress.Planning = true
	return s.run(o.Progress, func(stream chan<- events.EngineEvent) error {
		_, err := s.stack.PreviewRefresh(ctx, refreshing(o, stream)...)
		return err
	})
}

func refreshing(o Options, stream chan<- events.EngineEvent) []optrefresh.Option {
	options := []optrefresh.Option{
		optrefresh.EventStreams(stream), optrefresh.SuppressProgress(), optrefresh.SuppressOutputs(),
		optrefresh.ShowSecrets(false),
		optrefresh.Parallel(o.Parallel), optrefresh.Target(o.Targets),
	}
	if o.Dependents {
		options = append(options, optrefresh.TargetDependents())
	}
	return options
}

func (s *Session) run(o progress.Options, operate func(chan<- events.EngineEvent) error) (progress.Result, error) {
	stream := make(chan events.EngineEvent)
	stop := make(chan struct{})
	done := make(chan progress.Result, 1)
	renderer := progress.New(o)
	go func() { done <- renderer.Consume(stream, stop) }()
	err := operate(stream)
	close(stop)
	result := <-done
	if err == nil {
		if len(result.Errors) > 0 {
			return result, s.failure(result)
		}
		if !result.Ended {
			return result, fmt.Errorf("stack %s: the engine ended without saying what it did: run this again",
				s.config.Stack.Name)
		}
		return result, nil
	}
	if isCancelled(err) {
		return result, ErrCancelled
	}
	if len(result.Errors) > 0 {
		return result, s.failure(result)
	}
	return result, s.explain(err)
}

func (s *Session) failure(result progress.Result) *FailureError {
	return &FailureError{Faults: result.Errors, Policy: result.Violated(), Config: s.refusal.Load() != nil}
}

// historyKept is how many updates a local stack remembers.
const historyKept = 5

// Close gives the lock up and removes what only this run needed.
func (s *Session) Close() {
	select {
	case <-s.closed:
		return
	default:
		close(s.closed)
	}
	if s.lock != nil {
		if backend, ok := fileBackend(s.config.Project, s.config.Stack, s.backend); ok &&
			s.config.Stack.Cloud == project.Local {
			// Only space is at stake.
			_ = backend.TrimHistory(historyKept)
		}
		s.lock.Release()
	}
	if s.temp != "" {
		_ = os.RemoveAll(s.temp)
	}
}

// FailureError is a run that failed: every fault once, ready to print.
type FailureError struct {
	Faults []string
	// Policy says that a mandatory policy was violated, Config that the program refused what it was given.
	Policy, Config bool
}

func (f *FailureError) Error() string { return strings.Join(f.Faults, "\n") }

// ErrCancelled says that the person stopped the run.
var ErrCancelled = errors.New("cancelled: what was finished is recorded; run the same command again to go on")

func isCancelled(err error) bool {
	return errors.Is(err, context.Canceled) || strings.Contains(err.Error(), "update canceled") ||
		strings.Contains(err.Error(), "error: update canceled")
}

// explain turns what the CLI said into one sentence.
func (s *Session) explain(err error) error {
	if err == nil || isCancelled(err) {
		return ErrCancelled
	}
	name, text := s.config.Stack.Name, err.Error()
	contains := func(parts ...string) bool {
		return slices.ContainsFunc(parts, func(part string) bool { return strings.Contains(text, part) })
	}
	switch {
	case contains("no space left on device", "disk quota exceeded"):
		return fmt.Errorf("stack %s: the disk is full: free some space (the state is in %s) and run this again", name,
			s.backend)
	case contains("incorrect passphrase"):
		if s.config.Stack.Cloud == project.Local {
			return fmt.Errorf("stack %s: its state was encrypted with another passphrase than the one in %s: "+
				"forget the local state with `bin/dbtier local stop --purge`", name,
				s.config.Project.Own("local-passphrase"))
		}
		return fmt.Errorf("stack %s: the passphrase is not the one its secrets were encrypted with: "+
			"check PULUMI_CONFIG_PASSPHRASE or PULUMI_CONFIG_PASSPHRASE_FILE", name)
	case contains(lockedWords...):
		return &statelock.HeldError{
			Stack: name, Holder: "another update (" + lockedBy(text) + ")", Locks: statelock.SaidLocks(text),
			Advice: fmt.Sprintf("wait until it has ended; if it is gone for good: dbtier cancel --stack %s", name),
		}
	case contains("PULUMI_ACCESS_TOKEN must be set"):
		return fmt.Errorf("stack %s: nobody is logged in to %s: set PULUMI_ACCESS_TOKEN or run `bin/pulumi login %s`",
			name, s.backend, s.backend)
	case contains("failed to load plugin", "no resource plugin"):
		return fmt.Errorf("stack %s: a provider plugin is missing: %s", name, firstError(text))
	}
	if line := firstError(text); line != "" {
		return fmt.Errorf("stack %s: %s", name, line)
	}
	return fmt.Errorf("stack %s: %w", name, err)
}

// lockedWords are how the CLI says that someone else works on the stack, in a backend of files or objects and in Pulumi
// Cloud.
var lockedWords = []string{"the stack is currently locked by", "Another update is currently in progress"}

func firstError(text string) string {
	for line := range strings.Lines(text) {
		if _, message, ok := strings.Cut(line, "error: "); ok {
			return strings.TrimSpace(message)
		}
	}
	return ""
}

// lockedBy is the CLI's line about who holds the backend's lock.
func lockedBy(text string) string {
	for line := range strings.Lines(text) {
		if _, by, ok := strings.Cut(line, "created by "); ok {
			return strings.TrimSpace(by)
		}
	}
	return "it does not say whose"
}

// credentialsPath is where the user's Pulumi logins are.
func credentialsPath() string {
	if path := os.Getenv("PULUMI_CREDENTIALS_PATH"); path != "" {
		return path
	}
	return pulumicli.UserHome()
}
