package workload_test

import (
	"encoding/json"
	"testing"

	appsv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/apps/v1"
	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"dbtier/components/componenttest"
	"dbtier/components/workload"
)

func affinity(t *testing.T, text string) map[string]any {
	t.Helper()
	var out map[string]any
	require.NoError(t, json.Unmarshal([]byte(text), &out))
	return out
}

func everywhere(t *testing.T) workload.Scheduling {
	t.Helper()
	return workload.Scheduling{
		NodeSelector: map[string]string{"kubernetes.io/arch": "arm64"},
		Tolerations: []workload.Toleration{
			{Key: "dedicated", Value: "database", Effect: "NoExecute", TolerationSeconds: 60}, {Operator: "Exists"},
		},
		Affinity: affinity(t, `{
			"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [
				{"matchExpressions": [{"key": "pool", "operator": "In", "values": ["database"]}]}]}},
			"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 5, "podAffinityTerm": {
				"labelSelector": {"matchLabels": {"app": "loud"}}, "topologyKey": "kubernetes.io/hostname"}}]}}`),
		TopologySpread: []workload.TopologySpread{
			{TopologyKey: "topology.kubernetes.io/zone", MaxSkew: 2, WhenUnsatisfiable: "DoNotSchedule"},
		},
		PriorityClassName: "system-cluster-critical",
		ImagePullSecrets:  []string{"registry.example"},
	}
}

func scheduled(t *testing.T, on workload.Scheduling) map[string]any {
	t.Helper()
	require.NoError(t, on.Validate())
	recorded := componenttest.Run(t, func(ctx *pulumi.Context) error {
		spec := &corev1.PodSpecArgs{}
		workload.Schedule(spec, on, "pool", workload.Spread("pool", "topology.kubernetes.io/zone"))
		_, err := appsv1.NewDeployment(ctx, "d", &appsv1.DeploymentArgs{Spec: &appsv1.DeploymentSpecArgs{
			Selector: nil, Template: &corev1.PodTemplateSpecArgs{Spec: spec},
		}})
		return err
	})
	spec, _ := recorded.One(t, "kubernetes:apps/v1:Deployment").At("spec", "template", "spec").(map[string]any)
	return spec
}

func TestPodsAreScheduledInKubernetesForm(t *testing.T) {
	t.Parallel()
	text, err := json.Marshal(scheduled(t, everywhere(t)))
	require.NoError(t, err)
	assert.JSONEq(t, `{
		"nodeSelector": {"kubernetes.io/arch": "arm64"},
		"tolerations": [{"key": "dedicated", "value": "database", "effect": "NoExecute", "tolerationSeconds": 60},
			{"operator": "Exists"}],
		"affinity": {
			"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [
				{"matchExpressions": [{"key": "pool", "operator": "In", "values": ["database"]}]}]}},
			"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 5, "podAffinityTerm": {
				"labelSelector": {"matchLabels": {"app": "loud"}}, "topologyKey": "kubernetes.io/hostname"}}]}},
		"topologySpreadConstraints": [{"maxSkew": 2, "topologyKey": "topology.kubernetes.io/zone",
			"whenUnsatisfiable": "DoNotSchedule", "matchLabelKeys": ["pod-template-hash"],
			"labelSelector": {"matchLabels": {"app.kubernetes.io/name": "pool"}}}],
		"priorityClassName": "system-cluster-critical",
		"imagePullSecrets": [{"name": "registry.example"}]
	}`, string(text))
	assert.Len(t, scheduled(t, workload.Scheduling{}), 1, "only the spread that the caller wants")
}

func TestAFieldThatIsLeftOutComesFromTheBase(t *testing.T) {
	t.Parallel()
	base := everywhere(t)
	assert.Equal(t, base, workload.Scheduling{}.Over(base))
	assert.Equal(t, base, base.Over(workload.Scheduling{PriorityClassName: "low", ImagePullSecrets: []string{"x"}}))
	other := workload.Scheduling{NodeSelector: map[string]string{"a": "b"}}.Over(base)
	assert.Equal(t, map[string]string{"a": "b"}, other.NodeSelector, "as a whole: a selector cannot be removed by key")
	assert.Equal(t, base.Tolerations, other.Tolerations)
}

func TestFaultsOfSchedulingNameTheirPath(t *testing.T) {
	t.Parallel()
	s := workload.Scheduling{
		NodeSelector: map[string]string{"a b": "c"},
		Tolerations: []workload.Toleration{
			{Value: "x"},
			{Key: "k", Operator: "Exists", Value: "v"},
			{Key: "k", Operator: "In", Effect: "Never"},
			{Key: "k", TolerationSeconds: 5},
		},
		Affinity: affinity(t, `{
			"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {},
				"preferredDuringSchedulingIgnoredDuringExecution": [{"preference": {"matchFields": [{"operator": "Is"}]}}]},
			"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [{}]},
			"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 101}]}}`),
		TopologySpread:    []workload.TopologySpread{{TopologyKey: "", WhenUnsatisfiable: "Never"}},
		PriorityClassName: "Big", ImagePullSecrets: []string{"a", "a", "b c"},
	}
	err := s.Validate()
	require.Error(t, err)
	for _, fault := range []string{
		`nodeSelector: "a b=c": want a label of nodes`,
		`tolerations[0].key: "": is missing`,
		`tolerations[1].value: "v": has no effect with operator Exists`,
		`tolerations[2].operator: "In": want one of`,
		`tolerations[2].effect: "Never": want one of`,
		`tolerations[3].tolerationSeconds: 5: is possible with effect NoExecute only`,
		`affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms: is missing`,
		`affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].weight: 0: want 1 to 100`,
		`affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].preference.matchFields[0].key: "": is missing`,
		`affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].preference.matchFields[0].operator: "Is": want`,
		`affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].topologyKey: "": want`,
		`affinity.podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].weight: 101: want 1 to 100`,
		`topologySpread[0].topologyKey: "": want`,
		`topologySpread[0].maxSkew: 0: want 1 to 1000`,
		`topologySpread[0].whenUnsatisfiable: "Never": want one of`,
		`priorityClassName: "Big": want`,
		`imagePullSecrets[1]: "a": is named twice`,
		`imagePullSecrets[2]: "b c": want`,
	} {
		require.ErrorContains(t, err, fault)
	}
	s = workload.Scheduling{Affinity: map[string]any{"nodeAfinity": map[string]any{}}}
	require.ErrorContains(t, s.Validate(), `affinity: json: unknown field "nodeAfinity"; want nodeAffinity`)
	s = workload.Scheduling{Affinity: map[string]any{"podAffinity": "x"}}
	require.ErrorContains(t, s.Validate(), "affinity: json: cannot unmarshal string")
}
