package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/auto"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/events"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optdestroy"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optpreview"
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
	// Command is the driver's command, for the lock's message. Changes says that it changes the stack and needs the lock.
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
}

// Session is a stack that is ready for the engine.
type Session struct {
	config  Config
	backend string
	command *pulumicli.Command
	stack   auto.Stack
	lock    *statelock.Lock
	temp    string
	closed  chan struct{}
}

// Open prepares a run: locks the stack, clears what a killed run left behind, and selects the stack or makes it.
func Open(ctx context.Context, c Config) (_ *Session, err error) {
	if c.Attach != "" && c.Stack.Cloud != project.Local && !c.Offline {
		return nil, fmt.Errorf("stack %s is not marked local: it never runs against attached provider servers", c.Stack.Name)
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
	workspace, err := auto.NewLocalWorkspace(ctx, auto.WorkDir(work), auto.Program(c.Program), auto.Pulumi(s.command), auto.PulumiHome(run.Home),
		auto.SecretsProvider(c.SecretsProvider))
	if err != nil {
		return nil, fmt.Errorf("preparing the engine's workspace: %w", err)
	}
	s.stack, err = auto.SelectStack(ctx, c.Stack.Name, workspace)
	if err != nil && auto.IsSelectStack404Error(err) {
		s.stack, err = auto.NewStack(ctx, c.Stack.Name, workspace)
		if err == nil && !c.Offline {
			c.Note(fmt.Sprintf("made stack %s in %s", c.Stack.Name, s.backend))
		}
	}
	if err != nil {
		return nil, s.explain(err)
	}
	if c.Changes {
		if err := s.clearPending(ctx, work); err != nil {
			return nil, err
		}
	}
	return s, nil
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
		run = Run{Backend: s.backend, Home: filepath.Join(s.temp, "home"), Attach: c.Attach, Passphrase: "offline preview, nothing is kept"}
		return run, work, copyProject(c.Project, c.Stack, work, true)
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
		return run, c.Project.Dir, nil
	}
	run.Kubeconfig = c.Kubeconfig
	if run.PassphraseFile, err = LocalPassphrase(c.Project); err != nil {
		return run, "", err
	}
	// A folder a project: each has a Pulumi.yaml of its own, and all share the local cloud.
	work = c.Project.LocalCloud("state", "pulumi", "work", c.Project.Name)
	return run, work, copyProject(c.Project, c.Stack, work, false)
}

func (s *Session) acquire(ctx context.Context) error {
	c := s.config
	lock, err := statelock.Acquire(ctx, statelock.Options{
		Path: c.Project.Own("locks", c.Stack.Name+".lock"), Stack: c.Stack.Name, Command: c.Command, Note: c.Note,
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

// clearPending deals with operations that a killed engine had begun. On the local stack they are forgotten: its providers
// adopt what was half made. Elsewhere only a person can know whether a half-made resource exists.
func (s *Session) clearPending(ctx context.Context, work string) error {
	backend, ok := fileBackend(s.config.Project, s.config.Stack, s.backend)
	if !ok {
		return nil
	}
	pending, err := backend.PendingOperations()
	if err != nil || len(pending) == 0 {
		return err
	}
	name := s.config.Stack.Name
	if s.config.Stack.Cloud != project.Local {
		return fmt.Errorf("stack %s: an earlier run was killed while it was %s: look whether that exists, then record it or forget it with "+
			"`PULUMI_BACKEND_URL=%s bin/pulumi refresh --stack %s` (it asks for each), and run this again", name, strings.Join(pending, ", "), s.backend, name)
	}
	// Forgotten is not undone: a deletion that was under way may have deleted what the state still has. The next update looks first.
	if err := writeFile(s.owed(), nil); err != nil {
		return fmt.Errorf("marking the stack to be looked at: %w", err)
	}
	exported := filepath.Join(work, "pending.json")
	defer os.Remove(exported)
	if err := s.cli(ctx, work, "stack", "export", "--file", exported); err != nil {
		return err
	}
	text, err := os.ReadFile(exported)
	if err != nil {
		return fmt.Errorf("reading the exported state: %w", err)
	}
	cleared, err := statelock.WithoutPendingOperations(text)
	if err != nil {
		return err
	}
	if err := writeFile(exported, cleared); err != nil {
		return fmt.Errorf("writing the state without pending operations: %w", err)
	}
	if err := s.cli(ctx, work, "stack", "import", "--file", exported); err != nil {
		return err
	}
	s.config.Note(fmt.Sprintf("an earlier run was killed while it was %s: going on from there", brief(pending)))
	return nil
}

// owed is the file that says that a run on the local stack was killed: the state may have what is gone. It is written before a run
// and taken away when the run ends by itself, so that it is there however the run was killed. An engine that outlives its driver for
// a moment records an interrupted deletion as one that failed, and leaves no pending operation to tell of it.
func (s *Session) owed() string {
	return s.config.Project.Own("locks", s.config.Stack.Name+".refresh")
}

// change runs an operation that changes the stack; look says that it must look first at what is there.
func (s *Session) change(o progress.Options, operate func(stream chan<- events.EngineEvent, look bool) error) (progress.Result, error) {
	if s.config.Stack.Cloud != project.Local {
		return s.run(o, func(stream chan<- events.EngineEvent) error { return operate(stream, false) })
	}
	_, err := os.Stat(s.owed())
	look := err == nil
	if err := writeFile(s.owed(), nil); err != nil {
		return progress.Result{}, fmt.Errorf("marking stack %s as being changed: %w", s.config.Stack.Name, err)
	}
	result, err := s.run(o, func(stream chan<- events.EngineEvent) error { return operate(stream, look) })
	// A run that failed in good order leaves the state as it should be, but has not seen every resource.
	if err == nil || result.Ended && !look {
		_ = os.Remove(s.owed())
	}
	return result, err
}

// brief names the first few operations for people.
func brief(pending []string) string {
	const shown = 2
	var words []string
	for _, operation := range pending[:min(len(pending), shown)] {
		doing, urn, _ := strings.Cut(operation, " ")
		words = append(words, doing+" "+progress.Subject(urn))
	}
	text := strings.Join(words, ", ")
	if more := len(pending) - shown; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

func (s *Session) cli(ctx context.Context, work string, args ...string) error {
	_, stderr, _, err := s.command.Run(ctx, work, nil, nil, nil, nil, append(args, "--stack", s.config.Stack.Name)...)
	if err != nil {
		return s.explain(fmt.Errorf("%w\n%s", err, stderr))
	}
	return nil
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

// Up brings the stack to what the program says.
func (s *Session) Up(ctx context.Context, o progress.Options) (progress.Result, error) {
	return s.change(o, func(stream chan<- events.EngineEvent, look bool) error {
		options := []optup.Option{optup.EventStreams(stream), optup.SuppressProgress(), optup.SuppressOutputs(), optup.ShowSecrets(false)}
		if look {
			options = append(options, optup.Refresh())
		}
		_, err := s.stack.Up(ctx, options...)
		return err
	})
}

// Preview says what Up would do.
func (s *Session) Preview(ctx context.Context, o progress.Options) (progress.Result, error) {
	o.Planning = true
	return s.run(o, func(stream chan<- events.EngineEvent) error {
		_, err := s.stack.Preview(ctx, optpreview.EventStreams(stream), optpreview.SuppressProgress(), optpreview.SuppressOutputs())
		return err
	})
}

// Destroy deletes every resource of the stack.
func (s *Session) Destroy(ctx context.Context, o progress.Options) (progress.Result, error) {
	return s.change(o, func(stream chan<- events.EngineEvent, look bool) error {
		options := []optdestroy.Option{optdestroy.EventStreams(stream), optdestroy.SuppressProgress(), optdestroy.SuppressOutputs()}
		if look {
			options = append(options, optdestroy.Refresh())
		}
		_, err := s.stack.Destroy(ctx, options...)
		return err
	})
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
			return result, &FailureError{Faults: result.Errors}
		}
		if !result.Ended {
			return result, fmt.Errorf("stack %s: the engine ended without saying what it did: run this again", s.config.Stack.Name)
		}
		return result, nil
	}
	if isCancelled(err) {
		return result, ErrCancelled
	}
	if len(result.Errors) > 0 {
		return result, &FailureError{Faults: result.Errors}
	}
	return result, s.explain(err)
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
		if backend, ok := fileBackend(s.config.Project, s.config.Stack, s.backend); ok && s.config.Stack.Cloud == project.Local {
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
type FailureError struct{ Faults []string }

func (f *FailureError) Error() string { return strings.Join(f.Faults, "\n") }

// ErrCancelled says that the person stopped the run.
var ErrCancelled = errors.New("cancelled: what was finished is recorded; run the same command again to go on")

func isCancelled(err error) bool {
	return errors.Is(err, context.Canceled) || strings.Contains(err.Error(), "update canceled") || strings.Contains(err.Error(), "error: update canceled")
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
		return fmt.Errorf("stack %s: the disk is full: free some space (the state is in %s) and run this again", name, s.backend)
	case contains("incorrect passphrase"):
		if s.config.Stack.Cloud == project.Local {
			return fmt.Errorf("stack %s: its state was encrypted with another passphrase than the one in %s: "+
				"forget the local state with `bin/dbtier local stop --purge`", name, s.config.Project.Own("local-passphrase"))
		}
		return fmt.Errorf("stack %s: the passphrase is not the one its secrets were encrypted with: "+
			"check PULUMI_CONFIG_PASSPHRASE or PULUMI_CONFIG_PASSPHRASE_FILE", name)
	case contains("the stack is currently locked by", "Another update is currently in progress"):
		return fmt.Errorf("stack %s: another update holds its lock: %s; wait until it has ended, or if it is gone for good run "+
			"`PULUMI_BACKEND_URL=%s bin/pulumi cancel --stack %s`", name, lockedBy(text), s.backend, name)
	case contains("PULUMI_ACCESS_TOKEN must be set"):
		return fmt.Errorf("stack %s: nobody is logged in to %s: set PULUMI_ACCESS_TOKEN or run `bin/pulumi login %s`", name, s.backend, s.backend)
	case contains("failed to load plugin", "no resource plugin"):
		return fmt.Errorf("stack %s: a provider plugin is missing: %s", name, firstError(text))
	}
	if line := firstError(text); line != "" {
		return fmt.Errorf("stack %s: %s", name, line)
	}
	return fmt.Errorf("stack %s: %w", name, err)
}

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
