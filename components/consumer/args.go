package consumer

import (
	"maps"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"dbtier/components/fault"
	"dbtier/components/naming"
	"dbtier/components/workload"
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
	// Replicas, 1 to 500. Default 2.
	Replicas int
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
	// Resources of the container. Default 100m and 128Mi, limited to 512Mi.
	Resources workload.Resources
	// UID is the user and group to run as, from 1. Default [workload.DefaultUID].
	UID int
	// TerminationGracePeriodSeconds is how long a stopping pod may finish its requests, 1 to 3600. Default 30.
	TerminationGracePeriodSeconds int
}

func (a *ConsumerArgs) setDefaults() {
	if a.Replicas == 0 {
		a.Replicas = 2
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
	faults.Check(naming.IsLabel(a.Service), "service", a.Service, naming.LabelRule)
	faults.Check(naming.IsLabel(a.Namespace), "namespace", a.Namespace, naming.LabelRule)
	faults.Check(a.Image != "", "image", nil, "is missing")
	faults.Between("replicas", a.Replicas, 1, 500, "")
	faults.Between("port", a.Port, 1, 65535, "")
	faults.Check(strings.HasPrefix(a.HealthPath, "/"), "healthPath", a.HealthPath, "want a path that begins with /")
	faults.Check(a.ServiceAccount != nil, "serviceAccount", nil, "is missing")
	faults.Check(a.DatabaseSecret != nil, "databaseSecret", nil, "is missing: the Secret with DATABASE_URL")
	faults.Check(a.UID > 0, "uid", a.UID, "want a user other than root")
	faults.Between("terminationGracePeriodSeconds", a.TerminationGracePeriodSeconds, 1, 3600, "seconds")
	for _, name := range slices.Sorted(maps.Keys(a.Env)) {
		faults.Check(name != "" && !strings.ContainsAny(name, "= \x00"), "env", name, "want the name of an environment variable")
		faults.Check(name != "DATABASE_URL", "env", name, "comes from the Secret; a ConfigMap is readable by too many")
	}
	faults.Within("database", a.Database.validate())
	faults.Within("resources", a.Resources.Validate())
	return faults.Err()
}
