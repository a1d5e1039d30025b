package guard_test

import (
	"encoding/json"
	"fmt"
	"strings"
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
func existing(t *testing.T, managedFields string) []guard.Live {
	t.Helper()
	return live(t, `"apiVersion": "apps/v1", "kind": "Deployment"`, "", managedFields)
}

// live is an object api of the cluster with this content and what the clients wrote.
func live(t *testing.T, kind, content, managedFields string) []guard.Live {
	t.Helper()
	var object guard.Live
	require.NoError(t, json.Unmarshal([]byte(`{`+kind+content+`,
		"metadata": {"name": "api", "namespace": "shop", "managedFields": [`+managedFields+`]}}`), &object))
	return []guard.Live{object}
}

// told is what is told of additions.
func told(t *testing.T, additions []guard.Addition) string {
	t.Helper()
	text, err := json.MarshalIndent(additions, "", "  ")
	require.NoError(t, err)
	return string(text)
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
	assert.Equal(t, told(t, want), told(t, found))
}

// service is the state of a Service with one port, without what the API server fills in.
func service(t *testing.T, ports string) []guard.Watched {
	t.Helper()
	return guard.WatchedOf(&stackstate.State{Resources: []stackstate.Resource{{
		URN: serviceURN, Type: "kubernetes:core/v1:Service",
		RawInputs:  []byte(`{"spec": {"selector": {"app": "api"}, "ports": ` + ports + `}}`),
		RawOutputs: []byte(`{"apiVersion": "v1", "kind": "Service", "metadata": {"name": "api", "namespace": "shop"}}`),
	}}})
}

const (
	serviceURN  = "urn:pulumi:local::dbtier::kubernetes:core/v1:Service::api"
	serviceKind = `"apiVersion": "v1", "kind": "Service"`
	onePort     = `[{"name": "http", "port": 80, "targetPort": 8080}]`
	mended      = `{"manager": "kubectl-patch", "operation": "Update", "fieldsV1": {"f:spec": {"f:ports": {
		".": {}, "k:{\"port\":80,\"protocol\":\"TCP\"}": {
			".": {}, "f:name": {}, "f:port": {}, "f:protocol": {}, "f:targetPort": {}}}}}}`
	edited = `{"manager": "kubectl-edit", "operation": "Update", "time": "2026-11-30T08:00:00Z",
		"fieldsV1": {"f:spec": {"f:ports": {"k:{\"port\":81,\"protocol\":\"TCP\"}": {
			".": {}, "f:name": {}, "f:port": {}, "f:protocol": {}, "f:targetPort": {}}}}}}`
)

// A person who puts back what was changed owns the values that the API server fills in.
func TestAValueThatTheAPIServerFillsInIsNoAddition(t *testing.T) {
	t.Parallel()
	found := guard.Additions(service(t, onePort), live(t, serviceKind, `, "spec": {"ports": [
		{"name": "http", "port": 80, "protocol": "TCP", "targetPort": 8080}]}`, mended))
	assert.Empty(t, found, "the protocol is a key of the port")
	found = guard.Additions(service(t, `[{"port": 80}]`), live(t, serviceKind, `, "spec": {"clusterIP": "10.0.0.1",
		"clusterIPs": ["10.0.0.1"], "ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack", "type": "ClusterIP",
		"sessionAffinity": "None", "ports": [{"port": 80, "protocol": "TCP", "targetPort": 80}]}`,
		`{"manager": "kubectl-replace", "fieldsV1": {"f:spec": {"f:clusterIP": {}, "f:clusterIPs": {},
			"f:ipFamilies": {}, "f:ipFamilyPolicy": {}, "f:type": {}, "f:sessionAffinity": {}, "f:ports": {
				"k:{\"port\":80,\"protocol\":\"TCP\"}": {".": {}, "f:port": {}, "f:targetPort": {}}}}}}`))
	assert.Empty(t, found)

	owns := `{"manager": "kubectl-edit", "fieldsV1": {"f:spec": {"f:revisionHistoryLimit": {}, "f:template": {"f:spec": {
		"f:restartPolicy": {}, "f:terminationGracePeriodSeconds": {}, "f:securityContext": {},
		"f:containers": {"k:{\"name\":\"api\"}": {".": {}, "f:name": {}, "f:image": {}, "f:imagePullPolicy": {},
			"f:resources": {}, "f:terminationMessagePath": {}, "f:terminationMessagePolicy": {},
			"f:readinessProbe": {"f:failureThreshold": {}, "f:periodSeconds": {}},
			"f:env": {"k:{\"name\":\"HOST\"}": {".": {}, "f:name": {}, "f:value": {}}}}}}}}}}`
	deployment := func(policy string, grace, history int) []guard.Live {
		return live(t, `"apiVersion": "apps/v1", "kind": "Deployment"`, fmt.Sprintf(`, "spec": {
			"revisionHistoryLimit": %d, "template": {"spec": {"restartPolicy": "Always", "securityContext": {},
				"terminationGracePeriodSeconds": %d, "containers": [{"name": "api", "image": "api:1",
					"imagePullPolicy": %q, "resources": {}, "terminationMessagePath": "/dev/termination-log",
					"terminationMessagePolicy": "File", "readinessProbe": {"failureThreshold": 3, "periodSeconds": 10},
					"env": [{"name": "HOST", "value": "x"}]}]}}}`, history, grace, policy), owns)
	}
	assert.Empty(t, guard.Additions(watched(t), deployment("IfNotPresent", 30, 10)))
	var paths []string
	for _, a := range guard.Additions(watched(t), deployment("Always", 5, 3)) {
		paths = append(paths, a.Path)
	}
	assert.Equal(t, []string{
		"spec.revisionHistoryLimit", "spec.template.spec.containers[api].imagePullPolicy",
		"spec.template.spec.terminationGracePeriodSeconds",
	}, paths, "other values are additions")
}

func TestAnElementOfAListIsTakenOutByAPatchThatChecksIt(t *testing.T) {
	t.Parallel()
	both := `, "spec": {"ports": [{"name": "admin", "port": 81, "protocol": "TCP", "targetPort": 81},
		{"name": "http", "port": 80, "protocol": "TCP", "targetPort": 8080}]}`
	found := guard.Additions(service(t, onePort), live(t, serviceKind, both, edited))
	require.Len(t, found, 1)
	assert.Equal(t, "spec.ports[81,TCP]", found[0].Path)
	assert.Equal(t, `kubectl patch service/api --namespace=shop --type=json --patch='[`+
		`{"op":"test","path":"/spec/ports/0/port","value":81},`+
		`{"op":"test","path":"/spec/ports/0/protocol","value":"TCP"},{"op":"remove","path":"/spec/ports/0"}]'`, found[0].Fix)

	// The number of the only port was changed. Without it the Service would not be valid, and an update would want the
	// name that it has.
	only := `, "spec": {"ports": [{"name": "http", "port": 81, "protocol": "TCP", "targetPort": 8080}]}`
	found = guard.Additions(service(t, onePort), live(t, serviceKind, only, edited))
	require.Len(t, found, 1)
	assert.Equal(t, `kubectl patch service/api --namespace=shop --type=json --patch='[{"op":"replace",`+
		`"path":"/spec/ports","value":[{"name":"http","port":80,"targetPort":8080}]}]'`, found[0].Fix)

	applied := `{"manager": "pulumi-kubernetes-0123", "operation": "Apply", "fieldsV1": {}}, ` + edited
	found = guard.Additions(service(t, onePort), live(t, serviceKind, only, applied))
	require.Len(t, found, 1)
	assert.Contains(t, found[0].Fix, " --field-manager=pulumi-kubernetes-0123 --type=json --patch=",
		"a later update can take out the port that was put back")
	found = guard.Additions(service(t, onePort), live(t, serviceKind, both, applied))
	require.Len(t, found, 1)
	assert.NotContains(t, found[0].Fix, "--field-manager", "nothing is put back")

	hidden := `[{"name": "[secret]", "port": 80}]`
	found = guard.Additions(service(t, hidden), live(t, serviceKind, only, edited))
	require.Len(t, found, 1)
	assert.Equal(t, "kubectl edit service/api --namespace=shop", found[0].Fix, "a command shows no secret")
}

// What an update cannot put beside what others have written: a variable with a value and a source.
func TestWhatIsInTheWayOfAnUpdateIsExchangedForWhatTheProgramWrites(t *testing.T) {
	t.Parallel()
	steps := []progress.Step{{
		URN: deploymentURN, Op: apitype.OpUpdate,
		Last: progress.State{Outputs: map[string]any{
			"apiVersion": "apps/v1", "kind": "Deployment", "metadata": map[string]any{"name": "api", "namespace": "shop"},
		}},
		Inputs: map[string]any{"spec": map[string]any{
			"replicas": 2.0, "strategy": map[string]any{"type": "Recreate"},
			"template": map[string]any{"spec": map[string]any{"containers": []any{map[string]any{
				"name": "api", "env": []any{map[string]any{"name": "HOST", "value": "x"}},
			}}}},
		}},
	}, {URN: "urn:other", Op: apitype.OpUpdate}}
	const env = "/spec/template/spec/containers/0/env/0"
	source := `kubectl patch deployment/api --namespace=shop --type=json --patch='[` +
		`{"op":"test","path":"/spec/template/spec/containers/0/name","value":"api"},` +
		`{"op":"test","path":"` + env + `/name","value":"HOST"},{"op":"add","path":"` + env + `/value","value":"x"},` +
		`{"op":"remove","path":"` + env + `/valueFrom"}]'`
	strategy := `kubectl patch deployment/api --namespace=shop --type=json --patch='[` +
		`{"op":"add","path":"/spec/strategy/type","value":"Recreate"},{"op":"remove","path":"/spec/strategy/rollingUpdate"}]'`
	const (
		ofStrategy = `"f:strategy": {"f:type": {}, "f:rollingUpdate": {".": {}, "f:maxSurge": {}, "f:maxUnavailable": {}}}`
		ofEnv      = `"f:template": {"f:spec": {"f:containers": {"k:{\"name\":\"api\"}": {"f:env": {
			"k:{\"name\":\"HOST\"}": {"f:valueFrom": {".": {}, "f:fieldRef": {}}}}}}}}`
		paused = `"f:paused": {}`
	)
	for name, c := range map[string]struct {
		fields, message string
		fixes           []string
	}{
		"a value and a source": {
			ofEnv + "," + paused + "," + ofStrategy, "spec.template.spec.containers[0].env[0].valueFrom: Invalid value",
			[]string{source},
		},
		"a default that contradicts": {ofStrategy, "spec.strategy.rollingUpdate: Forbidden: may not be", []string{strategy}},
		"a message without a path": {
			paused + "," + ofEnv, "something else",
			[]string{
				`kubectl patch deployment/api --namespace=shop --type=json --patch='[` +
					`{"op":"remove","path":"/spec/paused"}]'`, source,
			},
		},
		"nothing": {`"f:replicas": {}`, "spec.replicas: Invalid value", nil},
	} {
		found := guard.InTheWay(guard.WatchedIn(steps, []string{deploymentURN}), live(t,
			`"apiVersion": "apps/v1", "kind": "Deployment"`, `, "spec": {"replicas": 5, "paused": true,
			"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}},
			"template": {"spec": {"containers": [{"name": "api", "env": [{"name": "HOST", "valueFrom":
				{"fieldRef": {"fieldPath": "status.hostIP"}}}]}]}}}`,
			`{"manager": "kubectl-edit", "fieldsV1": {"f:metadata": {"f:labels": {"f:mine": {}}}, "f:spec": {`+c.fields+`}}}`,
		), map[string]string{deploymentURN: `Deployment "api" is invalid: ` + c.message})
		var fixes []string
		for _, a := range found {
			fixes = append(fixes, a.Fix)
		}
		assert.Equal(t, c.fixes, fixes, name)
	}
}

// A provider compares lists by the places of their elements and reports what others have added, which its update leaves.
func TestWhatNoUpdateRemovesIsAnAdditionAndNoDrift(t *testing.T) {
	t.Parallel()
	both := live(t, serviceKind, `, "spec": {"ports": [{"name": "admin", "port": 81, "protocol": "TCP", "targetPort": 81},
		{"name": "http", "port": 80, "protocol": "TCP", "targetPort": 8080}]}`, edited)
	drift := func(changed ...string) *progress.Result {
		return &progress.Result{
			Changes: map[apitype.OpType]int{apitype.OpUpdate: 1},
			Steps:   []progress.Step{{URN: serviceURN, Op: apitype.OpUpdate, Changed: changed}},
		}
	}
	result := drift("spec.ports[0].name", "spec.ports[0].port", "spec.ports[1]")
	left := guard.Beside(guard.Additions(service(t, onePort), both), result)
	assert.Len(t, left, 1)
	assert.False(t, result.Changed(), "every port of the program is there")
	assert.Equal(t, apitype.OpSame, result.Steps[0].Op)

	result = drift("spec.ports[1]", "spec.selector.app")
	assert.Len(t, guard.Beside(guard.Additions(service(t, onePort), both), result), 1)
	assert.Equal(t, []string{"spec.selector.app"}, result.Steps[0].Changed)

	only := live(t, serviceKind, `, "spec": {"ports": [{"name": "http", "port": 81, "protocol": "TCP"}]}`, edited)
	result = drift("spec.ports[0].port")
	left = guard.Beside(guard.Additions(service(t, onePort), only), result)
	require.Len(t, left, 1)
	assert.Equal(t, []string{"spec.ports[0].port"}, result.Steps[0].Changed, "the port of the program is missing")
	assert.True(t, left[0].Disturbs(result.Steps[0]))
	for changed, disturbs := range map[string]bool{
		"spec.ports[1].name": true, "spec.selector.app": false, "metadata.labels.app": false,
	} {
		assert.Equal(t, disturbs, left[0].Disturbs(drift(changed).Steps[0]), changed)
	}

	// The provider makes itself the owner of what kubectl apply has written, and then takes it out.
	applied := live(t, serviceKind, `, "spec": {"ports": [{"name": "http", "port": 80, "protocol": "TCP",
		"targetPort": 8080}, {"name": "admin", "port": 81, "protocol": "TCP", "targetPort": 81}]}`,
		strings.Replace(edited, "kubectl-edit", "kubectl-client-side-apply", 1))
	result = drift("spec.ports[1]")
	assert.Empty(t, guard.Beside(guard.Additions(service(t, onePort), applied), result))
	assert.Equal(t, []string{"spec.ports[1]"}, result.Steps[0].Changed)
	assert.Len(t, guard.Beside(guard.Additions(service(t, onePort), applied), drift()), 1, "no update comes")
}
