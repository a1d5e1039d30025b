package driver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"

	"dbtier/components/consumer"
	"dbtier/components/externalsecrets"
	"dbtier/components/pgbouncer"
	"dbtier/components/servicenamespace"
	"dbtier/config"
	"dbtier/internal/engine"
	"dbtier/internal/guard"
	"dbtier/internal/kubectl"
	"dbtier/internal/progress"
	"dbtier/internal/stackstate"
)

// Kubernetes refuses to create an object that exists. A provider says so in the middle of an update, and some advise to
// delete the object, which another owner may use. The driver therefore asks the cluster before.

// existingTimeout limits the search for the objects of a stack, of which kubectl reads one after the other.
const existingTimeout = 30 * time.Second

// findConflicts reports the objects that the steps of a preview would create and that exist already. It notes a cluster
// that does not answer, or not for all objects: an update can still be right.
func (t *task) findConflicts(ctx context.Context, reader *engine.Reader, steps []progress.Step) {
	creations := guard.Creations(steps)
	if len(creations) == 0 {
		return
	}
	client, _, err := t.cluster(ctx, t.clusterOf(clusterAccess{}))
	if err == nil {
		t.report.Conflicts, err = t.conflictsOf(ctx, client, creations)
	}
	if err != nil && ctx.Err() == nil {
		t.note(fmt.Sprintf("what stack %s would create was not looked for in the cluster, or not all of it: %v",
			t.stack.Name, err))
	}
	if len(t.report.Conflicts) == 0 {
		return
	}
	// A killed run may have created objects that the state has only as operations.
	if state, err := reader.State(ctx); err == nil {
		t.report.Conflicts = slices.DeleteFunc(t.report.Conflicts, func(c guard.Conflict) bool {
			return slices.ContainsFunc(state.Pending,
				func(o stackstate.Operation) bool { return o.Resource.URN == c.URN })
		})
	}
}

// conflictsOf asks the cluster which of the objects exist.
func (t *task) conflictsOf(
	ctx context.Context, client *kubectl.Client, creations []guard.Creation,
) ([]guard.Conflict, error) {
	objects := make([]guard.Object, len(creations))
	for i := range creations {
		objects[i] = creations[i].Object
	}
	existing, err := existingObjects[guard.Object](ctx, client, objects)
	return guard.Conflicts(creations, existing, t.stack.Name), err
}

// existingObjects asks the cluster, once, which of the objects exist, and who wrote them.
func existingObjects[T guard.Object | guard.Live](
	ctx context.Context, client *kubectl.Client, objects []guard.Object,
) ([]T, error) {
	var manifests strings.Builder
	for _, o := range objects {
		manifest, err := json.Marshal(o)
		if err != nil {
			return nil, fmt.Errorf("writing the manifest of %s: %w", o.ID(), err)
		}
		fmt.Fprintf(&manifests, "%s\n", manifest)
	}
	ctx, cancel := context.WithTimeout(ctx, existingTimeout)
	defer cancel()
	var existing struct{ Items []T }
	err := client.Existing(ctx, &existing, manifests.String())
	return existing.Items, err
}

// sayConflicts says after a preview what exists already.
func (t *task) sayConflicts() {
	if len(t.report.Conflicts) == 0 {
		return
	}
	t.say("  ! up would stop before it changes anything, because these objects exist already:")
	for _, line := range guard.ConflictLines(t.report.Conflicts) {
		t.say("      %s", line)
	}
}

// refuseConflicts returns an error if the run would create objects that exist already.
func (t *task) refuseConflicts() error {
	if len(t.report.Conflicts) == 0 {
		return nil
	}
	refusal := fmt.Sprintf("stack %s: nothing was changed, because these objects exist already; to delete them would "+
		"destroy what their owner uses:", t.stack.Name)
	lines := append([]string{refusal}, guard.ConflictLines(t.report.Conflicts)...)
	return coded(exitRefused, errors.New(strings.Join(lines, "\n  ")))
}

// existing looks for the objects that an update would create, as far as the config names them, and that exist without
// being in the stack's state.
func (x *examination) existing(ctx context.Context, client *kubectl.Client) {
	const name = "existing objects"
	preview := "dbtier preview --stack " + x.stack.Name + " looks for them"
	reader := x.reader()
	defer reader.Close()
	state, err := reader.State(ctx)
	if err != nil {
		x.warn(name, preview, "not checked, without the state: %s", err)
		return
	}
	steps := append(guard.Deletions(state, nil), x.creations()...)
	creations := guard.Creations(steps)
	if len(creations) == 0 {
		return
	}
	conflicts, err := x.conflictsOf(ctx, client, creations)
	if err != nil {
		x.warn(name, preview, "not all were looked for: %s", err)
	}
	for _, group := range guard.ByFix(conflicts) {
		var same []string
		for _, conflict := range group {
			same = append(same, conflict.String())
		}
		x.fault(name, group[0].Fix, "up would create what exists already: %s", strings.Join(same, ", "))
	}
	if err == nil && !slices.ContainsFunc(x.findings, func(f finding) bool { return f.Name == name }) {
		x.ok(name, "none has a name that the stack needs")
	}
}

// namedByConfig is an object whose name follows from the config.
type namedByConfig struct {
	// component is the type of the component that creates the object, resource its name in the program.
	component, token, resource string
	namespace, name            string
}

// creations are steps that create what the config names: what a cluster or a namespace has once. Only a preview knows
// all objects of a stack.
func (x *examination) creations() []progress.Step {
	s := x.settings
	if s.Operator.Adopt {
		return nil
	}
	const (
		namespace  = "kubernetes:core/v1:Namespace"
		deployment = "kubernetes:apps/v1:Deployment"
		definition = "kubernetes:apiextensions.k8s.io/v1:CustomResourceDefinition"
		webhook    = "kubernetes:admissionregistration.k8s.io/v1:ValidatingWebhookConfiguration"
	)
	var objects []namedByConfig
	if s.Operator.Install {
		const chart = externalsecrets.OperatorType + "$kubernetes:helm.sh/v4:Chart"
		objects = append(objects,
			namedByConfig{externalsecrets.OperatorType, namespace, "operator-namespace", "", s.Operator.Namespace})
		for _, o := range []struct{ token, namespace, name string }{
			{deployment, s.Operator.Namespace, "external-secrets"},
			{definition, "", "externalsecrets.external-secrets.io"},
			{definition, "", "clustersecretstores.external-secrets.io"},
			{"kubernetes:rbac.authorization.k8s.io/v1:ClusterRole", "", "external-secrets-controller"},
			{webhook, "", "externalsecret-validate"},
		} {
			resource := "operator-chart:" + strings.TrimPrefix(o.namespace+"/"+o.name, "/")
			objects = append(objects, namedByConfig{chart, o.token, resource, o.namespace, o.name})
		}
	}
	if s.HoldsService() {
		if !s.Service.ExistingNamespace {
			objects = append(objects,
				namedByConfig{servicenamespace.Type, namespace, "namespace-namespace", "", s.Service.Namespace})
		}
		objects = append(objects,
			namedByConfig{consumer.Type, deployment, "consumer-deployment", s.Service.Namespace, s.Consumer.Name})
		if s.Pool.Kind == config.PgBouncer {
			objects = append(objects,
				namedByConfig{pgbouncer.Type, deployment, "pool-deployment", s.Service.Namespace, s.Pool.Name})
		}
	}
	steps := make([]progress.Step, 0, len(objects))
	for _, o := range objects {
		steps = append(steps, o.creation(x.stack.Name, x.project.Name))
	}
	return steps
}

// creation is the step of a preview that creates the object.
func (o namedByConfig) creation(stack, project string) progress.Step {
	parts := strings.Split(o.token, ":")
	return progress.Step{
		Op: apitype.OpCreate, Type: o.token, Name: o.resource,
		URN: fmt.Sprintf("urn:pulumi:%s::%s::%s$%s::%s", stack, project, o.component, o.token, o.resource),
		Inputs: map[string]any{
			"apiVersion": strings.TrimPrefix(parts[1], "core/"), "kind": parts[2],
			"metadata": map[string]any{
				"name": o.name, "namespace": o.namespace,
				// The operator's chart keeps its definitions.
				"annotations": map[string]any{"helm.sh/resource-policy": keeps(parts[2])},
			},
		},
	}
}

func keeps(kind string) string {
	if kind == "CustomResourceDefinition" {
		return "keep"
	}
	return ""
}
