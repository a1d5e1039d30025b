package workload_test

import (
	"fmt"
	"testing"

	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"dbtier/components/component"
	"dbtier/components/componenttest"
	"dbtier/components/contract"
	"dbtier/components/workload"
)

var modest = workload.Resources{CPURequest: "50m", MemoryRequest: "64Mi", MemoryLimit: "128Mi"}

// pod returns a pod with everything that every pod has.
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
		"the folder is on the node's disk")
}

func TestTheCPUHasALimitOnlyOnRequest(t *testing.T) {
	t.Parallel()
	assert.Equal(t, map[string]any{
		"requests": map[string]any{"cpu": "50m", "memory": "64Mi"}, "limits": map[string]any{"memory": "128Mi"},
	}, pod(t, modest).At("spec", "containers", 0, "resources"))
	limited := modest
	limited.CPULimit = "200m"
	assert.Equal(t, "200m", pod(t, limited).At("spec", "containers", 0, "resources", "limits", "cpu"))
}

func TestEveryInvalidQuantityIsReported(t *testing.T) {
	t.Parallel()
	require.NoError(t, modest.Validate())
	for cpu, memory := range map[string]string{"1": "1Gi", "0.5": "1Ti", "250m": "2G", "1e-1": "8192Ki", "2k": "1e9"} {
		require.NoError(t, workload.Resources{
			CPURequest: cpu, MemoryRequest: memory, CPULimit: cpu, MemoryLimit: memory,
		}.Validate(), cpu, memory)
	}
	err := workload.Resources{CPURequest: "2", MemoryRequest: "1Gi", CPULimit: "1500m", MemoryLimit: "1000Mi"}.Validate()
	require.ErrorContains(t, err, `cpuLimit: "1500m": is less than cpuRequest (2)`)
	require.ErrorContains(t, err, `memoryLimit: "1000Mi": is less than memoryRequest (1Gi)`)
	require.ErrorContains(t, workload.Resources{CPURequest: "0", MemoryRequest: "0", MemoryLimit: "0"}.Validate(),
		`memoryLimit: "0": leaves the container nothing`)
	err = workload.Resources{CPURequest: "-1", MemoryRequest: "64MB", CPULimit: "a"}.Validate()
	require.ErrorContains(t, err, `cpuRequest: "-1": want a number of processors`)
	require.ErrorContains(t, err, `memoryRequest: "64MB": want an amount of memory`)
	require.ErrorContains(t, err, `memoryLimit: "": want an amount of memory`)
	require.ErrorContains(t, err, `cpuLimit: "a": want a number of processors such as 250m or 2`)
}

func TestLabelsNameTheObjectAndItsService(t *testing.T) {
	t.Parallel()
	assert.Equal(t, pulumi.StringMap{
		"app.kubernetes.io/name": pulumi.String("pool"), "app.kubernetes.io/part-of": pulumi.String("shop"),
		"app.kubernetes.io/managed-by": pulumi.String("dbtier"),
	}, workload.Labels("pool", "shop"))
	assert.Equal(t, pulumi.StringMap{contract.NameLabel: pulumi.String("pool")}, workload.Selector("pool"))
}

func ExampleResources_Validate() {
	fmt.Println(workload.Resources{CPURequest: "50m", MemoryRequest: "64Mi", MemoryLimit: "128 MiB"}.Validate())
	// Output: memoryLimit: "128 MiB": want an amount of memory such as 64Mi or 1Gi
}

func cleanup() *workload.Job {
	return &workload.Job{
		Owner: "shop", Task: "cleanup", Service: "shop", Namespace: "shop", Content: "v1",
		Image: "registry.example/shop:1", Command: []string{"cleanup"},
		Env:       workload.Variables([2]string{"DAYS", "30"}),
		Resources: modest, UID: workload.DefaultUID, Port: 5432, DeadlineSeconds: 60,
	}
}

func run(t *testing.T, job *workload.Job) *componenttest.Recording {
	t.Helper()
	return componenttest.Run(t, func(ctx *pulumi.Context) error {
		scope := component.Scope{Ctx: ctx, Name: "tasks", Parent: pulumi.Composite()}
		done, err := workload.NewJob(scope, scope.Child("cleanup"), job)
		if err != nil {
			return err
		}
		ctx.Export("job", done.Name)
		return nil
	})
}

func TestAJobIsNamedByItsContent(t *testing.T) {
	t.Parallel()
	name := run(t, cleanup()).Outputs["job"]
	assert.Regexp(t, `^shop-cleanup-[0-9a-f]{8}$`, name)
	job := cleanup()
	job.Image = "registry.example/shop:2"
	assert.Equal(t, name, run(t, job).Outputs["job"], "only the caller's content changes the Job's name")
	job.Content = "v2"
	assert.NotEqual(t, name, run(t, job).Outputs["job"])
	job.Content = func() {}
	_, err := job.Name()
	require.ErrorContains(t, err, "hashing content for a name")
}

func TestAJobWithoutAServiceAccountGetsOneWithoutRights(t *testing.T) {
	t.Parallel()
	recorded := run(t, cleanup())
	account := recorded.One(t, "kubernetes:core/v1:ServiceAccount")
	assert.Equal(t, "tasks-account", account.Name)
	assert.Equal(t, false, account.At("automountServiceAccountToken"))
	spec := []any{"spec", "template", "spec"}
	job := recorded.One(t, "kubernetes:batch/v1:Job")
	assert.Equal(t, "shop-cleanup", job.At(append(spec, "serviceAccountName")...))
	assert.Nil(t, job.At(append(spec, "volumes")...), "without mounts, the pod has no volumes")

	given := cleanup()
	given.ServiceAccount = pulumi.String("shop")
	recorded = run(t, given)
	assert.Empty(t, recorded.All("kubernetes:core/v1:ServiceAccount"))
	assert.Equal(t, "shop", recorded.One(t, "kubernetes:batch/v1:Job").At(append(spec, "serviceAccountName")...))
}

func TestAJobReachesOnlyTheResolverAndItsPort(t *testing.T) {
	t.Parallel()
	job := cleanup()
	job.Pods = "pool"
	recorded := run(t, job)
	policy := recorded.One(t, "kubernetes:networking.k8s.io/v1:NetworkPolicy")
	assert.Nil(t, policy.At("spec", "ingress"))
	assert.Len(t, policy.At("spec", "egress"), 2)
	assert.Equal(t, "pool",
		policy.At("spec", "egress", 1, "to", 0, "podSelector", "matchLabels", contract.NameLabel))
	assert.Equal(t, workload.JobPodName("shop", "cleanup"),
		policy.At("spec", "podSelector", "matchLabels", contract.NameLabel))
	assert.True(t, recorded.Follows(recorded.One(t, "kubernetes:batch/v1:Job"), policy),
		"the policy applies from the pod's first packet")
}
