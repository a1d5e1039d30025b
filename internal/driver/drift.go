package driver

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/spf13/cobra"

	"dbtier/internal/engine"
	"dbtier/internal/guard"
	"dbtier/internal/progress"
	"dbtier/internal/text"
	"dbtier/internal/verify"
)

func (a *app) drift() *cobra.Command {
	var f stackFlags
	var hook string
	cmd := a.onStacks(&f, (*task).runDrift, &cobra.Command{
		Use:   "drift --stack <stack>",
		Short: "Find changes that were made by hand",
		Long: `Compares the real resources with the inputs of the last up, and changes nothing. Drift is what the next
up would put back: a resource that was deleted, or a property that differs. Drift is also what a person has
added to an object of Kubernetes, such as a variable or a label. No up removes it, so drift names the
command that does; up can be refused until then. Values that another controller owns are not drift: the replicas that a
HorizontalPodAutoscaler sets, the status that an operator writes. Neither are changes that RDS applies in
the maintenance window, which are listed as pending, and a disk that RDS has grown. Generated passwords
that were lost with their Secrets are drift, too. drift asks the cluster with kubectl for additions and
passwords.

After drift was found, the next up on this machine refreshes the state first and so repairs the drift. On
another machine use up --refresh.

With --heal an update repairs the drift at once, without a question, in stacks whose file sets
dbtier:drift.heal to true. It stops before anything is changed if it would also deploy something that is not
deployed yet, delete or replace a resource, or lose data. It takes out nothing that a person has added, and
replaces no lost passwords: these stay drift.

With --webhook, the findings are posted as JSON (schema dbtier/v1, as of --json) if there are any. A
delivery is tried three times.

Exit codes: 0 no drift, or all of it healed; 1 the findings could not be delivered; 2 drift; 3 healing was
refused; 5 failed.`,
		Example: `  dbtier drift --stack prod
  dbtier drift --stacks 'prod-*' --json --summary drift.md
  dbtier drift --stacks '*' --heal --webhook @/run/secrets/webhook`,
	}, onSeveral, withEngine, withTargets, withSummary)
	cmd.Flags().StringVar(&hook, "webhook", "", "post the findings to this secret `URL`, which must be https://; "+
		"@FILE\nreads it from a file, so that other users of the machine do not see it")
	cmd.Flags().BoolVar(&f.heal, "heal", false,
		"repair the drift of stacks that allow it (dbtier:drift.heal) with an update")
	cmd.PreRunE = func(cmd *cobra.Command, _ []string) (err error) {
		f.hook, err = a.hookOf(cmd, hook)
		return err
	}
	return cmd
}

func (t *task) runDrift(ctx context.Context) error {
	repairable, err := t.findDrift(ctx)
	if err == nil || !errors.Is(err, errPending) || !t.flags.heal || !repairable {
		return err
	}
	may, failed := t.mayHeal()
	if failed != nil || !may {
		return cmp.Or(failed, err)
	}
	if failed := t.heal(ctx); failed != nil {
		return failed
	}
	lost := slices.ContainsFunc(t.report.LostPasswords, func(l verify.LostPassword) bool { return !l.Kept })
	if lost || len(t.report.Additions) > 0 {
		return err
	}
	return nil
}

// findDrift finds and reports drift, whose error is errPending. It is repairable if an update of the program puts
// back some of it.
func (t *task) findDrift(ctx context.Context) (repairable bool, err error) {
	started := time.Now()
	reader, done, err := t.openReader(ctx, operation{command: "drift"})
	if err != nil {
		return false, err
	}
	defer done()
	options := t.options()
	options.Progress.Quiet = true
	result, err := reader.Drift(ctx, options)
	t.dropOwned(ctx, &result)
	t.settle(ctx, reader, &result)
	if err == nil {
		t.findAdditions(ctx, reader, &result)
	}
	t.report.take(&result, true)
	t.report.Resources = slices.DeleteFunc(t.report.Resources,
		func(s progress.Step) bool { return s.Op == apitype.OpSame })
	if err == nil {
		err = t.allMatched(ctx, reader, result.Steps)
	}
	if err != nil {
		return false, err
	}
	t.sayPending()
	drifted := 0
	for _, step := range result.Steps {
		switch step.Op {
		case apitype.OpDelete:
			t.say("  - %s is gone", progress.Subject(step.URN))
		case apitype.OpUpdate:
			t.say("  ~ %s", progress.Subject(step.URN))
			if !t.asJSON {
				progress.New(t.progress).Changes(&step, "differs")
			}
		default:
			continue
		}
		drifted++
	}
	outputs, err := reader.Outputs(ctx)
	if err != nil {
		return false, err
	}
	missing, lost := t.lostPasswords(ctx, outputs)
	added := t.sayAdditions()
	if drifted == 0 && !missing && !lost {
		if added != "" {
			t.say("stack %s: %s, which up does not remove", t.stack.Name, added)
			return false, errPending
		}
		t.say("stack %s: no drift (%d resources), %.1fs", t.stack.Name, result.Changes[apitype.OpSame],
			time.Since(started).Seconds())
		return false, nil
	}
	if err := reader.RequireRefresh(); err != nil {
		return false, err
	}
	var found []string
	if drifted > 0 || missing {
		found = append(found, text.Count(drifted, "resource drifted", "resources drifted"))
	}
	if lost {
		found = append(found, "generated passwords are lost")
	}
	if added != "" {
		found = append(found, added+", which up does not remove")
	}
	// The API server merges the fields of both into one object, and may refuse it: two ports of one name, for example.
	first := ""
	if t.isDisturbed(result.Steps) {
		first = "first take out what was added, then "
	}
	t.say("stack %s: %s; %srepair with: dbtier up --stack %s --refresh", t.stack.Name, strings.Join(found, ", "), first,
		t.stack.Name)
	return drifted > 0 || missing, errPending
}

// findAdditions reports the fields that people have added to the stack's objects, and takes out of the result what
// differs only because of them. It notes a cluster that does not answer.
func (t *task) findAdditions(ctx context.Context, reader *engine.Reader, result *progress.Result) {
	state, err := reader.State(ctx)
	if err != nil {
		t.note(fmt.Sprintf("what was added to objects of stack %s was not looked for: %v", t.stack.Name, err))
		return
	}
	watched := guard.WatchedOf(state)
	existing, err := t.existing(ctx, watched)
	if err != nil && ctx.Err() == nil {
		t.note(fmt.Sprintf("what was added to objects of stack %s was not looked for, or not in all of them: %v",
			t.stack.Name, err))
	}
	t.report.Additions = guard.Beside(guard.Additions(watched, existing), result)
}

// existing asks the cluster for the watched objects.
func (t *task) existing(ctx context.Context, watched []guard.Watched) ([]guard.Live, error) {
	if len(watched) == 0 {
		return nil, nil
	}
	client, _, err := t.cluster(ctx, t.clusterOf(clusterAccess{}))
	if err != nil {
		return nil, err
	}
	objects := make([]guard.Object, len(watched))
	for i := range watched {
		objects[i] = watched[i].Object
	}
	return existingObjects[guard.Live](ctx, client, objects)
}

// isDisturbed reports whether something was added beside what an update changes.
func (t *task) isDisturbed(steps []progress.Step) bool {
	return slices.ContainsFunc(t.report.Additions, func(a guard.Addition) bool {
		return slices.ContainsFunc(steps, a.Disturbs)
	})
}

// sayAdditions says what people have added, and returns how much it is in words, or "".
func (t *task) sayAdditions() string {
	for _, a := range t.report.Additions {
		t.say("  + %s: %s was added by %s, %s; take it out with: %s", a.Object, a.Path, a.By, a.Time,
			t.typed(a.Fix))
	}
	if len(t.report.Additions) == 0 {
		return ""
	}
	return text.Count(len(t.report.Additions), "field was added", "fields were added")
}

// replicas is the field that a HorizontalPodAutoscaler sets, through the object's subresource scale.
const replicas = "spec.replicas"

// dropOwned removes from the result the properties that another controller owns, and those that are as the
// program wants them: a provider can name one for its spelling. An update without any other property is not drift.
func (t *task) dropOwned(ctx context.Context, result *progress.Result) {
	for i := range result.Steps {
		step := &result.Steps[i]
		if step.Op != apitype.OpUpdate {
			continue
		}
		ofCluster := strings.HasPrefix(step.Type, "kubernetes:")
		left := slices.DeleteFunc(slices.Clone(step.Changed), func(path string) bool {
			return step.AsDeclared(path) || ofCluster && (path == "status" || strings.HasPrefix(path, "status.") ||
				path == replicas && t.scaled(ctx, step))
		})
		if len(left) == 0 && len(step.Changed) > 0 {
			result.Same(step)
		}
		step.Changed = left
	}
}

// scaled asks the cluster whether its own controller was the last to set an object's replicas: providers do not report
// managedFields. If the cluster does not answer, the difference counts as drift.
func (t *task) scaled(ctx context.Context, step *progress.Step) bool {
	client, _, err := t.cluster(ctx, t.clusterOf(clusterAccess{}))
	if err != nil {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	namespace, name, ok := strings.Cut(step.ID, "/")
	if !ok {
		return false
	}
	var object struct {
		Metadata struct {
			ManagedFields []struct {
				Manager, Subresource string
				FieldsV1             map[string]map[string]any
			}
		}
	}
	if err := client.Get(ctx, &object, namespace, kindOf(step.Type), name, "--show-managed-fields"); err != nil {
		return false
	}
	// A person with kubectl is a manager too: only the cluster's own controller counts.
	for _, entry := range object.Metadata.ManagedFields {
		_, sets := entry.FieldsV1["f:spec"]["f:replicas"]
		if sets && entry.Manager == "kube-controller-manager" && entry.Subresource == "scale" {
			return true
		}
	}
	return false
}

// kindOf returns a type's kind as kubectl spells it: kubernetes:apps/v1:Deployment is Deployment.v1.apps.
func kindOf(resourceType string) string {
	parts := strings.Split(resourceType, ":")
	group, version, ok := strings.Cut(parts[1], "/")
	if !ok || group == "core" {
		return parts[2]
	}
	return parts[2] + "." + version + "." + group
}
