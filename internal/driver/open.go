package driver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"dbtier/config"
	"dbtier/internal/engine"
	"dbtier/internal/localcloud"
	"dbtier/internal/project"
	"dbtier/internal/pulumicli"
	"dbtier/internal/text"
	"dbtier/policy/pack"
	"dbtier/policy/registry"
	"dbtier/policy/state"
)

// operation is one run of the engine for a command.
type operation struct {
	command string
	// starts makes the run start the local cloud if it is not running. offline previews from an empty state.
	starts, offline bool
	// program makes the policies check the program.
	program bool
	// recovers makes the run replace generated passwords that are lost.
	recovers bool
	// existing makes a missing stack an error.
	existing bool
	// adopt and forget settle creations that a killed run left unfinished.
	adopt  map[string]string
	forget []string
}

// config is the part of the engine's config that every operation has.
func (t *task) config(op operation) engine.Config {
	return engine.Config{
		Project: t.project, Stack: t.stack, Program: t.deploy, CLI: t.findCLI, Command: op.command,
		Existing: op.existing, Adopt: op.adopt, Forget: op.forget, Backend: t.flags.backend,
		SecretsProvider: t.flags.secretsProvider, Offline: op.offline, Kill: t.kill, Note: t.note,
	}
}

// reader reads the stack's state. It runs neither the program nor a provider.
func (t *task) reader() *engine.Reader { return engine.NewReader(t.config(operation{})) }

// openReader prepares a run of the engine that does not change the stack; done ends it.
func (t *task) openReader(ctx context.Context, op operation) (reader *engine.Reader, done func(), err error) {
	settings, detach, err := t.prepare(ctx, op)
	if err != nil {
		return nil, nil, err
	}
	reader = engine.NewReader(settings)
	return reader, func() { reader.Close(); detach() }, nil
}

// openRun prepares a run of the engine that changes the stack; done ends it.
func (t *task) openRun(ctx context.Context, op operation) (run *engine.Run, done func(), err error) {
	settings, detach, err := t.prepare(ctx, op)
	if err != nil {
		return nil, nil, err
	}
	run, err = engine.NewRun(ctx, settings)
	if err != nil {
		detach()
		return nil, nil, err
	}
	return run, func() { run.Close(); detach() }, nil
}

// prepare gets everything that the engine needs for an operation: the CLI, policies, and for the local cloud its
// provider servers, which detach ends.
func (t *task) prepare(ctx context.Context, op operation) (c engine.Config, detach func(), err error) {
	c, detach = t.config(op), func() {}
	if c.Overrides, err = t.flags.overrides(); err != nil {
		return c, nil, err
	}
	// First, because building it takes minutes.
	if _, err = t.findCLI(ctx); err != nil {
		return c, nil, err
	}
	if t.stack.Cloud == config.Local || op.offline {
		providers, kubeconfig, err := t.attach(ctx, op)
		if err != nil {
			return c, nil, err
		}
		detach = func() { t.endProviders(providers) }
		var except []string
		if t.flags.kubernetesProvider == "installed" {
			except = append(except, "kubernetes")
		}
		c.Kubeconfig, c.Attach = kubeconfig, providers.DebugProviders(except...)
	} else if err := t.checkShell(ctx, t.project); err != nil {
		return c, nil, err
	}
	if op.program {
		var note string
		if t.policies, note = t.policyPacksOf(t.flags); note != "" {
			t.note(note)
		}
		if err := t.checkPolicyConfigs(); err != nil {
			detach()
			return c, nil, err
		}
	}
	if op.program && !op.offline {
		backend := engine.Backend(t.project, t.stack, t.flags.backend, os.LookupEnv)
		if said := engine.OnlyHere(t.project, t.stack, backend); said != "" {
			t.note(said)
		}
		if err := t.addRecoveries(ctx, op, &c); err != nil {
			detach()
			return c, nil, err
		}
	}
	// The program runs in this process and resolves relative paths from the project's folder.
	if err := os.Chdir(t.project.Dir); err != nil {
		detach()
		return c, nil, fmt.Errorf("changing into the project's folder: %w", err)
	}
	return c, detach, nil
}

// findCLI returns the path of the pinned Pulumi CLI. It builds the CLI if there is none.
func (t *task) findCLI(ctx context.Context) (path string, err error) {
	t.preparing.Lock()
	defer t.preparing.Unlock()
	if t.cli == "" {
		t.cli, err = pulumicli.Finder{
			Beside: t.beside, Sources: filepath.Join(t.project.Checkout(), "tools", "pulumi"), Progress: t.stderr,
		}.Find(ctx)
	}
	return t.cli, err
}

// policyPack is the name of the tier's policy pack, which `make build` puts beside dbtier.
const policyPack = "policy-pack"

// policyPacksOf returns the packs to check: the one beside dbtier unless --no-policy is given, and those of the flags.
func (a *app) policyPacksOf(f *stackFlags) (packs []string, note string) {
	own := filepath.Join(a.beside, policyPack)
	switch info, err := os.Stat(own); {
	case f.noPolicy:
	case err == nil && !info.IsDir():
		packs = append(packs, own)
	case len(f.policyPacks) == 0:
		note = "no policies are checked: " + policyPack +
			" is not beside dbtier: run `make build` in the checkout of dbtier, or confirm with --no-policy"
	}
	return slices.Concat(packs, f.policyPacks), note
}

// checkPolicyConfigs returns an error if the exceptions in the stack's file have faults, or a file of
// --policy-pack-config is not for its pack. The engine's own message for these is cut off.
func (t *task) checkPolicyConfigs() error {
	var faults []error
	if _, err := pack.StackExceptions(registry.All(), t.stack.Values.Exceptions); err != nil {
		faults = append(faults, fmt.Errorf("%s: config.%w", t.stack.Values.File, err))
	}
	files := t.flags.policyConfigs
	if len(files) > 0 && len(files) != len(t.policies) {
		return &usageError{
			error: fmt.Errorf("--policy-pack-config: %s for %s: give one for each pack, in the order of the packs: %s",
				text.Count(len(files), "file", "files"), text.Count(len(t.policies), "pack", "packs"),
				strings.Join(t.policies, ", ")),
			command: "dbtier " + t.report.Command,
		}
	}
	for i, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			return fmt.Errorf("--policy-pack-config: %w", err)
		}
		check := func(content []byte) error { return state.CheckConfig(registry.Pack(), content) }
		if t.policies[i] != filepath.Join(t.beside, policyPack) {
			// The rules of another pack are not known here.
			check = state.CheckForm
		}
		if err := check(content); err != nil {
			faults = append(faults, fmt.Errorf("--policy-pack-config %s: %w", file, err))
		}
	}
	return coded(exitConfig, errors.Join(faults...))
}

// attach starts the provider servers, and the local cloud before them if the operation may.
func (t *task) attach(ctx context.Context, op operation) (*localcloud.Providers, string, error) {
	cloud, err := t.servers(op)
	if err != nil {
		return nil, "", err
	}
	env, kubeconfig := os.Environ(), ""
	if !op.offline {
		running, err := t.startedCloud(ctx, cloud, op)
		if err != nil {
			return nil, "", err
		}
		kubeconfig = running.Kubeconfig
		env = append(env, "KUBECONFIG="+kubeconfig)
	}
	starting := t.screen.Doing("starting the provider servers")
	defer starting()
	providers, err := cloud.Providers(ctx, localcloud.ProviderOptions{
		Offline: op.offline, Env: engine.WithCollector(env),
	})
	return providers, kubeconfig, err
}

// servers returns the local cloud that starts the provider servers. An offline preview needs no running cloud, and so
// works on every operating system.
func (t *task) servers(op operation) (*localcloud.Cloud, error) {
	if !op.offline {
		return t.cloud(t.project)
	}
	binary, err := localcloud.FindBinary(t.beside)
	return &localcloud.Cloud{Project: t.project, Binary: binary}, err
}

// startedCloud returns the state of the running local cloud. It starts the cloud, once for all stacks, if the operation
// may.
func (t *task) startedCloud(ctx context.Context, cloud *localcloud.Cloud, op operation) (*localcloud.State, error) {
	t.preparing.Lock()
	defer t.preparing.Unlock()
	running, err := cloud.Ready(ctx)
	if op.starts && (errors.Is(err, localcloud.ErrNotRunning) || errors.Is(err, localcloud.ErrStarting)) {
		if err := cloud.Run(ctx, t.out, t.err, "start"); err != nil {
			return nil, err
		}
		running, err = cloud.Ready(ctx)
	}
	return running, err
}

// endProviders ends the provider servers. If they have ended before, it says so: that explains the engine's errors.
func (t *task) endProviders(providers *localcloud.Providers) {
	select {
	case <-providers.Ended:
		t.note("the provider servers ended during the run: " + providers.Why(""))
	default:
		providers.Close()
	}
}

// checkShell returns an error in a shell whose environment points at the local cloud.
func (a *app) checkShell(ctx context.Context, p *project.Project) error {
	endpoint := ""
	if running, err := (&localcloud.Cloud{Project: p}).Running(ctx); err == nil {
		endpoint = running.AWSEndpoint
	}
	if names := engine.LocalLeftovers(p, endpoint, os.LookupEnv); len(names) > 0 {
		return fmt.Errorf("this shell is set up for the local cloud (%s): use another shell, or run "+
			"`eval \"$(dbtier local env --unset)\"` first", strings.Join(names, ", "))
	}
	return nil
}
