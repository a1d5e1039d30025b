package workload

import (
	"maps"
	"slices"
	"strings"

	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"dbtier/components/contract"
	"dbtier/components/fault"
	"dbtier/validation"
)

// Resources are a container's requests and limits, as Kubernetes quantities ("50m", "64Mi").
type Resources struct {
	// CPURequest is reserved for the container, for example 100m: a tenth of a processor.
	CPURequest string `json:"cpuRequest"`
	// MemoryRequest is reserved for the container, for example 128Mi.
	MemoryRequest string `json:"memoryRequest"`
	// CPULimit may be empty: a CPU limit slows a container down even when its node has idle processors.
	CPULimit string `json:"cpuLimit"`
	// MemoryLimit is the amount of memory above which the container is killed.
	MemoryLimit string `json:"memoryLimit"`
}

// DefaultResources returns the resources of a container that runs a service's own image.
func DefaultResources() Resources {
	return Resources{CPURequest: "100m", MemoryRequest: "128Mi", MemoryLimit: "512Mi"}
}

// Validate returns a fault for each invalid quantity.
func (r Resources) Validate() error {
	var faults fault.List
	faults.Form("cpuRequest", r.CPURequest, validation.Quantity)
	faults.Form("memoryRequest", r.MemoryRequest, validation.Quantity)
	faults.Form("memoryLimit", r.MemoryLimit, validation.Quantity)
	faults.OptionalForm("cpuLimit", r.CPULimit, validation.Quantity)
	return faults.Err()
}

// Requirements returns the resources in the form that a container takes.
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

// CheckEnv adds a fault for each name that is not the name of an environment variable, or that is set from a Secret.
func CheckEnv(faults *fault.List, env map[string]string) {
	for _, name := range slices.Sorted(maps.Keys(env)) {
		faults.Check(name != "" && !strings.ContainsAny(name, "= \x00"), "env", name,
			"want the name of an environment variable")
		faults.Check(name != contract.DatabaseURL, "env", name, "is set from the database's Secret; remove it here")
	}
}

// CheckUID adds a fault if uid is root.
func CheckUID(faults *fault.List, uid int) {
	faults.Check(uid > 0, "uid", uid, "want a user other than root")
}
