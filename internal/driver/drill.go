package driver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"dbtier/components/contract"
	"dbtier/config"
	"dbtier/internal/drill"
	drillreport "dbtier/internal/drill/report"
	"dbtier/internal/engine"
	"dbtier/internal/localcloud"
	"dbtier/internal/verify"
)

// drillFlags are the flags of a drill.
type drillFlags struct {
	access     clusterAccess
	html       string
	maxOutage  time.Duration
	maxLost    int
	maxFailed  int
	rate       int
	steady     time.Duration
	production bool
	direct     bool
}

// unbounded is the value of a bound that the person has not given.
const unbounded = -1

func (a *app) drill() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "drill",
		Short: "Cause a fault under a load, and account for every write",
		Long: `Causes a fault of a running stack while clients read and write through the pool, waits until it has
healed, and reports what the clients saw: outages, failed requests, latency. Afterwards every write is
looked up: none that was acknowledged may be lost, and none may be there twice.

The stack needs dbtier:drills.enabled, which creates the schema dbtier_drills in its database. There are
three kinds of clients: persistent ones keep their connection, reconnecting ones open one for each request,
and retrying ones repeat a request until it succeeds.

On AWS a drill uses kubectl and the AWS CLI, and asks first; a stack with dbtier:profile production needs
--production. Drills that update the stack need one without changes that wait. ^C ends what the drill has
begun. What a killed drill has left is ended by "dbtier drill end".`,
		Example: `  dbtier drill failover --stack local
  dbtier drill pool-rollout --stack dev --max-outage 5s --html rollout.html
  dbtier drill end --stack dev`,
		Args: cobra.NoArgs,
		RunE: showHelp,
	}
	for _, scenario := range drill.Scenarios() {
		cmd.AddCommand(a.oneDrill(scenario))
	}
	cmd.AddCommand(a.drillRandom(), a.drillEnd())
	return cmd
}

func (a *app) oneDrill(s *drill.Scenario) *cobra.Command {
	var f stackFlags
	var d drillFlags
	do := func(t *task, ctx context.Context) error { return t.runDrill(ctx, s, &d) }
	where := ""
	if s.LocalOnly {
		where = "\n\nIt runs on the local cloud only."
	}
	cmd := a.onStacks(&f, do, &cobra.Command{
		Use:   s.Name + " --stack <stack>",
		Short: s.Does,
		Long: wrapped(s.Does+". "+s.Shows) + where + `

Exit codes: 0, or 1 if a write was lost or is there twice, or if a bound does not hold.`,
		Example: fmt.Sprintf("  dbtier drill %s --stack local\n"+
			"  dbtier drill %s --stack local --max-outage 10s --json", s.Name, s.Name),
	}, withEngine, withConsent)
	d.add(cmd)
	flags := cmd.Flags()
	flags.DurationVar(&d.maxOutage, "max-outage", unbounded,
		"exit with code 1 if a kind of client had no answer for longer, for example 5s")
	flags.IntVar(&d.maxLost, "max-lost", 0, "exit with code 1 if more acknowledged writes are lost or duplicated, "+
		"or wrong in a restored database")
	flags.IntVar(&d.maxFailed, "max-failed", unbounded,
		"exit with code 1 if more requests of the clients that retry have failed")
	return cmd
}

// add adds the flags that every drill has.
func (d *drillFlags) add(cmd *cobra.Command) {
	d.access.add(cmd)
	flags := cmd.Flags()
	flags.StringVar(&d.html, "html", "", "write the report to this file, as a page without other files")
	flags.IntVar(&d.rate, "rate", 5, "requests per second of each client")
	flags.DurationVar(&d.steady, "steady", 10*time.Second,
		"how long all clients must have answers before the fault, and after it")
	flags.BoolVar(&d.direct, "direct", false, "let the load connect to the database itself, past the pool")
	flags.BoolVar(&d.production, "production", false, "allow the drill on a stack with dbtier:profile production")
}

// wrapped breaks a text into lines for --help.
func wrapped(text string) string {
	const width = 104
	var lines []string
	line := ""
	for word := range strings.FieldsSeq(text) {
		if line != "" && len(line)+1+len(word) > width {
			lines, line = append(lines, line), ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return strings.Join(append(lines, line), "\n")
}

func (t *task) runDrill(ctx context.Context, s *drill.Scenario, d *drillFlags) error {
	runner, err := t.readyForDrill(ctx, s, d)
	if err != nil {
		return err
	}
	made, err := runner.Run(ctx, s)
	if made == nil {
		return drillError(err)
	}
	made.Verdict = d.bounds(made)
	t.report.Drill = made
	drillreport.Table(t.out, made)
	return errors.Join(err, d.write(made), verdict(made))
}

// readyForDrill returns what runs drills on the stack, once the checks have passed and the person has agreed.
func (t *task) readyForDrill(ctx context.Context, s *drill.Scenario, d *drillFlags) (*drill.Runner, error) {
	stack, err := t.stack.Config()
	if err != nil {
		return nil, coded(exitConfig, err)
	}
	if stack.Profile == config.Production && !d.production {
		return nil, coded(exitRefused, fmt.Errorf("stack %s has dbtier:profile production: a drill causes a real "+
			"fault there, so add --production to allow it", t.stack.Name))
	}
	if err := absolute(&d.html); err != nil {
		return nil, err
	}
	ask, err := t.needsConsent("drill " + s.Name)
	if err != nil {
		return nil, err
	}
	runner, err := t.drillRunner(ctx, d)
	if err != nil {
		return nil, err
	}
	if err := t.prepareDrill(ctx, runner); err != nil {
		return nil, err
	}
	if err := runner.Check(s); err != nil {
		return nil, err
	}
	if s.Updates {
		if err := t.nothingPending(ctx, s); err != nil {
			return nil, err
		}
	}
	if !ask {
		return runner, nil
	}
	t.say("drill %s on stack %s: %s", s.Name, t.stack.Name, s.Shows)
	return runner, t.confirm(ctx)
}

// prepareDrill gets what a drill needs and its end does not: the image of the load, the AWS CLI with the stack's
// account, and a local cloud without faults, because a drill ends all of them.
func (t *task) prepareDrill(ctx context.Context, runner *drill.Runner) error {
	if runner.Target.Image == "" {
		return fmt.Errorf("stack %s is not prepared for drills: set dbtier:drills.enabled to true in %s and run "+
			"`dbtier up --stack %s`", t.stack.Name, t.stack.Values.File, t.stack.Name)
	}
	if err := runner.CheckRate(); err != nil {
		return &usageError{error: err, command: "dbtier drill"}
	}
	faults, err := t.localFaults(ctx)
	if err != nil {
		return err
	}
	if len(faults) > 0 {
		return fmt.Errorf("the local cloud has faults in force (%s), and a drill would end them: end them first with "+
			"`dbtier drill end --stack %s`, which also ends an interrupted drill", strings.Join(faults, ", "),
			t.stack.Name)
	}
	if err := runner.Account(ctx); err != nil {
		return err
	}
	// Of the instance itself: the stack's file may say what no update has applied yet.
	multi, err := runner.AWS(ctx, "rds", "describe-db-instances", "--db-instance-identifier", runner.Target.Instance,
		"--query", "DBInstances[0].MultiAZ", "--output", "text")
	if err != nil {
		return err
	}
	multi = strings.TrimSpace(multi)
	runner.Target.Settings = append(runner.Target.Settings, drillreport.Fact{Name: "Multi-AZ", Value: multi})
	runner.Target.MultiAZ = strings.EqualFold(multi, "true")
	return nil
}

// rightAccount returns an error if the AWS CLI is logged in to another account than that of the stack.
func (t *task) rightAccount(
	ctx context.Context, stack *config.Stack, aws func(ctx context.Context, args ...string) (string, error),
) error {
	if stack.Cloud == config.Local {
		return nil
	}
	account, err := aws(ctx, "sts", "get-caller-identity", "--query", "Account", "--output", "text")
	if err != nil {
		return err
	}
	if account = strings.TrimSpace(account); account != stack.AWS.AccountID {
		return fmt.Errorf("the AWS CLI is logged in to account %s, and stack %s is in %s (dbtier:aws.accountId): "+
			"log in to that account", account, t.stack.Name, stack.AWS.AccountID)
	}
	return nil
}

// nothingPending returns an error if an update would change the stack: a drill that updates it would deploy that, too.
func (t *task) nothingPending(ctx context.Context, s *drill.Scenario) error {
	err := t.updateWith(ctx, func(f *stackFlags) { f.expectNoChanges = true })
	if err != nil && ctx.Err() == nil {
		return fmt.Errorf("drill %s updates stack %s, which must have no changes that wait: deploy them first with "+
			"`dbtier up --stack %s`: %w", s.Name, t.stack.Name, t.stack.Name, err)
	}
	return err
}

// localFaults lists the faults that are in force in the local cloud. A stack on AWS has none.
func (t *task) localFaults(ctx context.Context) ([]string, error) {
	if t.stack.Cloud != config.Local {
		return nil, nil
	}
	cloud, err := t.cloud(t.project)
	if err != nil {
		return nil, err
	}
	state, err := cloud.Ready(ctx)
	if err != nil {
		return nil, err
	}
	var faults []string
	for _, f := range state.Faults {
		faults = append(faults, strings.TrimSpace(f.Kind+" "+f.Of))
	}
	return faults, nil
}

// drillError adds the exit code of a conflict.
func drillError(err error) error {
	if running := (*drill.RunningError)(nil); errors.As(err, &running) {
		return coded(exitConflict, err)
	}
	return err
}

// verdict is the error of a drill whose bounds do not hold.
func verdict(made *drillreport.Report) error {
	var broken []string
	for _, b := range made.Verdict {
		if !b.OK {
			broken = append(broken, fmt.Sprintf("--%s %s: it was %s", b.Name, b.Want, b.Got))
		}
	}
	if len(broken) == 0 {
		return nil
	}
	return fmt.Errorf("drill %s: %s", made.Drill, strings.Join(broken, "; "))
}

// write writes the page, if one is wanted.
func (d *drillFlags) write(made *drillreport.Report) error {
	if d.html == "" || made == nil {
		return nil
	}
	var page strings.Builder
	if err := drillreport.HTML(&page, made); err != nil {
		return err
	}
	if err := engine.WriteFile(d.html, []byte(page.String()), 0o644); err != nil {
		return fmt.Errorf("--html: %w", err)
	}
	return nil
}

// bounds compares the report with what was demanded.
func (d *drillFlags) bounds(made *drillreport.Report) []drillreport.Bound {
	figures := made.Figures()
	lost := made.Load.Ledger.Lost + made.Load.Ledger.Duplicated + made.Restored.Wrong()
	bounds := []drillreport.Bound{{
		Name: "max-lost", Want: strconv.Itoa(d.maxLost), Got: strconv.Itoa(lost), OK: lost <= d.maxLost,
	}}
	if d.maxOutage != unbounded {
		longest := figures.All.Longest()
		bounds = append(bounds, drillreport.Bound{
			Name: "max-outage", Want: d.maxOutage.String(), Got: fmt.Sprintf("%.1fs", longest),
			OK: longest <= d.maxOutage.Seconds(),
		})
	}
	if d.maxFailed != unbounded {
		retrying, _ := figures.Of(drillreport.Retrying)
		bounds = append(bounds, drillreport.Bound{
			Name: "max-failed", Want: strconv.Itoa(d.maxFailed), Got: strconv.Itoa(retrying.Failed),
			OK: retrying.Failed <= d.maxFailed,
		})
	}
	return bounds
}

// drillRunner returns what runs drills on the stack.
func (t *task) drillRunner(ctx context.Context, d *drillFlags) (*drill.Runner, error) {
	stack, err := t.stack.Config()
	if err != nil {
		return nil, coded(exitConfig, err)
	}
	client, _, err := t.cluster(ctx, t.clusterOf(d.access))
	if err != nil {
		return nil, err
	}
	outputs, err := t.readOutputs(ctx)
	if err != nil {
		return nil, err
	}
	target, err := t.drillTarget(stack, outputs)
	if err != nil {
		return nil, err
	}
	aws := t.lazyAWS(stack.AWS.Region)
	return &drill.Runner{
		Target: *target, Kubectl: client, AWS: aws, Fault: t.fault, Say: t.say,
		Account: func(ctx context.Context) error { return t.rightAccount(ctx, stack, aws) },
		Steady:  d.steady, Rate: d.rate, Direct: d.direct,
		Update: func(ctx context.Context, values ...string) error {
			return t.updateWith(ctx, func(f *stackFlags) { f.config = slices.Concat(f.config, values) })
		},
		Repair: func(ctx context.Context) error {
			return t.updateWith(ctx, func(f *stackFlags) { f.refresh = true })
		},
	}, nil
}

func (t *task) drillTarget(stack *config.Stack, outputs map[string]any) (*drill.Target, error) {
	tier, err := verify.FromOutputs(t.stack.Name, outputs)
	if err != nil {
		return nil, err
	}
	if tier.Namespace == "" {
		return nil, fmt.Errorf("stack %s has no service: run the drill on the stack of a service", t.stack.Name)
	}
	image, _ := outputs[config.OutputDrillImage].(string)
	connections, _ := outputs[config.OutputDrillConnections].(float64)
	text := func(name string) string {
		value, _ := outputs[name].(string)
		return value
	}
	fact := func(name string, value any) drillreport.Fact {
		return drillreport.Fact{Name: name, Value: fmt.Sprint(value)}
	}
	target := &drill.Target{
		Stack: t.stack.Name, Cloud: string(stack.Cloud), Local: stack.Cloud == config.Local,
		Namespace: tier.Namespace, Service: tier.Deployment, PartOf: stack.Service.Name, Pool: tier.Pool,
		DatabaseSecret:    tier.Secret,
		OperatorNamespace: text(config.OutputOperatorNamespace), Instance: text(config.OutputDatabaseIdentifier),
		MasterSecretArn: text(config.OutputMasterSecretArn),
		Migrates:        stack.Migration.Enabled, Generation: stack.Role.Generation, Image: image,
		Connections: int(connections),
		Lifetime:    time.Duration(stack.Consumer.ConnectionMaxLifetimeSeconds) * time.Second,
		Versions:    []drillreport.Fact{fact("dbtier", version), fact("load", image)},
		Settings: []drillreport.Fact{
			fact("pool.kind", stack.Pool.Kind),
			fact("consumer.connectionMaxLifetimeSeconds", stack.Consumer.ConnectionMaxLifetimeSeconds),
		},
	}
	if tier.Credential != "" {
		target.Credential, target.DirectSecret = tier.Credential, text(config.OutputDirectDatabaseSecret)
		target.CAConfigMap = contract.DirectCA(tier.Deployment)
	}
	if tier.Pool != "" {
		target.PoolContainer, target.PoolSocketDir = tier.PoolContainer, tier.PoolSocketDir
		target.Databases = stack.DatabaseNames()
		target.Versions = append(target.Versions, fact("PgBouncer", stack.Pool.Image))
		target.Settings = append(target.Settings, fact("pool.replicas", stack.Pool.Replicas),
			fact("pool.defaultPoolSize", stack.Pool.DefaultPoolSize),
			fact("pool.terminationGracePeriodSeconds", stack.Pool.TerminationGracePeriodSeconds))
	}
	return target, nil
}

// fault runs `dbtier local fault`.
func (t *task) fault(ctx context.Context, args ...string) error {
	cloud, err := t.cloud(t.project)
	if err != nil {
		return err
	}
	var said strings.Builder
	err = cloud.Run(ctx, io.Discard, &said, append([]string{"fault"}, args...)...)
	if errors.Is(err, localcloud.ErrReported) {
		return errors.New(strings.TrimPrefix(strings.TrimSpace(said.String()), "localcloud: "))
	}
	return err
}

// updateWith updates the stack with some flags changed, and prints nothing but its faults.
func (t *task) updateWith(ctx context.Context, change func(*stackFlags)) error {
	flags := *t.flags
	flags.yes = true
	change(&flags)
	of := t.newTask(&flags, t.target, t.newReport("up", t.stack.Name))
	of.out, of.asks = io.Discard, false
	of.progress.Out, of.progress.Live, of.progress.Quiet = io.Discard, false, true
	err := of.runUp(ctx)
	if faults := faults(ctx, err); err != nil && ctx.Err() == nil && len(faults) > 0 {
		return fmt.Errorf("the update failed: %s", strings.Join(faults, "; "))
	}
	return err
}
