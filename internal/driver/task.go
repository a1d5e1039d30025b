package driver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"dbtier/internal/engine"
	"dbtier/internal/localcloud"
	"dbtier/internal/progress"
	"dbtier/internal/project"
	"dbtier/internal/pulumicli"
)

// target is a stack that a command works on.
type target struct {
	project *project.Project
	stack   *project.Stack
}

// target finds the stack; what is wrong with it is a fault of config.
func (a *app) target(name string) (target, error) {
	p, err := a.findProject()
	if err != nil {
		return target{}, err
	}
	s, err := p.Stack(name)
	return target{p, s}, coded(exitConfig, err)
}

// task is a command's work on one stack.
type task struct {
	*app
	flags *stackFlags
	target
	report *report
	// out gets what is said to a person, err notes.
	out, err io.Writer
	progress progress.Options
	policies []string
	asks     bool
}

// say tells a person; in JSON mode nobody reads it.
func (t *task) say(format string, args ...any) { fmt.Fprintf(t.out, format+"\n", args...) }

// note tells what was put right, or is worth knowing.
func (t *task) note(text string) {
	fmt.Fprintf(t.err, "note: %s\n", text)
	t.report.Notes = append(t.report.Notes, text)
}

// newTask is the work on one stack among several, or on the only one.
func (a *app) newTask(f *stackFlags, at target, r *report) *task {
	t := &task{app: a, flags: f, target: at, report: r, out: a.stdout, err: a.stderr, asks: a.asks}
	t.progress = progress.Options{Out: a.stdout, Live: a.terminal, Width: a.width}
	if a.asJSON {
		t.out, t.asks = io.Discard, false
		t.progress = progress.Options{Out: a.stderr, Quiet: true}
	}
	return t
}

// onStacks does a command's work on the stack that is meant, or on each of several.
func (a *app) onStacks(cmd *cobra.Command, f *stackFlags, do func(context.Context, *task) error) error {
	if err := f.check(cmd); err != nil {
		return err
	}
	if f.stacks != "" {
		return a.onSeveral(cmd, f, do)
	}
	if f.stack == "" {
		p, err := a.findProject()
		if err != nil {
			return err
		}
		_, err = p.Stack("")
		return &usageError{error: err, command: cmd.CommandPath()}
	}
	at, err := a.target(f.stack)
	if err != nil {
		return err
	}
	a.report.Stack = at.stack.Name
	err = do(cmd.Context(), a.newTask(f, at, a.report))
	a.report.end(cmd.Context(), err)
	return errors.Join(err, a.summarize(f, a.report))
}

// operation is one run of the engine for a command.
type operation struct {
	command string
	// changes says that the run changes the stack; starts that it starts the local cloud where that does not run.
	changes, starts, offline bool
	// program says that the run judges the program, by the policies that are on.
	program bool
	// existing says that the stack must be there.
	existing bool
	// adopt and forget settle creations that a killed run had begun.
	adopt  map[string]string
	forget []string
}

// open gets everything ready that a run of the engine needs; done ends it.
func (t *task) open(ctx context.Context, op operation) (session *engine.Session, done func(), err error) {
	var closers []func()
	done = func() {
		for _, c := range slices.Backward(closers) {
			c()
		}
	}
	defer func() {
		if err != nil {
			done()
		}
	}()
	overrides, err := t.flags.overrides()
	if err != nil {
		return nil, done, err
	}
	config := t.config(op)
	config.Overrides = overrides
	if config.CLI, err = t.findCLI(ctx, t.project); err != nil {
		return nil, done, err
	}
	if t.stack.Cloud == project.Local || op.offline {
		providers, kubeconfig, err := t.attach(ctx, op)
		if err != nil {
			return nil, done, err
		}
		closers = append(closers, func() { t.endProviders(providers) })
		config.Kubeconfig = kubeconfig
		var except []string
		if t.flags.kubernetesProvider == "installed" {
			except = append(except, "kubernetes")
		}
		config.Attach = providers.DebugProviders(except...)
	} else if err := t.checkShell(ctx, t.project); err != nil {
		return nil, done, err
	}
	if op.program {
		var note string
		if t.policies, note = t.policyPacksOf(t.flags); note != "" {
			t.note(note)
		}
	}
	// The program runs in this process: its relative paths are the project's, whatever folder the person is in.
	if err := os.Chdir(t.project.Dir); err != nil {
		return nil, done, fmt.Errorf("changing into the project's folder: %w", err)
	}
	session, err = engine.Open(ctx, config)
	if err != nil {
		return nil, done, err
	}
	closers = append(closers, session.Close)
	return session, done, nil
}

// config is what every use of the engine has in common.
func (t *task) config(op operation) engine.Config {
	return engine.Config{
		Project: t.project, Stack: t.stack, Program: t.deploy, Command: op.command, Changes: op.changes,
		Existing: op.existing,
		Adopt:    op.adopt, Forget: op.forget, Backend: t.flags.backend, SecretsProvider: t.flags.secretsProvider,
		Offline: op.offline, Kill: t.kill, Note: t.note,
	}
}

// asking is the config of a question that the CLI answers from the state alone.
func (t *task) asking(ctx context.Context) (engine.Config, error) {
	config := t.config(operation{command: "look"})
	var err error
	config.CLI, err = t.findCLI(ctx, t.project)
	return config, err
}

// endProviders ends the servers, and says so where they had ended before: then the engine's errors are only about that.
func (t *task) endProviders(providers *localcloud.Providers) {
	select {
	case <-providers.Ended:
		t.note("the provider servers ended in the midst of the run: " + providers.Why(""))
	default:
		providers.Close()
	}
}

func (a *app) findCLI(ctx context.Context, p *project.Project) (string, error) {
	a.preparing.Lock()
	defer a.preparing.Unlock()
	return pulumicli.Finder{
		Beside: a.beside, Sources: filepath.Join(p.Checkout(), "tools", "pulumi"),
		Progress: a.stderr,
	}.Find(ctx)
}

// attach starts the provider servers, and the local cloud before them where the operation may.
func (t *task) attach(ctx context.Context, op operation) (*localcloud.Providers, string, error) {
	cloud, err := t.servers(op)
	if err != nil {
		return nil, "", err
	}
	env, kubeconfig := os.Environ(), ""
	if !op.offline {
		state, err := t.startedCloud(ctx, cloud, op)
		if err != nil {
			return nil, "", err
		}
		kubeconfig = state.Kubeconfig
		env = append(env, "KUBECONFIG="+kubeconfig)
	}
	providers, err := cloud.Providers(ctx, localcloud.ProviderOptions{
		Offline: op.offline, Env: engine.WithCollector(env),
	})
	return providers, kubeconfig, err
}

// servers is what starts the provider servers. Those of an offline preview need no cloud, and so no Linux.
func (t *task) servers(op operation) (*localcloud.Cloud, error) {
	if !op.offline {
		return t.cloud(t.project)
	}
	binary, err := localcloud.FindBinary(t.beside)
	return &localcloud.Cloud{Project: t.project, Binary: binary}, err
}

// startedCloud is the state of the local cloud, which is started, once for all stacks, where the operation may.
func (t *task) startedCloud(ctx context.Context, cloud *localcloud.Cloud, op operation) (*localcloud.State, error) {
	t.preparing.Lock()
	defer t.preparing.Unlock()
	state, err := cloud.Ready(ctx)
	if op.starts && (errors.Is(err, localcloud.ErrNotRunning) || errors.Is(err, localcloud.ErrStarting)) {
		if err := cloud.Run(ctx, t.out, t.err, "start"); err != nil {
			return nil, err
		}
		state, err = cloud.Ready(ctx)
	}
	return state, err
}

// checkShell refuses a stack on AWS in a shell that still points at the local cloud.
func (a *app) checkShell(ctx context.Context, p *project.Project) error {
	endpoint := ""
	cloud := &localcloud.Cloud{Project: p}
	if state, err := cloud.Running(ctx); err == nil {
		endpoint = state.AWSEndpoint
	}
	if names := engine.LocalLeftovers(p, endpoint, os.LookupEnv); len(names) > 0 {
		return fmt.Errorf(
			"this shell is set up for the local cloud (%s): use another shell, or run `eval \"$(bin/dbtier local env --unset)\"` first",
			strings.Join(names, ", "))
	}
	return nil
}

// finish is the last line about a run.
func (t *task) finish(title string, result progress.Result, planning bool, took time.Duration) {
	t.say("%s: %s", title, result.Summary(planning, took))
}
