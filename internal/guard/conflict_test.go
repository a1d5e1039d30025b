package guard_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/plugin"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"dbtier/internal/guard"
	"dbtier/internal/progress"
)

const (
	operator  = "dbtier:components:ExternalSecretsOperator$"
	chart     = operator + "kubernetes:helm.sh/v4:Chart$"
	ofService = "dbtier:components:ServiceNamespace$"
)

// creating is a preview's step that creates an object of a component.
func creating(component, apiVersion, kind, id string) progress.Step {
	group := apiVersion
	if !strings.Contains(group, "/") {
		group = "core/" + group
	}
	token := "kubernetes:" + group + ":" + kind
	namespace, name, namespaced := strings.Cut(id, "/")
	if !namespaced {
		namespace, name = "", id
	}
	return progress.Step{
		Op: apitype.OpCreate, Type: token, Name: "it",
		URN: "urn:pulumi:local::dbtier::" + component + token + "::it",
		Inputs: map[string]any{
			"apiVersion": apiVersion, "kind": kind,
			"metadata": map[string]any{"name": name, "namespace": namespace},
		},
	}
}

// there is an object of the cluster.
func there(apiVersion, kind, id string) guard.Object {
	namespace, name, namespaced := strings.Cut(id, "/")
	if !namespaced {
		namespace, name = "", id
	}
	return guard.Object{
		APIVersion: apiVersion, Kind: kind, Metadata: guard.Metadata{Name: name, Namespace: namespace},
	}
}

func conflictsOf(steps []progress.Step, found ...guard.Object) []guard.Conflict {
	return guard.Conflicts(guard.Creations(steps), found, "local")
}

func TestAnObjectThatExistsIsAConflictThatNamesItsOwnerAndTheSetting(t *testing.T) {
	crd := "CustomResourceDefinition"
	namespace := there("v1", "Namespace", "external-secrets")
	namespace.Metadata.Labels = map[string]string{
		"app.kubernetes.io/managed-by": "Helm", "app.kubernetes.io/instance": "eso", "app.kubernetes.io/part-of": "platform",
	}
	namespace.Metadata.ManagedFields = []guard.ManagedField{
		{Manager: "helm"}, {Manager: "helm"}, {Manager: "kube-controller-manager", Subresource: "status"},
	}
	deployment := there("apps/v1", "Deployment", "external-secrets/external-secrets")
	deployment.Metadata.Annotations = map[string]string{
		"meta.helm.sh/release-name": "eso", "meta.helm.sh/release-namespace": "external-secrets",
	}
	definition := there("apiextensions.k8s.io/v1", crd, "externalsecrets.external-secrets.io")
	steps := []progress.Step{
		creating(operator, "v1", "Namespace", "external-secrets"),
		creating(chart, "apps/v1", "Deployment", "external-secrets/external-secrets"),
		creating(chart, "apiextensions.k8s.io/v1", crd, "externalsecrets.external-secrets.io"),
		creating(chart, "v1", "ServiceAccount", "external-secrets/other"),
	}
	all := conflictsOf(steps, namespace, deployment, definition)
	require.Len(t, all, 3)
	assert.Equal(t, "Namespace external-secrets (managed by Helm, instance eso, part of platform, written by helm)",
		all[0].String())
	assert.Equal(t, "Deployment external-secrets/external-secrets (Helm release eso in namespace external-secrets)",
		all[1].String())
	for _, c := range all {
		assert.Contains(t, c.Fix, "set dbtier:operator.install: false in Pulumi.local.yaml")
		assert.Equal(t, all[0].Fix, c.Fix, "one fix for the operator")
	}
	alone := conflictsOf(steps, definition)
	require.Len(t, alone, 1)
	assert.Contains(t, alone[0].Fix, "set dbtier:operator.adopt: true in Pulumi.local.yaml for one update")
	assert.Contains(t, alone[0].Fix, "dbtier:operator.install: false")
	empty := conflictsOf(steps, namespace)
	require.Len(t, empty, 1)
	assert.Contains(t, empty[0].Fix, "another dbtier:operator.namespace")
}

func TestAConflictOfTheServiceNamesItsSettingsAndTheImport(t *testing.T) {
	steps := []progress.Step{
		creating(ofService, "v1", "Namespace", "myshop"),
		creating("dbtier:components:Consumer$", "apps/v1", "Deployment", "myshop/myshop-api"),
	}
	found := conflictsOf(steps, there("v1", "Namespace", "myshop"), there("apps/v1", "Deployment", "myshop/myshop-api"))
	require.Len(t, found, 2)
	assert.Contains(t, found[0].Fix, "dbtier:service.existingNamespace: true in Pulumi.local.yaml")
	assert.Contains(t, found[0].Fix, "dbtier import --stack local kubernetes:core/v1:Namespace it myshop")
	assert.Contains(t, found[1].Fix, "dbtier import --stack local kubernetes:apps/v1:Deployment it myshop/myshop-api")
	assert.Contains(t, found[1].Fix, "dbtier:consumer.name")
}

func TestWhatTheStackHasOrTheProviderTakesOverIsNoConflict(t *testing.T) {
	namespace := creating(ofService, "v1", "Namespace", "n")
	exists := there("v1", "Namespace", "n")
	require.Len(t, conflictsOf([]progress.Step{namespace}, exists), 1)

	own := namespace
	own.Op, own.URN, own.Before = apitype.OpSame, namespace.URN+"-before", namespace.Inputs
	replaced := namespace
	replaced.Op, replaced.Before = apitype.OpCreateReplacement, namespace.Inputs
	patch := namespace
	patch.Type += "Patch"
	unknown := creating(ofService, "v1", "Namespace", plugin.UnknownStringValue)
	release := progress.Step{Op: apitype.OpCreate, Type: "kubernetes:helm.sh/v4:Chart", Inputs: map[string]any{"name": "n"}}
	provider := func(id string, upserts any) progress.Step {
		return progress.Step{
			Op: apitype.OpSame, Type: "pulumi:providers:kubernetes", ID: id,
			Inputs: map[string]any{"upsertExistingObjects": upserts},
		}
	}
	for name, steps := range map[string][]progress.Step{
		"the stack has it under another name": {own, namespace}, "it is replaced": {replaced},
		"a patch of it": {patch}, "a name that is not known yet": {unknown}, "no object": {release},
		"operator.adopt":  {provider("p", true), namespace},
		"as the engine's": {provider("p", "true"), namespace},
	} {
		assert.Empty(t, guard.Creations(steps), name)
	}

	deleted := exists
	deleted.Metadata.DeletionTimestamp = "2026-11-23T10:00:00Z"
	assert.Empty(t, conflictsOf([]progress.Step{namespace}, deleted), "it will be gone")
	assert.Len(t, conflictsOf([]progress.Step{provider("p", false), namespace}, exists), 1)
}

// The numbers are those of the local cloud's provider (localcloud/internal/kubeprovider, create_test.go).
func TestWhatAnInterruptedRunOfTheLocalCloudLeftIsNoConflict(t *testing.T) {
	step := creating("", "v1", "Namespace", "n")
	step.URN = "urn:pulumi:local::dbtier::kubernetes:core/v1:Namespace::n"
	provider := progress.Step{Type: "pulumi:providers:kubernetes", ID: "provider-1"}
	left := there("v1", "Namespace", "n")
	left.Metadata.ManagedFields = []guard.ManagedField{{Manager: "pulumi-kubernetes-8b0c83edd8e9"}}
	assert.Empty(t, conflictsOf([]progress.Step{provider, step}, left))
	assert.Len(t, conflictsOf([]progress.Step{step}, left), 1, "of another provider resource")

	step.Inputs["metadata"].(map[string]any)["annotations"] = map[string]any{"helm.sh/resource-policy": "keep"}
	left.Metadata.ManagedFields[0].Manager = "pulumi-kubernetes-b8740be29034"
	assert.Empty(t, conflictsOf([]progress.Step{provider, step}, left), "it has outlived the stack")
	left.Metadata.ManagedFields[0].Subresource = "status"
	assert.Len(t, conflictsOf([]progress.Step{provider, step}, left), 1)
}

func TestManyConflictsWithOneFixAreShortForPeople(t *testing.T) {
	var conflicts []guard.Conflict
	for i := range 104 {
		conflicts = append(conflicts, guard.Conflict{Object: fmt.Sprint("ConfigMap ", i), Fix: "one"})
	}
	conflicts = append(conflicts, guard.Conflict{Object: "Namespace n", Owner: "managed by x", Fix: "other"})
	lines := guard.ConflictLines(conflicts)
	require.Len(t, lines, 12)
	assert.Equal(t, []string{
		"and 96 more; --json lists all", "  fix: one", "Namespace n (managed by x)", "  fix: other",
	}, lines[8:])
}

func TestAProvidersErrorAboutWhatExistsIsExplained(t *testing.T) {
	const namespace = "urn:pulumi:prod::dbtier::" + operator + "kubernetes:core/v1:Namespace::operator-namespace"
	role := "urn:pulumi:prod::dbtier::aws:iam/role:Role::secrets-role"
	database := "urn:pulumi:prod::dbtier::aws:rds/instance:Instance::database-instance"
	job := "urn:pulumi:prod::dbtier::dbtier:components:MigrationJob$kubernetes:batch/v1:Job::migration-job"
	for message, c := range map[string]struct {
		urn     string
		want    []string
		destroy bool
	}{
		`resource external-secrets was not successfully created by the Kubernetes API server: namespaces "external-secrets" ` +
			`already exists`: {namespace, []string{"dbtier:operator.install: false in Pulumi.prod.yaml"}, false},
		`create Namespace external-secrets: it already exists: delete it (kubectl delete Namespace external-secrets)`: {
			namespace, []string{"dbtier:operator.install: false"}, true,
		},
		`rendered manifests contain a resource that already exists. Unable to continue with install: ClusterRole "x" exists ` +
			`and cannot be imported into the current release`: {namespace, []string{"dbtier:operator.install: false"}, false},
		`creating IAM Role (r): operation error IAM: CreateRole, EntityAlreadyExists: Role with name r already exists.`: {
			role, []string{"dbtier import --stack prod aws:iam/role:Role secrets-role <id>", "dbtier:environment"}, false,
		},
		`creating RDS DB Instance (d): DBInstanceAlreadyExists: DB instance already exists`: {
			database, []string{"dbtier:database.identifier"}, false,
		},
	} {
		text := guard.Explain(c.urn, message, "prod")
		assert.True(t, strings.HasPrefix(text, message+"\nconflict: it exists already and is not in the state of stack prod: "),
			text)
		for _, want := range c.want {
			assert.Contains(t, text, want)
		}
		assert.Equal(t, c.destroy, strings.Contains(text, "that destroys what the owner uses"), text)
	}
	for message, urn := range map[string]string{
		"a Job failed\nERROR: relation \"orders\" already exists": job,
		"AccessDenied: not authorized":                            role,
		"EntityAlreadyExists: of no resource":                     "",
	} {
		assert.Equal(t, message, guard.Explain(urn, message, "prod"))
	}
}
