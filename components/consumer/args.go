package consumer

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"dbtier/components/fault"
	"dbtier/components/workload"
	"dbtier/validation"
)

// ConsumerArgs is what [NewConsumer] needs.
type ConsumerArgs struct {
	// Service is the name of the Deployment, its pods and its Service.
	Service string
	// Namespace of the service.
	Namespace string
	// Image of the service.
	Image string
	// Command and Arguments replace the image's own; empty keeps them.
	Command, Arguments []string
	// Replicas, 1 to 500; the first number of them where Autoscaling changes it. Default 2.
	Replicas int
	// Autoscaling lets a HorizontalPodAutoscaler choose the replicas.
	Autoscaling Autoscaling
	// Port on which the container serves HTTP. Default 8080.
	Port int
	// HealthPath answers 2xx when the service, database included, can serve. Default /healthz.
	HealthPath string
	// Env is the service's configuration, in a ConfigMap. No secrets.
	Env map[string]string
	// ServiceAccount of the pods.
	ServiceAccount pulumi.StringInput
	// DatabaseSecret names the Secret with DATABASE_URL.
	DatabaseSecret pulumi.StringInput
	// Database is what else the pods need for it.
	Database Database
	// EnvSecrets are further Secrets whose keys become environment variables, each of one key.
	EnvSecrets []pulumi.StringInput
	// SecretMounts are further Secrets whose keys become files. They follow their Secret while the pod runs.
	SecretMounts []SecretMount
	// Reloader asks stakater's Reloader for new pods when a Secret in the environment changes; what the pool's login is
	// does not. Run it with --reload-strategy=annotations: its default writes a variable into the pod template, and
	// each change of that template here then meets one of Reloader's. Default false.
	Reloader bool
	// Resources of the container. Default 100m and 128Mi, limited to 512Mi.
	Resources workload.Resources
	// UID is the user and group to run as, from 1. Default [workload.DefaultUID].
	UID int
	// TerminationGracePeriodSeconds is how long a stopping pod may finish its requests, 1 to 3600. Default 30.
	TerminationGracePeriodSeconds int
}

// SecretMount is a Secret as a folder.
type SecretMount struct {
	// Secret of the service's namespace.
	Secret pulumi.StringInput
	// Path of the folder, absolute.
	Path string
}

// Autoscaling are the bounds and goals of a HorizontalPodAutoscaler, which needs a metrics server in the cluster.
type Autoscaling struct {
	// Enabled lets it choose the number of replicas. Default false.
	Enabled bool `json:"enabled"`
	// MinReplicas, 1 to 500. Default: the consumer's replicas.
	MinReplicas int `json:"minReplicas"`
	// MaxReplicas, from MinReplicas to 500. What they can open together must fit into the connection budget.
	MaxReplicas int `json:"maxReplicas"`
	// CPUUtilization is the average use of the pods' request of CPU that it holds, 1 to 500 percent. Default 70.
	CPUUtilization int `json:"cpuUtilization"`
	// MemoryUtilization, 1 to 500 percent of the request; few services give memory back. Default 0: memory does not
	// count.
	MemoryUtilization int `json:"memoryUtilization"`
	// ScaleDownSeconds is how long it waits for the load to come back before it takes pods away, 0 to 3600. Default
	// 300.
	ScaleDownSeconds int `json:"scaleDownSeconds"`
}

// DefaultAutoscaling are the goals where nobody says otherwise.
func DefaultAutoscaling() Autoscaling {
	return Autoscaling{CPUUtilization: 70, ScaleDownSeconds: 300}
}

func (s *Autoscaling) validate() error {
	var faults fault.List
	faults.Between("minReplicas", s.MinReplicas, 1, maxReplicas, "")
	faults.Check(s.MaxReplicas >= s.MinReplicas && s.MaxReplicas <= maxReplicas, "maxReplicas", s.MaxReplicas,
		"want minReplicas (%d) to %d", s.MinReplicas, maxReplicas)
	faults.Between("cpuUtilization", s.CPUUtilization, 0, 500, "percent of the request, 0 for none")
	faults.Between("memoryUtilization", s.MemoryUtilization, 0, 500, "percent of the request, 0 for none")
	faults.Check(s.CPUUtilization > 0 || s.MemoryUtilization > 0, "cpuUtilization", s.CPUUtilization,
		"leaves nothing to scale by; give this or memoryUtilization")
	faults.Between("scaleDownSeconds", s.ScaleDownSeconds, 0, 3600, "seconds")
	return faults.Err()
}

// maxReplicas is far above what a database can serve.
const maxReplicas = 500

// MostReplicas is how many pods the service can have while nothing is updated.
func (a *ConsumerArgs) MostReplicas() int {
	if a.Autoscaling.Enabled {
		return a.Autoscaling.MaxReplicas
	}
	return a.Replicas
}

// leastReplicas is how many it has at least.
func (a *ConsumerArgs) leastReplicas() int {
	if a.Autoscaling.Enabled {
		return a.Autoscaling.MinReplicas
	}
	return a.Replicas
}

func (a *ConsumerArgs) setDefaults() {
	if a.Replicas == 0 {
		a.Replicas = 2
	}
	if a.Autoscaling.Enabled && a.Autoscaling.MinReplicas == 0 {
		a.Autoscaling.MinReplicas = a.Replicas
	}
	if a.Port == 0 {
		a.Port = 8080
	}
	if a.HealthPath == "" {
		a.HealthPath = "/healthz"
	}
	if a.UID == 0 {
		a.UID = workload.DefaultUID
	}
	if a.TerminationGracePeriodSeconds == 0 {
		a.TerminationGracePeriodSeconds = 30
	}
	if a.Resources == (workload.Resources{}) {
		a.Resources = workload.Resources{CPURequest: "100m", MemoryRequest: "128Mi", MemoryLimit: "512Mi"}
	}
}

// Validate reports every fault of the arguments.
func (a *ConsumerArgs) Validate() error {
	var faults fault.List
	faults.Form("service", a.Service, validation.Label)
	faults.Form("namespace", a.Namespace, validation.Label)
	faults.Check(a.Image != "", "image", nil, "is missing")
	faults.Between("replicas", a.Replicas, 1, maxReplicas, "")
	if a.Autoscaling.Enabled {
		faults.Within("autoscaling", a.Autoscaling.validate())
	}
	faults.Between("port", a.Port, 1, 65535, "")
	faults.Check(strings.HasPrefix(a.HealthPath, "/"), "healthPath", a.HealthPath, "want a path that begins with /")
	faults.Check(a.ServiceAccount != nil, "serviceAccount", nil, "is missing")
	faults.Check(a.DatabaseSecret != nil, "databaseSecret", nil, "is missing: the Secret with DATABASE_URL")
	faults.Check(a.UID > 0, "uid", a.UID, "want a user other than root")
	faults.Between("terminationGracePeriodSeconds", a.TerminationGracePeriodSeconds, 1, 3600, "seconds")
	for _, name := range slices.Sorted(maps.Keys(a.Env)) {
		faults.Check(name != "" && !strings.ContainsAny(name, "= \x00"), "env", name,
			"want the name of an environment variable")
		faults.Check(name != "DATABASE_URL", "env", name, "comes from the Secret; a ConfigMap is readable by too many")
	}
	faults.Within("database", a.Database.validate())
	for i, secret := range a.EnvSecrets {
		faults.Check(secret != nil, fmt.Sprintf("envSecrets[%d]", i), nil, "is missing")
	}
	a.validateMounts(&faults)
	faults.Within("resources", a.Resources.Validate())
	return faults.Err()
}

func (a *ConsumerArgs) validateMounts(faults *fault.List) {
	for i, mount := range a.SecretMounts {
		at := fmt.Sprintf("secretMounts[%d]", i)
		faults.Check(mount.Secret != nil, at+".secret", nil, "is missing")
		faults.Check(IsMountPath(mount.Path), at+".path", mount.Path, MountPathRule)
		for _, other := range a.SecretMounts[:i] {
			faults.Check(!inside(mount.Path, other.Path) && !inside(other.Path, mount.Path), at+".path", mount.Path,
				"and %s hide one another; want folders of their own", other.Path)
		}
	}
}

// MountPathRule says what [IsMountPath] wants.
const MountPathRule = "want the absolute path of a folder, such as /etc/myshop/tls, that is not /tmp"

// IsMountPath tells a folder that a Secret can be mounted at.
func IsMountPath(folder string) bool {
	return path.IsAbs(folder) && path.Clean(folder) == folder && folder != "/" && !inside(folder, "/tmp") &&
		!strings.ContainsAny(folder, ":\x00")
}

func inside(folder, of string) bool { return folder == of || strings.HasPrefix(folder, of+"/") }
