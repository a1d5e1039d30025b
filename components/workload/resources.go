package workload

import (
	"maps"
	"math/big"
	"slices"
	"unicode/utf8"

	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"dbtier/components/contract"
	"dbtier/components/fault"
	"dbtier/validation/kuberules"
)

// Resources are a container's requests and limits, as Kubernetes quantities ("50m", "64Mi").
type Resources struct {
	// CPURequest is reserved for the container, for example 100m: a tenth of a processor.
	CPURequest string `json:"cpuRequest" example:"250m"`
	// MemoryRequest is reserved for the container, for example 128Mi.
	MemoryRequest string `json:"memoryRequest" example:"256Mi"`
	// CPULimit may be empty: a CPU limit slows a container down even when its node has idle processors.
	CPULimit string `json:"cpuLimit" example:"2"`
	// MemoryLimit is the amount of memory above which the container is killed.
	MemoryLimit string `json:"memoryLimit" example:"1Gi"`
}

// DefaultResources returns the resources of a container that runs a service's own image.
func DefaultResources() Resources {
	return Resources{CPURequest: "100m", MemoryRequest: "128Mi", MemoryLimit: "512Mi"}
}

// Validate returns a fault for each invalid quantity, and for each limit below its request.
func (r Resources) Validate() error {
	var faults fault.List
	pair := func(kind, request, limit string, check func(string) (*big.Rat, error)) {
		low, errLow := check(request)
		if errLow != nil {
			faults.Add(kind+"Request", request, "%s", errLow)
		}
		if limit == "" && kind == "cpu" {
			return
		}
		high, errHigh := check(limit)
		switch {
		case errHigh != nil:
			faults.Add(kind+"Limit", limit, "%s", errHigh)
		case high.Sign() == 0:
			faults.Add(kind+"Limit", limit, "leaves the container nothing; want more than 0")
		case errLow == nil && high.Cmp(low) < 0:
			faults.Add(kind+"Limit", limit, "is less than %sRequest (%s), which Kubernetes refuses; want at least "+
				"that", kind,
				request)
		}
	}
	pair("cpu", r.CPURequest, r.CPULimit, kuberules.CheckCPU)
	pair("memory", r.MemoryRequest, r.MemoryLimit, kuberules.CheckMemory)
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

// CheckEnv adds a fault for each name that cannot be a variable from a ConfigMap, or that is set from a Secret.
func CheckEnv(faults *fault.List, env map[string]string) {
	for _, name := range slices.Sorted(maps.Keys(env)) {
		faults.Check(kuberules.IsEnvName(name), "env", name, kuberules.EnvNameRule)
		faults.Check(name != contract.DatabaseURL, "env", name, "is set from the database's Secret; remove it here")
		faults.Check(name != contract.ConnectionMaxLifetime, "env", name,
			"is set by consumer.connectionMaxLifetimeSeconds; remove it here")
		faults.Check(utf8.ValidString(env[name]), "env."+name, nil, "is no text, which a ConfigMap cannot hold")
	}
}

// CheckImage adds a fault if image is not the name of an image.
func CheckImage(faults *fault.List, path, image string) {
	err := kuberules.CheckImage(image)
	switch {
	case err == nil:
	case image == "":
		faults.Add(path, nil, "%s", err)
	default:
		faults.Add(path, image, "%s", err)
	}
}

// CheckUID adds a fault if uid is root.
func CheckUID(faults *fault.List, uid int) {
	faults.Check(uid > 0, "uid", uid, "want a user other than root")
}
