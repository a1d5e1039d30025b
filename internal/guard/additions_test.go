package guard_test

import (
	"encoding/json"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"dbtier/internal/guard"
	"dbtier/internal/progress"
	"dbtier/internal/stackstate"
)

const deploymentURN = "urn:pulumi:local::dbtier::kubernetes:apps/v1:Deployment::api"

// watched is a Deployment of the state, beside resources that are not watched.
func watched(t *testing.T) []guard.Watched {
	t.Helper()
	resource := func(kind, name string) stackstate.Resource {
		outputs, err := json.Marshal(map[string]any{
			"apiVersion": "apps/v1", "kind": kind, "metadata": map[string]any{"name": name, "namespace": "shop"},
		})
		require.NoError(t, err)
		return stackstate.Resource{
			URN: "urn:pulumi:local::dbtier::kubernetes:apps/v1:" + kind + "::" + name, Type: "kubernetes:apps/v1:" + kind,
			RawOutputs: outputs, RawInputs: []byte(`{
				"metadata": {"labels": {"app": "api"}, "finalizers": ["example.com/kept"]},
				"spec": {
					"template": {"spec": {"containers": [{"name": "api", "image": "api:1",
						"env": [{"name": "HOST", "value": "x"}, {"name": "PORT", "value": "80"}],
						"ports": [{"containerPort": 80}]}]}},
					"data": {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", "ciphertext": "x"}}}`),
		}
	}
	gone := resource("Deployment", "old")
	gone.Delete = true
	return guard.WatchedOf(&stackstate.State{Resources: []stackstate.Resource{
		resource("Deployment", "api"), gone, resource("CustomResourceDefinition", "things.example.com"),
		resource("DeploymentPatch", "api"),
		{URN: "urn:pulumi:local::dbtier::aws:kms/key:Key::key", Type: "aws:kms/key:Key"},
	}})
}

// existing is a Deployment with what the clients wrote.
func existing(t *testing.T, managedFields string) []guard.Object {
	t.Helper()
	var object guard.Object
	require.NoError(t, json.Unmarshal([]byte(`{"apiVersion": "apps/v1", "kind": "Deployment",
		"metadata": {"name": "api", "namespace": "shop", "managedFields": [`+managedFields+`]}}`), &object))
	return []guard.Object{object}
}

const (
	container = `"f:spec": {"f:template": {"f:spec": {"f:containers": {"k:{\"name\":\"api\"}": {`
	// operations are what the program, controllers and people at work write.
	operations = `{"manager": "pulumi-kubernetes-0123", "operation": "Apply", "fieldsV1": {
			"f:metadata": {"f:labels": {"f:app": {}}}}},
		{"manager": "kube-controller-manager", "subresource": "status", "fieldsV1": {"f:status": {"f:replicas": {}}}},
		{"manager": "kube-controller-manager", "fieldsV1": {
			"f:metadata": {"f:annotations": {"f:deployment.kubernetes.io/revision": {}}}}},
		{"manager": "kubectl-rollout", "fieldsV1": {"f:spec": {"f:template": {"f:metadata": {"f:annotations": {
			".": {}, "f:kubectl.kubernetes.io/restartedAt": {}}}}}}},
		{"manager": "kubectl-annotate", "fieldsV1": {"f:metadata": {"f:annotations": {".": {}, "f:force-sync": {}}}}},
		{"manager": "kubectl", "subresource": "scale", "fieldsV1": {"f:spec": {"f:replicas": {}}}},
		{"manager": "kubectl-edit", "fieldsV1": {"f:metadata": {"f:labels": {"f:app": {}},
			"f:finalizers": {".": {}, "v:\"example.com/kept\"": {}}}, "f:spec": {"f:data": {"f:password": {}}}}},
		{"manager": "kubectl-patch", "fieldsV1": {` + container + `".": {}, "f:image": {},
			"f:ports": {"k:{\"containerPort\":80,\"protocol\":\"TCP\"}": {".": {}, "f:containerPort": {}}},
			"f:env": {"k:{\"name\":\"PORT\"}": {".": {}, "f:name": {}, "f:value": {}}}}}}}}}}`
)

func TestAdditionsAreTheFieldsThatPeopleWrote(t *testing.T) {
	t.Parallel()
	require.Len(t, watched(t), 1)
	assert.Empty(t, guard.Additions(watched(t), existing(t, operations)))
	assert.Empty(t, guard.Additions(watched(t), nil), "it does not exist")

	found := guard.Additions(watched(t), existing(t, operations+`,
		{"manager": "kubectl-set", "time": "2026-11-30T08:00:00Z", "fieldsV1": {`+container+`"f:env": {
			"k:{\"name\":\"LOG_LEVEL\"}": {".": {}, "f:name": {}, "f:value": {}},
			"k:{\"name\":\"PORT\"}": {".": {}, "f:name": {}}}}}}}}}},
		{"manager": "kubectl-label", "fieldsV1": {"f:metadata": {"f:labels": {"f:example.com/team": {}},
			"f:finalizers": {"v:\"example.com/mine\"": {}}}}},
		{"manager": "kubectl-annotate", "fieldsV1": {"f:metadata": {"f:annotations": {".": {}, "f:note": {}}}}},
		{"manager": "k9s", "fieldsV1": {"f:spec": {"f:paused": {}, "f:ports": {
			"k:{\"port\":80,\"protocol\":\"TCP\"}": {".": {}, "f:port": {}}}}}},
		{"manager": "argocd-controller", "fieldsV1": {"f:spec": {"f:minReadySeconds": {}}}}`))
	want := []guard.Addition{
		{
			Path: "spec.template.spec.containers[api].env[LOG_LEVEL]", By: "kubectl-set", Time: "2026-11-30T08:00:00Z",
			Fix: "kubectl set env deployment/api --namespace=shop --containers=api LOG_LEVEL-",
		},
		{Path: "metadata.finalizers[example.com/mine]", By: "kubectl-label", Fix: "kubectl edit deployment/api --namespace=shop"},
		{
			Path: `metadata.labels["example.com/team"]`, By: "kubectl-label",
			Fix: "kubectl label deployment/api --namespace=shop example.com/team-",
		},
		{
			Path: "metadata.annotations.note", By: "kubectl-annotate",
			Fix: "kubectl annotate deployment/api --namespace=shop note-",
		},
		{Path: "spec.paused", By: "k9s", Fix: "kubectl edit deployment/api --namespace=shop"},
		{Path: "spec.ports[80,TCP]", By: "k9s", Fix: "kubectl edit deployment/api --namespace=shop"},
	}
	for i := range want {
		want[i].URN, want[i].Object = deploymentURN, "Deployment shop/api"
	}
	assert.Equal(t, want, found)
}

func TestAnAdditionIsNotTheChangeThatAnUpdatePutsBack(t *testing.T) {
	t.Parallel()
	additions := []guard.Addition{
		{URN: deploymentURN, Path: "spec.template.spec.containers[api].image"},
		{URN: deploymentURN, Path: `metadata.labels["example.com/team"]`},
	}
	left := guard.Beside(additions, []progress.Step{
		{URN: deploymentURN, Op: apitype.OpUpdate, Changed: []string{"spec.template.spec.containers[0].image"}},
		{URN: "urn:other", Op: apitype.OpUpdate, Changed: []string{`metadata.labels["example.com/team"]`}},
	})
	require.Len(t, left, 1)
	assert.Equal(t, `metadata.labels["example.com/team"]`, left[0].Path)
}
