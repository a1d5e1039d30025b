package driver

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"dbtier/internal/engine"
	"dbtier/internal/guard"
	"dbtier/internal/progress"
	"dbtier/internal/project"
)

func (a *app) up() *cobra.Command {
	var f stackFlags
	cmd := &cobra.Command{
		Use:   "up --stack <stack>",
		Short: "Bring a stack to what the program says",
		Long: `Brings a stack to what the program and Pulumi.<stack>.yaml say.

A stack on the local cloud starts that cloud where it does not run, and is not asked about. Another stack shows what would
change and asks first; --yes goes ahead without. ^C lets running operations finish and records them; a second ^C stops at once.

What would delete or replace a database, its key, its secret, a definition of the cluster or the pool in use stops before anything is
changed, also with --yes, unless --allow-data-loss names the resource. With --plan nothing is done that the plan does not have.

Exit codes: 0 done, 3 a policy or the guard against data loss, 4 config, 5 failed, 6 someone else works on the stack, 130 interrupted.`,
		Example: `  dbtier up --stack local
  dbtier up --stack prod
  dbtier up --stacks 'cluster,orders,billing' --yes --json
  dbtier preview --stack prod --plan prod.plan && dbtier up --stack prod --plan prod.plan --yes
  dbtier up --stack dev --yes --config consumer.image=example.com/myshop-api:1.5.0`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.onStacks(cmd, &f, func(ctx context.Context, t *task) error { return t.bringUp(ctx) })
		},
	}
	f.add(cmd, a, onSeveral, withEngine, withProgram, withTargets, withSummary, withConsent)
	cmd.Flags().StringVar(&f.plan, "plan", "", "keep to this plan, which preview --plan wrote: what is not in it fails")
	cmd.Flags().StringArrayVar(&f.allowDataLoss, "allow-data-loss", nil,
		"the resource (name or URN) whose data may be lost")
	return cmd
}

// mayAsk refuses to change a stack that a person should be asked about where nobody can be asked.
func (t *task) mayAsk(command string) (ask bool, err error) {
	ask = t.stack.Cloud != project.Local && !t.flags.yes
	if ask && !t.asks {
		return false, &usageError{
			error: fmt.Errorf(
				"stack %s is not on the local cloud and nobody can be asked here: look at `bin/dbtier preview --stack %s`, then add --yes",
				t.stack.Name, t.stack.Name),
			command: "dbtier " + command,
		}
	}
	return ask, nil
}

func (t *task) bringUp(ctx context.Context) error {
	started := time.Now()
	ask, err := t.mayAsk("up")
	if err != nil {
		return err
	}
	if t.flags.plan != "" {
		if _, err := os.Stat(t.flags.plan); err != nil {
			return fmt.Errorf("--plan: %s: %w: write one with `dbtier preview --stack %s --plan FILE`", t.flags.plan,
				errors.Unwrap(err), t.stack.Name)
		}
	}
	session, done, err := t.open(ctx, operation{command: "up", changes: true, starts: true, program: true})
	if err != nil {
		return err
	}
	defer done()
	if ask || t.flags.expectNoChanges || (session.OwesALook() || !t.sealed()) && t.atStake() {
		goAhead, err := t.lookAhead(ctx, session, ask)
		if err != nil || !goAhead {
			return err
		}
	}
	t.say("up of stack %s", t.stack.Name)
	options := t.options()
	options.Plan = t.flags.plan
	err = t.ran(started, "stack "+t.stack.Name)(session.Up(ctx, options))
	if err == nil {
		t.setSeal()
	}
	return err
}

// ran tells how a run that changes the stack ended.
func (t *task) ran(started time.Time, title string) func(progress.Result, error) error {
	return func(result progress.Result, err error) error {
		t.report.take(&result, false)
		if err != nil {
			if result.Done > 0 {
				t.say("done until then: %s", result.Summary(false, time.Since(started)))
			}
			return failed(err)
		}
		t.finish(title, result, false, time.Since(started))
		return nil
	}
}

// failed is an error of a run that had begun.
func failed(err error) error {
	if exitCode(context.Background(), err) == exitTrouble {
		return coded(exitFailed, err)
	}
	return err
}

// atStake reports whether the stack may hold data that an update could take away. A state that cannot be read here may.
func (t *task) atStake() bool {
	text, ok, err := engine.FileState(t.project, t.stack, t.backend())
	if err != nil || !ok {
		return true
	}
	state, err := guard.ReadState(text)
	return err != nil || state.HoldsData()
}

func (t *task) backend() string {
	return engine.Backend(t.project, t.stack, t.flags.backend, os.LookupEnv)
}

// lookAhead previews an update: a person who is asked sees it, and what would lose data stops here.
func (t *task) lookAhead(ctx context.Context, session *engine.Session, ask bool) (goAhead bool, err error) {
	started := time.Now()
	options := t.options()
	options.Progress.Quiet = options.Progress.Quiet || !ask
	options.Progress.Live = options.Progress.Live && ask
	result, err := session.Preview(ctx, options)
	t.report.take(&result, true)
	if err != nil {
		return false, failed(err)
	}
	if ask {
		t.finish("preview of stack "+t.stack.Name, result, true, time.Since(started))
	}
	if err := t.guardData(&result); err != nil {
		return false, err
	}
	if t.flags.expectNoChanges && result.Changed() {
		return false, coded(exitPending, fmt.Errorf("stack %s: no changes were expected, and nothing was changed: %s",
			t.stack.Name, result.Summary(true, time.Since(started))))
	}
	if !ask {
		return true, nil
	}
	if !result.Changed() {
		return false, nil
	}
	return t.agree(ctx)
}

// guardData refuses a run that would lose what nobody named.
func (t *task) guardData(result *progress.Result) error {
	t.report.DataLoss = guard.Losses(result.Steps, t.flags.allowDataLoss)
	if refused := guard.Refused(t.report.DataLoss); len(refused) > 0 {
		return coded(exitRefused, errors.New(guard.Refusal(t.stack.Name, refused)))
	}
	for _, loss := range t.report.DataLoss {
		t.note("allowed: " + loss.String())
	}
	return nil
}

// agree asks for the stack's name.
func (t *task) agree(ctx context.Context) (bool, error) {
	fmt.Fprintf(t.out, "type the stack's name to go ahead: ")
	answer := make(chan string, 1)
	go func() {
		line, _ := bufio.NewReader(t.stdin).ReadString('\n')
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

func (a *app) destroy() *cobra.Command {
	var f stackFlags
	cmd := &cobra.Command{
		Use:   "destroy --stack <stack>",
		Short: "Delete every resource of a stack",
		Long: `Deletes every resource of a stack. Where something is protected nothing is deleted, and each thing that stands in the way is named with
the way on. The CRDs of External Secrets, whose deletion would take every team's secrets with it, are retained.

To forget a local stack whole, database and all, use: dbtier local stop --purge`,
		Example: `  dbtier destroy --stack local
  dbtier destroy --stack dev --yes`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.onStacks(cmd, &f, func(ctx context.Context, t *task) error { return t.tearDown(ctx) })
		},
	}
	f.add(cmd, a, onSeveral, withEngine, withTargets, withSummary, withConsent)
	cmd.Flags().BoolVar(&f.refresh, "refresh", false, "look first at what is there")
	return cmd
}

func (t *task) tearDown(ctx context.Context) error {
	started := time.Now()
	ask, err := t.mayAsk("destroy")
	if err != nil {
		return err
	}
	session, done, err := t.open(ctx, operation{command: "destroy", changes: true})
	if err != nil {
		return err
	}
	defer done()
	if err := t.unprotected(ctx); err != nil {
		return err
	}
	if ask {
		t.say("destroy deletes every resource of stack %s, whose state is in %s", t.stack.Name, session.Backend())
		if goAhead, err := t.agree(ctx); err != nil || !goAhead {
			return err
		}
	}
	t.say("destroy of stack %s", t.stack.Name)
	return t.ran(started, "stack "+t.stack.Name)(session.Destroy(ctx, t.options()))
}

// unprotected refuses to destroy a stack of which something is protected: half a stack is worse than a whole one.
func (t *task) unprotected(ctx context.Context) error {
	text, ok, err := engine.FileState(t.project, t.stack, t.backend())
	if err != nil {
		return err
	}
	if !ok {
		config, err := t.asking(ctx)
		if err != nil {
			return err
		}
		if text, err = engine.Export(ctx, config); err != nil {
			return err
		}
	}
	if len(text) == 0 {
		return nil
	}
	state, err := guard.ReadState(text)
	if err != nil {
		return fmt.Errorf("stack %s: %w", t.stack.Name, err)
	}
	t.report.Obstacles = state.Obstacles(t.stack.Name, t.flags.targets)
	if len(t.report.Obstacles) == 0 {
		return nil
	}
	lines := []string{fmt.Sprintf("stack %s: nothing was deleted, because something stands in the way:", t.stack.Name)}
	for _, obstacle := range t.report.Obstacles {
		lines = append(lines, "  "+obstacle.String())
	}
	return coded(exitRefused, errors.New(strings.Join(lines, "\n")))
}

func (a *app) preview() *cobra.Command {
	var f stackFlags
	var offline, inputs bool
	cmd := &cobra.Command{
		Use:   "preview --stack <stack>",
		Short: "Show what up would change",
		Long: `Shows what up would change.

With --offline it needs no credentials, no cluster and no network: every resource of the stack as it would be made from
nothing, with its inputs. It works on an empty state of its own and never touches the stack's; what only AWS can decide
is shown as known after the update.

Exit codes: 0, or with --detailed-exitcode 2 where something would change; 3 a mandatory policy is violated, 4 config, 5 failed.`,
		Example: `  dbtier preview --stack local
  dbtier preview --stack prod --offline
  dbtier preview --stack prod --detailed-exitcode --summary summary.md
  dbtier preview --stack prod --offline --json | jq '.resources[] | select(.type == "aws:rds/instance:Instance") | .inputs'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			shown := inputs || offline && f.stacks == "" && !cmd.Flags().Changed("inputs")
			return a.onStacks(cmd, &f, func(ctx context.Context, t *task) error {
				return t.foresee(ctx, offline, shown)
			})
		},
	}
	f.add(cmd, a, onSeveral, withEngine, withProgram, withTargets, withSummary)
	cmd.Flags().BoolVar(&offline, "offline", false, "from an empty state, without credentials, cluster or network")
	cmd.Flags().BoolVar(&inputs, "inputs", false, "show each resource's inputs (default with --offline)")
	cmd.Flags().StringVar(&f.plan, "plan", "", "write a plan to this file, for up --plan")
	cmd.Flags().BoolVar(&f.detailedExitCode, "detailed-exitcode", false, "end with 2 where something would change")
	return cmd
}

func (t *task) foresee(ctx context.Context, offline, inputs bool) error {
	started := time.Now()
	t.report.Offline = offline
	session, done, err := t.open(ctx, operation{command: "preview", offline: offline, program: true})
	if err != nil {
		return err
	}
	defer done()
	options := t.options()
	options.Progress.Inputs = inputs
	options.Plan, t.report.Plan = t.flags.plan, t.flags.plan
	result, err := session.Preview(ctx, options)
	t.report.take(&result, true)
	t.report.DataLoss = guard.Losses(result.Steps, nil)
	if err != nil {
		return failed(err)
	}
	title := "preview of stack " + t.stack.Name
	if offline {
		title = "offline " + title
	}
	t.finish(title, result, true, time.Since(started))
	for _, loss := range t.report.DataLoss {
		t.say("  ! data would be lost: %s (up wants --allow-data-loss %s)", loss, loss.Name)
	}
	if result.Changed() && (t.flags.detailedExitCode || t.flags.expectNoChanges) {
		return errPending
	}
	return nil
}

func (a *app) outputs() *cobra.Command {
	var f stackFlags
	cmd := &cobra.Command{
		Use:   "outputs --stack <stack>",
		Short: "Show the outputs of a stack",
		Long:  "Shows the outputs of a stack as of its last up. Secret outputs are shown as [secret].",
		Example: `  dbtier outputs --stack local
  dbtier outputs --stack prod --json | jq -r .outputs.databaseEndpoint`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.onStacks(cmd, &f, func(ctx context.Context, t *task) error {
				outputs, err := t.readOutputs(ctx)
				if err != nil {
					return err
				}
				t.report.Outputs = outputs
				return t.printOutputs(outputs)
			})
		},
	}
	f.add(cmd, a, onSeveral)
	return cmd
}

func (t *task) printOutputs(outputs map[string]any) error {
	if len(outputs) == 0 {
		t.say("stack %s has no outputs: bring it up with `dbtier up --stack %s`", t.stack.Name, t.stack.Name)
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
		t.say("%-*s  %s", width, name, text)
	}
	return nil
}

// readOutputs reads a stack's outputs: from the state's file where there is one, which takes no process, else through
// the CLI.
func (t *task) readOutputs(ctx context.Context) (map[string]any, error) {
	if outputs, ok, err := engine.FileOutputs(t.project, t.stack, t.backend()); ok || err != nil {
		return outputs, err
	}
	config, err := t.asking(ctx)
	if err != nil {
		return nil, err
	}
	return engine.ReadOutputs(ctx, config)
}
