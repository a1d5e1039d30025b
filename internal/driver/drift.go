package driver

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/spf13/cobra"

	"dbtier/internal/progress"
)

func (a *app) drift() *cobra.Command {
	var f stackFlags
	cmd := &cobra.Command{
		Use:   "drift --stack <stack>",
		Short: "Find what was changed by hand",
		Long: `Compares what is there with what the last up asked for, and changes nothing. What the engine would put back is drift: a resource that
was deleted, or a property that differs. What another controller owns is none: the replicas that a HorizontalPodAutoscaler sets, the
status that an operator writes.

Where there is drift the next up on this machine looks first at what is there, and mends it; elsewhere use up --refresh.

Exit codes: 0 none, 2 drift, 5 failed.`,
		Example: `  dbtier drift --stack prod
  dbtier drift --stacks 'prod-*' --json --summary drift.md`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.onStacks(cmd, &f, func(ctx context.Context, t *task) error { return t.findDrift(ctx) })
		},
	}
	f.add(cmd, a, onSeveral, withEngine, withTargets, withSummary)
	return cmd
}

func (t *task) findDrift(ctx context.Context) error {
	started := time.Now()
	session, done, err := t.open(ctx, operation{command: "drift", existing: true})
	if err != nil {
		return err
	}
	defer done()
	options := t.options()
	options.Progress.Quiet = true
	result, err := session.Drift(ctx, options)
	t.withoutOwned(ctx, &result)
	t.report.take(&result, true)
	t.report.Resources = slices.DeleteFunc(t.report.Resources,
		func(s progress.Step) bool { return s.Op == apitype.OpSame })
	if err != nil {
		return failed(err)
	}
	drifted := 0
	for _, step := range result.Steps {
		switch step.Op {
		case apitype.OpDelete:
			t.say("  - %s is gone", progress.Subject(step.URN))
		case apitype.OpUpdate:
			t.say("  ~ %s differs: %s", progress.Subject(step.URN), strings.Join(step.Changed, ", "))
		default:
			continue
		}
		drifted++
	}
	if drifted == 0 {
		t.say("stack %s: no drift (%d resources), %.1fs", t.stack.Name, result.Changes[apitype.OpSame],
			time.Since(started).Seconds())
		return nil
	}
	if err := session.OweALook(); err != nil {
		return err
	}
	t.say("stack %s: %s; mend with: dbtier up --stack %s --refresh", t.stack.Name,
		count(drifted, "resource drifted", "resources drifted"), t.stack.Name)
	return errPending
}

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// replicas is the field that a HorizontalPodAutoscaler sets in a program's object, through the object's subresource
// scale.
const replicas = "spec.replicas"

// withoutOwned takes out of a refresh what another controller owns: an update of which nothing else is left is none.
func (t *task) withoutOwned(ctx context.Context, result *progress.Result) {
	for i := range result.Steps {
		step := &result.Steps[i]
		if step.Op != apitype.OpUpdate || !strings.HasPrefix(step.Type, "kubernetes:") {
			continue
		}
		left := slices.DeleteFunc(slices.Clone(step.Changed), func(path string) bool {
			return isStatus(path) || path == replicas && t.ownsReplicas(ctx, step)
		})
		if len(left) == 0 && len(step.Changed) > 0 {
			step.Op = apitype.OpSame
			result.Changes[apitype.OpUpdate]--
			result.Changes[apitype.OpSame]++
		}
		step.Changed = left
	}
}

func isStatus(path string) bool { return path == "status" || strings.HasPrefix(path, "status.") }

// ownsReplicas asks the cluster whether its own controller was the last to set an object's replicas. Providers leave
// managedFields out of what they tell. A cluster that does not answer takes no drift away.
func (t *task) ownsReplicas(ctx context.Context, step *progress.Step) bool {
	kubeconfig, kubecontext := clusterOf(t.target, "", "")
	client, _, err := t.cluster(ctx, t.target, kubeconfig, kubecontext)
	if err != nil {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, each)
	defer cancel()
	namespace, name, ok := strings.Cut(step.ID, "/")
	if !ok {
		return false
	}
	var object map[string]any
	if err := client.Get(ctx, &object, namespace, kindOf(step.Type), name, "--show-managed-fields"); err != nil {
		return false
	}
	return ownedByCluster(object)[replicas]
}

// kindOf is a type's kind as kubectl wants it: kubernetes:apps/v1:Deployment is Deployment.v1.apps.
func kindOf(resourceType string) string {
	parts := strings.Split(resourceType, ":")
	group, version, ok := strings.Cut(parts[1], "/")
	if !ok || group == "core" {
		return parts[2]
	}
	return parts[2] + "." + version + "." + group
}

// ownedByCluster are the paths of an object's fields that the cluster's controllers have written last, as its
// managedFields tell. Only they count: a person with kubectl is a manager, too.
func ownedByCluster(object map[string]any) map[string]bool {
	owned := map[string]bool{}
	metadata, _ := object["metadata"].(map[string]any)
	entries, _ := metadata["managedFields"].([]any)
	for _, entry := range entries {
		e, _ := entry.(map[string]any)
		if e["manager"] != "kube-controller-manager" || e["subresource"] != "scale" {
			continue
		}
		fields, _ := e["fieldsV1"].(map[string]any)
		collect(fields, "", owned)
	}
	return owned
}

// collect writes the paths of a FieldsV1 set: f:spec holding f:replicas is spec.replicas.
func collect(fields map[string]any, at string, into map[string]bool) {
	for key, inner := range fields {
		name, isField := strings.CutPrefix(key, "f:")
		if !isField {
			continue
		}
		path := name
		if at != "" {
			path = at + "." + name
		}
		if below, ok := inner.(map[string]any); ok && len(below) > 0 {
			collect(below, path, into)
		} else {
			into[path] = true
		}
	}
}

func (a *app) refresh() *cobra.Command {
	var f stackFlags
	var adopt []string
	var forget []string
	cmd := &cobra.Command{
		Use:   "refresh --stack <stack>",
		Short: "Bring the state to what is there",
		Long: `Looks at each resource and writes what is there into the state; no resource is changed. The next up then puts back what differs from the
program.

A run that was killed may have left creations of which nobody knows whether they happened. up settles by itself those that are found by
their name, and asks about the rest: --adopt-pending gives the id of what was made, --forget-pending says that nothing was.`,
		Example: `  dbtier refresh --stack prod --yes
  dbtier refresh --stack prod --yes --adopt-pending database-key=1234abcd-12ab-34cd-56ef-1234567890ab
  dbtier refresh --stack prod --yes --forget-pending database-security-group`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ids := map[string]string{}
			for _, given := range adopt {
				resource, id, ok := strings.Cut(given, "=")
				if !ok || resource == "" || id == "" {
					return &usageError{
						error:   fmt.Errorf("--adopt-pending %s: want resource=id", given),
						command: cmd.CommandPath(),
					}
				}
				ids[resource] = id
			}
			return a.onStacks(cmd, &f, func(ctx context.Context, t *task) error {
				return t.refreshState(ctx, ids, forget)
			})
		},
	}
	f.add(cmd, a, onSeveral, withEngine, withTargets, withSummary, withConsent)
	cmd.Flags().StringArrayVar(&adopt, "adopt-pending", nil,
		"a creation that was begun has made what has this id, as resource=id (resource: name or URN)")
	cmd.Flags().StringArrayVar(&forget, "forget-pending", nil,
		"a creation that was begun has made nothing (name or URN)")
	return cmd
}

func (t *task) refreshState(ctx context.Context, adopt map[string]string, forget []string) error {
	started := time.Now()
	ask, err := t.mayAsk("refresh")
	if err != nil {
		return err
	}
	session, done, err := t.open(ctx, operation{
		command: "refresh", changes: true, existing: true, adopt: adopt, forget: forget,
	})
	if err != nil {
		return err
	}
	defer done()
	if ask {
		t.say("refresh writes what is there into the state of stack %s, in %s; no resource is changed", t.stack.Name,
			session.Backend())
		if goAhead, err := t.agree(ctx); err != nil || !goAhead {
			return err
		}
	}
	t.say("refresh of stack %s", t.stack.Name)
	return t.ran(started, "refresh of stack "+t.stack.Name)(session.Refresh(ctx, t.options()))
}
