package workload

import (
	"maps"
	"slices"
	"strings"

	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"dbtier/components/fault"
	"dbtier/validation"
)

// DefaultUID is the user and group of pods that name none: above 10000, so that it is nobody's on the node.
const DefaultUID = 10001

// NameLabel is the label by which Services, NetworkPolicies and people select pods.
const NameLabel = "app.kubernetes.io/name"

// Labels are the labels of an object that belongs to name, which is part of the tier of a service.
func Labels(name, service string) pulumi.StringMap {
	return pulumi.ToStringMap(map[string]string{
		NameLabel:                      name,
		"app.kubernetes.io/part-of":    service,
		"app.kubernetes.io/managed-by": "dbtier",
	})
}

// Selector selects the pods of a name.
func Selector(name string) pulumi.StringMap {
	return pulumi.ToStringMap(map[string]string{NameLabel: name})
}

// PodSecurity is a pod's half of the restricted Pod Security standard.
func PodSecurity(uid int) *corev1.PodSecurityContextArgs {
	return &corev1.PodSecurityContextArgs{
		RunAsNonRoot:   pulumi.Bool(true),
		RunAsUser:      pulumi.Int(uid),
		RunAsGroup:     pulumi.Int(uid),
		FsGroup:        pulumi.Int(uid),
		SeccompProfile: &corev1.SeccompProfileArgs{Type: pulumi.String("RuntimeDefault")},
	}
}

// ContainerSecurity is a container's half of the restricted Pod Security standard, with a root file system that nobody
// writes.
func ContainerSecurity() *corev1.SecurityContextArgs {
	return &corev1.SecurityContextArgs{
		AllowPrivilegeEscalation: pulumi.Bool(false),
		ReadOnlyRootFilesystem:   pulumi.Bool(true),
		Capabilities:             &corev1.CapabilitiesArgs{Drop: pulumi.ToStringArray([]string{"ALL"})},
	}
}

// Resources are a container's requests and limits, as Kubernetes quantities ("50m", "64Mi").
type Resources struct {
	// CPURequest is what the container is sure of, for example 100m: a tenth of a processor.
	CPURequest string `json:"cpuRequest"`
	// MemoryRequest is what the container is sure of, for example 128Mi.
	MemoryRequest string `json:"memoryRequest"`
	// CPULimit may be empty: a limit on CPU slows a service down long before the node is full.
	CPULimit string `json:"cpuLimit"`
	// MemoryLimit is what the container is killed above.
	MemoryLimit string `json:"memoryLimit"`
}

// DefaultResources are the resources of containers that run a service's own image.
func DefaultResources() Resources {
	return Resources{CPURequest: "100m", MemoryRequest: "128Mi", MemoryLimit: "512Mi"}
}

// Validate reports every quantity that is none.
func (r Resources) Validate() error {
	var faults fault.List
	for _, q := range []struct{ path, value string }{
		{"cpuRequest", r.CPURequest},
		{"memoryRequest", r.MemoryRequest},
		{"memoryLimit", r.MemoryLimit},
	} {
		faults.Form(q.path, q.value, validation.Quantity)
	}
	faults.OptionalForm("cpuLimit", r.CPULimit, validation.Quantity)
	return faults.Err()
}

// CheckEnv adds a fault for each name in env that is not the name of an environment variable or that comes from a
// Secret.
func CheckEnv(faults *fault.List, env map[string]string) {
	for _, name := range slices.Sorted(maps.Keys(env)) {
		faults.Check(name != "" && !strings.ContainsAny(name, "= \x00"), "env", name,
			"want the name of an environment variable")
		faults.Check(name != "DATABASE_URL", "env", name, "is set from the database's Secret; remove it here")
	}
}

// CheckUID adds a fault if uid is root.
func CheckUID(faults *fault.List, uid int) {
	faults.Check(uid > 0, "uid", uid, "want a user other than root")
}

// Requirements is the Kubernetes form.
func (r Resources) Requirements() *corev1.ResourceRequirementsArgs {
	limits := map[string]string{"memory": r.MemoryLimit}
	if r.CPULimit != "" {
		limits["cpu"] = r.CPULimit
	}
	return &corev1.ResourceRequirementsArgs{
		Requests: pulumi.ToStringMap(map[string]string{"cpu": r.CPURequest, "memory": r.MemoryRequest}),
		Limits:   pulumi.ToStringMap(limits),
	}
}

// ScratchVolume is the name of the volume of [Scratch].
const ScratchVolume = pulumi.String("tmp")

// Scratch is what a container whose root file system is read-only may write. Not the whole volume, which reaches
// through its claim to the metadata of objects: the compiler would spend seconds on those here as well
// (docs/benchmarks.md).
func Scratch() *corev1.EmptyDirVolumeSourceArgs {
	return &corev1.EmptyDirVolumeSourceArgs{SizeLimit: pulumi.String("64Mi")}
}

// ScratchMount puts it at /tmp.
func ScratchMount() *corev1.VolumeMountArgs {
	return &corev1.VolumeMountArgs{Name: ScratchVolume, MountPath: pulumi.String("/tmp")}
}
