package workload_test

import (
	"fmt"
	"testing"

	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"dbtier/components/componenttest"
	"dbtier/components/contract"
	"dbtier/components/workload"
)

var modest = workload.Resources{CPURequest: "50m", MemoryRequest: "64Mi", MemoryLimit: "128Mi"}

// pod is a pod on which nothing is left out.
func pod(t *testing.T, resources workload.Resources) *componenttest.Resource {
	t.Helper()
	recorded := componenttest.Run(t, func(ctx *pulumi.Context) error {
		spec := workload.PodSpec(pulumi.String("account"), workload.DefaultUID)
		volumes, mounts := workload.Volumes(workload.Scratch())
		spec.Volumes = volumes
		spec.Containers = corev1.ContainerArray{&corev1.ContainerArgs{
			Name: pulumi.String("c"), SecurityContext: workload.ContainerSecurity(),
			Resources: resources.Requirements(), VolumeMounts: mounts,
		}}
		_, err := corev1.NewPod(ctx, "pod", &corev1.PodArgs{Spec: spec})
		return err
	})
	return recorded.One(t, "kubernetes:core/v1:Pod")
}

// https://kubernetes.io/docs/concepts/security/pod-security-standards/, restricted.
func TestAPodMeetsTheRestrictedStandard(t *testing.T) {
	t.Parallel()
	p := pod(t, modest)
	assert.Equal(t, map[string]any{
		"runAsNonRoot": true, "runAsUser": 10001.0, "runAsGroup": 10001.0, "fsGroup": 10001.0,
		"seccompProfile": map[string]any{"type": "RuntimeDefault"},
	}, p.At("spec", "securityContext"))
	assert.Equal(t, map[string]any{
		"allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true,
		"capabilities": map[string]any{"drop": []any{"ALL"}},
	}, p.At("spec", "containers", 0, "securityContext"))
	assert.Equal(t, p.At("spec", "volumes", 0, "name"), p.At("spec", "containers", 0, "volumeMounts", 0, "name"))
	assert.Equal(t, "64Mi", p.At("spec", "volumes", 0, "emptyDir", "sizeLimit"),
		"what is written there is on the node's disk")
}

func TestALimitOnCPUIsThereOnlyWhenItIsAskedFor(t *testing.T) {
	t.Parallel()
	assert.Equal(t, map[string]any{
		"requests": map[string]any{"cpu": "50m", "memory": "64Mi"}, "limits": map[string]any{"memory": "128Mi"},
	}, pod(t, modest).At("spec", "containers", 0, "resources"))
	limited := modest
	limited.CPULimit = "200m"
	assert.Equal(t, "200m", pod(t, limited).At("spec", "containers", 0, "resources", "limits", "cpu"))
}

func TestEveryQuantityThatIsNoneIsReported(t *testing.T) {
	t.Parallel()
	require.NoError(t, modest.Validate())
	for _, good := range []string{"1", "0.5", "250m", "1Gi", "2G", "512Ki"} {
		require.NoError(t, workload.Resources{
			CPURequest: good, MemoryRequest: good, CPULimit: good,
			MemoryLimit: good,
		}.Validate(), good)
	}
	err := workload.Resources{CPURequest: "-1", MemoryRequest: "64MB", CPULimit: "a"}.Validate()
	require.ErrorContains(t, err, `cpuRequest: "-1": want a quantity`)
	require.ErrorContains(t, err, `memoryRequest: "64MB": want a quantity`)
	require.ErrorContains(t, err, `memoryLimit: "": want a quantity`)
	require.ErrorContains(t, err, `cpuLimit: "a": want a quantity such as 250m or 64Mi`)
}

func TestObjectsAreFoundByTheirNameAndTheirService(t *testing.T) {
	t.Parallel()
	assert.Equal(t, pulumi.StringMap{
		"app.kubernetes.io/name": pulumi.String("pool"), "app.kubernetes.io/part-of": pulumi.String("shop"),
		"app.kubernetes.io/managed-by": pulumi.String("dbtier"),
	}, workload.Labels("pool", "shop"))
	assert.Equal(t, pulumi.StringMap{contract.NameLabel: pulumi.String("pool")}, workload.Selector("pool"))
}

func ExampleResources_Validate() {
	fmt.Println(workload.Resources{CPURequest: "50m", MemoryRequest: "64Mi", MemoryLimit: "128 MiB"}.Validate())
	// Output: memoryLimit: "128 MiB": want a quantity such as 250m or 64Mi
}
