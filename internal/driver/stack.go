package driver

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
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

// stackFlags are the flags of every command that works on a stack.
type stackFlags struct {
	stack, backend, secretsProvider, kubernetesProvider string
}

func (f *stackFlags) add(cmd *cobra.Command, runsEngine bool) {
	flags := cmd.Flags()
	flags.StringVarP(&f.stack, "stack", "s", "", "the stack, as in Pulumi.<stack>.yaml")
	flags.StringVar(&f.backend, "backend", "", "URL of the backend that holds the state: file://…, s3://…, https://…\n"+
		"(default: $PULUMI_BACKEND_URL, then backend.url of Pulumi.yaml, then the folder .dbtier/state;\nlocal stacks: .localcloud/state/pulumi)")
	if !runsEngine {
		return
	}
	flags.StringVar(&f.secretsProvider, "secrets-provider", "", "what encrypts secrets in the state of a stack that is made now: awskms://…, gcpkms://…,\n"+
		"azurekeyvault://…, hashivault://…, passphrase (default: passphrase, from $PULUMI_CONFIG_PASSPHRASE or _FILE)")
	flags.StringVar(&f.kubernetesProvider, "kubernetes-provider", "attached", "for stacks on the local cloud: attached uses the local cloud's own provider\n"+
		"server, installed the pulumi-kubernetes plugin of this machine")
}

func (f *stackFlags) check(cmd *cobra.Command) error {
	if f.kubernetesProvider != "attached" && f.kubernetesProvider != "installed" {
		return &usageError{error: fmt.Errorf("--kubernetes-provider %s: choose attached or installed", f.kubernetesProvider), command: cmd.CommandPath()}
	}
	return nil
}

// target is a stack that a command works on.
type target struct {
	project *project.Project
	stack   *project.Stack
}

func (a *app) target(name string) (target, error) {
	p, err := a.project()
	if err != nil {
		return target{}, err
	}
	s, err := p.Stack(name)
	return target{p, s}, err
}

// operation is one run of the engine for a command.
type operation struct {
	command string
	// changes says that the run changes the stack; starts that it starts the local cloud where that does not run.
	changes, starts, offline bool
}

// open gets everything ready that a run of the engine needs; done ends it.
func (a *app) open(ctx context.Context, t target, f stackFlags, op operation) (session *engine.Session, done func(), err error) {
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
	config := engine.Config{
		Project: t.project, Stack: t.stack, Program: a.deploy, Command: op.command, Changes: op.changes,
		Backend: f.backend, SecretsProvider: f.secretsProvider, Offline: op.offline, Kill: a.kill,
		Note: func(note string) { fmt.Fprintf(a.stderr, "note: %s\n", note) },
	}
	if config.CLI, err = a.findCLI(ctx, t.project); err != nil {
		return nil, done, err
	}
	if t.stack.Cloud == project.Local || op.offline {
		providers, kubeconfig, err := a.attach(ctx, t, op)
		if err != nil {
			return nil, done, err
		}
		closers = append(closers, func() { a.endProviders(providers) })
		config.Kubeconfig = kubeconfig
		var except []string
		if f.kubernetesProvider == "installed" {
			except = append(except, "kubernetes")
		}
		config.Attach = providers.DebugProviders(except...)
	} else if err := a.checkShell(ctx, t.project); err != nil {
		return nil, done, err
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

// endProviders ends the servers, and says so where they had ended before: then the engine's errors are only about that.
func (a *app) endProviders(providers *localcloud.Providers) {
	select {
	case <-providers.Ended:
		fmt.Fprintf(a.stderr, "note: the provider servers ended in the midst of the run: %s\n", providers.Why(""))
	default:
		providers.Close()
	}
}

func (a *app) findCLI(ctx context.Context, p *project.Project) (string, error) {
	return pulumicli.Finder{Beside: a.beside, Sources: filepath.Join(p.Checkout(), "tools", "pulumi"), Progress: a.stderr}.Find(ctx)
}

// attach starts the provider servers, and the local cloud before them where the operation may.
func (a *app) attach(ctx context.Context, t target, op operation) (*localcloud.Providers, string, error) {
	cloud, err := a.cloud(t.project)
	if err != nil {
		return nil, "", err
	}
	kubeconfig := ""
	if !op.offline {
		state, err := cloud.Ready(ctx)
		if op.starts && (errors.Is(err, localcloud.ErrNotRunning) || errors.Is(err, localcloud.ErrStarting)) {
			if err := cloud.Run(ctx, a.stdout, a.stderr, "start"); err != nil {
				return nil, "", err
			}
			state, err = cloud.Ready(ctx)
		}
		if err != nil {
			return nil, "", err
		}
		kubeconfig = state.Kubeconfig
		// For the program, which runs in this process, and for its clients.
		if err := os.Setenv("KUBECONFIG", kubeconfig); err != nil {
			return nil, "", fmt.Errorf("setting KUBECONFIG: %w", err)
		}
	}
	providers, err := cloud.Providers(ctx, localcloud.ProviderOptions{Offline: op.offline, Env: engine.WithCollector(os.Environ())})
	return providers, kubeconfig, err
}

// checkShell refuses a stack on AWS in a shell that still points at the local cloud.
func (a *app) checkShell(ctx context.Context, p *project.Project) error {
	endpoint := ""
	cloud := &localcloud.Cloud{Project: p}
	if state, err := cloud.Running(ctx); err == nil {
		endpoint = state.AWSEndpoint
	}
	if names := engine.LocalLeftovers(p, endpoint, os.LookupEnv); len(names) > 0 {
		return fmt.Errorf("this shell is set up for the local cloud (%s): use another shell, or run `eval \"$(bin/dbtier local env --unset)\"` first",
			strings.Join(names, ", "))
	}
	return nil
}

// show are the progress options of a person's terminal or log.
func (a *app) show() progress.Options {
	return progress.Options{Out: a.stdout, Live: a.terminal, Width: a.width}
}

func (a *app) finish(title string, result progress.Result, planning bool, took time.Duration) {
	fmt.Fprintf(a.stdout, "%s: %s\n", title, result.Summary(planning, took))
}

func (a *app) up() *cobra.Command {
	var f stackFlags
	var yes bool
	cmd := &cobra.Command{
		Use:   "up --stack <stack>",
		Short: "Bring a stack to what the program says",
		Long: `Brings a stack to what the program and Pulumi.<stack>.yaml say.

A stack on the local cloud starts that cloud where it does not run, and is not asked about. Another stack shows what would
change and asks first; --yes goes ahead without. ^C lets running operations finish and records them; a second ^C stops at once.`,
		Example: `  dbtier up --stack local
  dbtier up --stack prod
  PULUMI_CONFIG_PASSPHRASE_FILE=… dbtier up --stack dev --yes      in CI`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.change(cmd, f, yes, "up", (*engine.Session).Up)
		},
	}
	f.add(cmd, true)
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask (stacks on the local cloud never ask)")
	return cmd
}

func (a *app) destroy() *cobra.Command {
	var f stackFlags
	var yes bool
	cmd := &cobra.Command{
		Use:   "destroy --stack <stack>",
		Short: "Delete every resource of a stack",
		Long: `Deletes every resource of a stack. What is protected stays and is an error: instances with deletion protection, and the CRDs
of External Secrets, whose deletion would take every team's secrets with it, are retained.

To forget a local stack whole, database and all, use: dbtier local stop --purge`,
		Example: `  dbtier destroy --stack local
  dbtier destroy --stack dev --yes`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.change(cmd, f, yes, "destroy", (*engine.Session).Destroy)
		},
	}
	f.add(cmd, true)
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask (stacks on the local cloud never ask)")
	return cmd
}

// change runs an operation that changes a stack, after asking where that is due.
func (a *app) change(cmd *cobra.Command, f stackFlags, yes bool, command string,
	operate func(*engine.Session, context.Context, progress.Options) (progress.Result, error),
) error {
	ctx := cmd.Context()
	started := time.Now()
	if err := f.check(cmd); err != nil {
		return err
	}
	t, err := a.target(f.stack)
	if err != nil {
		return err
	}
	ask := t.stack.Cloud != project.Local && !yes
	if ask && !a.asks {
		return fmt.Errorf("stack %s is not on the local cloud and nobody can be asked here: look at `bin/dbtier preview --stack %s`, then add --yes",
			t.stack.Name, t.stack.Name)
	}
	session, done, err := a.open(ctx, t, f, operation{command: command, changes: true, starts: command == "up"})
	if err != nil {
		return err
	}
	defer done()
	if ask {
		agreed, err := a.agree(ctx, session, t, command)
		if err != nil || !agreed {
			return err
		}
	}
	fmt.Fprintf(a.stdout, "%s of stack %s\n", command, t.stack.Name)
	result, err := operate(session, ctx, a.show())
	if err != nil {
		if result.Done > 0 {
			fmt.Fprintf(a.stdout, "done until then: %s\n", result.Summary(false, time.Since(started)))
		}
		return err
	}
	a.finish("stack "+t.stack.Name, result, false, time.Since(started))
	return nil
}

// agree shows what would change and asks for the stack's name.
func (a *app) agree(ctx context.Context, session *engine.Session, t target, command string) (bool, error) {
	if command == "up" {
		started := time.Now()
		result, err := session.Preview(ctx, a.show())
		if err != nil {
			return false, err
		}
		a.finish("preview of stack "+t.stack.Name, result, true, time.Since(started))
		if !result.Changed() {
			return false, nil
		}
	} else {
		fmt.Fprintf(a.stdout, "destroy deletes every resource of stack %s, whose state is in %s\n", t.stack.Name, session.Backend())
	}
	fmt.Fprintf(a.stdout, "type the stack's name to go ahead: ")
	answer := make(chan string, 1)
	go func() {
		line, _ := bufio.NewReader(a.stdin).ReadString('\n')
		answer <- strings.TrimSpace(line)
	}()
	select {
	case <-ctx.Done():
		return false, engine.ErrCancelled
	case text := <-answer:
		if text != t.stack.Name {
			return false, errors.New("not confirmed: nothing was changed")
		}
		return true, nil
	}
}

func (a *app) preview() *cobra.Command {
	var f stackFlags
	var offline, asJSON, inputs bool
	cmd := &cobra.Command{
		Use:   "preview --stack <stack>",
		Short: "Show what up would change",
		Long: `Shows what up would change.

With --offline it needs no credentials, no cluster and no network: every resource of the stack as it would be made from
nothing, with its inputs. It works on an empty state of its own and never touches the stack's; what only AWS can decide
is shown as known after the update.`,
		Example: `  dbtier preview --stack local
  dbtier preview --stack prod --offline
  dbtier preview --stack prod --offline --json | jq '.resources[] | select(.type == "aws:rds/instance:Instance") | .inputs'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx := cmd.Context()
			started := time.Now()
			if err := f.check(cmd); err != nil {
				return err
			}
			t, err := a.target(f.stack)
			if err != nil {
				return err
			}
			session, done, err := a.open(ctx, t, f, operation{command: "preview", offline: offline})
			if err != nil {
				return err
			}
			defer done()
			options := a.show()
			options.Inputs = inputs || offline && !cmd.Flags().Changed("inputs")
			if asJSON {
				options.Out, options.Quiet, options.Live = a.stderr, true, false
			}
			result, err := session.Preview(ctx, options)
			if err != nil {
				return err
			}
			if asJSON {
				return a.previewJSON(t, offline, result)
			}
			title := "preview of stack " + t.stack.Name
			if offline {
				title = "offline " + title
			}
			a.finish(title, result, true, time.Since(started))
			return nil
		},
	}
	f.add(cmd, true)
	cmd.Flags().BoolVar(&offline, "offline", false, "from an empty state, without credentials, cluster or network")
	cmd.Flags().BoolVar(&inputs, "inputs", false, "show each resource's inputs (default with --offline)")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON: the counts and every resource with its inputs")
	return cmd
}

func (a *app) previewJSON(t target, offline bool, result progress.Result) error {
	resources := make([]progress.Step, 0, len(result.Steps))
	for _, step := range result.Steps {
		if visible, ok := progress.Sanitize(step.Inputs).(map[string]any); ok {
			step.Inputs = visible
		}
		resources = append(resources, step)
	}
	slices.SortStableFunc(resources, func(a, b progress.Step) int { return strings.Compare(a.URN, b.URN) })
	encoder := json.NewEncoder(a.stdout)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(map[string]any{
		"stack": t.stack.Name, "offline": offline, "changes": result.Changes, "resources": resources,
	})
}

func (a *app) outputs() *cobra.Command {
	var f stackFlags
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "outputs --stack <stack>",
		Short: "Show the outputs of a stack",
		Long:  "Shows the outputs of a stack as of its last up. Secret outputs are shown as [secret].",
		Example: `  dbtier outputs --stack local
  dbtier outputs --stack prod --json | jq -r .databaseEndpoint`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			t, err := a.target(f.stack)
			if err != nil {
				return err
			}
			outputs, err := a.readOutputs(cmd.Context(), t, f)
			if err != nil {
				return err
			}
			if asJSON {
				encoder := json.NewEncoder(a.stdout)
				encoder.SetIndent("", "  ")
				encoder.SetEscapeHTML(false)
				return encoder.Encode(outputs)
			}
			return a.printOutputs(t, outputs)
		},
	}
	f.add(cmd, false)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func (a *app) printOutputs(t target, outputs map[string]any) error {
	if len(outputs) == 0 {
		fmt.Fprintf(a.stdout, "stack %s has no outputs: bring it up with `dbtier up --stack %s`\n", t.stack.Name, t.stack.Name)
		return nil
	}
	names := make([]string, 0, len(outputs))
	width := 0
	for name := range outputs {
		names = append(names, name)
		width = max(width, len(name))
	}
	slices.Sort(names)
	for _, name := range names {
		text, ok := outputs[name].(string)
		if !ok {
			encoded, err := json.Marshal(outputs[name])
			if err != nil {
				return fmt.Errorf("output %s: %w", name, err)
			}
			text = string(encoded)
		}
		fmt.Fprintf(a.stdout, "%-*s  %s\n", width, name, text)
	}
	return nil
}

// readOutputs reads a stack's outputs: from the state's file where there is one, which takes no process, else through the CLI.
func (a *app) readOutputs(ctx context.Context, t target, f stackFlags) (map[string]any, error) {
	if outputs, ok, err := engine.FileOutputs(t.project, t.stack, engine.Backend(t.project, t.stack, f.backend, os.LookupEnv)); ok || err != nil {
		return outputs, err
	}
	cli, err := a.findCLI(ctx, t.project)
	if err != nil {
		return nil, err
	}
	return engine.ReadOutputs(ctx, engine.Config{Project: t.project, Stack: t.stack, CLI: cli, Backend: f.backend})
}
