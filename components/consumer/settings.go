package consumer

import (
	"strings"

	"dbtier/components/fault"
	"dbtier/components/workload"
	"dbtier/validation"
)

// Settings are the choices for the service's pods. Begin with [Defaults].
type Settings struct {
	// Name of the Deployment, its pods, its Service and its ServiceAccount. The names of its Secrets begin with it.
	// Default: the service's name.
	Name string `json:"name" example:"orders-api"`
	// Image of the service. It also contains the migration.
	Image string `json:"image" example:"<account>.dkr.ecr.<region>.amazonaws.com/orders-api:1.4.3"`
	// Command and Arguments replace the image's own. Default: the image's.
	Command   []string `json:"command" example:"[/myshop-api]"`
	Arguments []string `json:"arguments" example:"[serve]"`
	// Replicas is the number of pods, 1 to 500. With autoscaling it is only the initial number. Default 3 in
	// production, 2 in development.
	Replicas int `json:"replicas" example:"4"`
	// Autoscaling lets a HorizontalPodAutoscaler choose the number of replicas.
	Autoscaling Autoscaling `json:"autoscaling"`
	// Reloader asks Stakater's Reloader to replace the pods when a Secret in their environment changes. Reloader must
	// run with --reload-strategy=annotations: its default strategy adds a variable to the pod template, which this
	// program and Reloader would then overwrite in turn. The login to the pool in DATABASE_URL does not change by
	// itself. Default false.
	Reloader bool `json:"reloader"`
	// Port on which the container serves HTTP. Default 8080.
	Port int `json:"port" example:"8081"`
	// HealthPath answers 2xx when the service and its database can serve requests. Default /healthz.
	HealthPath string `json:"healthPath" example:"/health"`
	// Env is the service's configuration. It goes into a ConfigMap and must not contain secrets.
	Env map[string]string `json:"env" example:"{LOG_LEVEL: debug}"`
	// Resources of the container. Default 100m and 128Mi, limited to 512Mi.
	Resources workload.Resources `json:"resources"`
	// UID is the user and group that the pods run as, from 1. Default 10001.
	UID int `json:"uid" example:"10002"`
	// ConnectionMaxLifetimeSeconds is how long the service keeps a connection to its pool at most, 0 to 86400. The pods
	// get it as DATABASE_CONNECTION_MAX_LIFETIME_SECONDS, which the service must obey. An old pod of PgBouncer then
	// loses its clients one by one during an update, before it ends and cuts those that are left. Default 0: the pods
	// do not get the variable.
	ConnectionMaxLifetimeSeconds int `json:"connectionMaxLifetimeSeconds" example:"60"`
	// TerminationGracePeriodSeconds is how long a stopping pod may take to finish its requests, 1 to 3600. Default 30.
	TerminationGracePeriodSeconds int `json:"terminationGracePeriodSeconds" example:"60"`
}

// Autoscaling holds the bounds and targets of a HorizontalPodAutoscaler, which requires a metrics server in the
// cluster.
type Autoscaling struct {
	// Enabled lets the autoscaler choose the number of replicas. Default false.
	Enabled bool `json:"enabled"`
	// MinReplicas, 1 to 500. Default: the consumer's replicas.
	MinReplicas int `json:"minReplicas" example:"3"`
	// MaxReplicas, from MinReplicas to 500. The connections of this many pods must fit into the connection budget.
	MaxReplicas int `json:"maxReplicas" example:"4"`
	// CPUUtilization is the target for the average CPU usage, 1 to 500 percent of the request. Default 70.
	CPUUtilization int `json:"cpuUtilization" example:"60"`
	// MemoryUtilization is the target for the average memory usage, 1 to 500 percent of the request. Few services
	// return memory to the system. Default 0: memory is ignored.
	MemoryUtilization int `json:"memoryUtilization" example:"80"`
	// ScaleDownSeconds is how long the load must stay low before pods are removed, 0 to 3600. Default 300.
	ScaleDownSeconds int `json:"scaleDownSeconds" example:"600"`
}

// Defaults returns the default settings, without a name and an image.
func Defaults() Settings {
	return Settings{
		Replicas: 2, Autoscaling: Autoscaling{CPUUtilization: 70, ScaleDownSeconds: 300}, Port: 8080,
		HealthPath: "/healthz", Resources: workload.DefaultResources(), UID: workload.DefaultUID,
		TerminationGracePeriodSeconds: 30,
	}
}

// maxReplicas is far more than a database can serve.
const maxReplicas = 500

// MostReplicas returns the largest number of pods that the service has, apart from the surge of a rolling update.
func (s *Settings) MostReplicas() int {
	if s.Autoscaling.Enabled {
		return max(s.Autoscaling.MaxReplicas, s.Replicas)
	}
	return s.Replicas
}

// LeastReplicas returns the smallest number of pods that the service has.
func (s *Settings) LeastReplicas() int {
	if s.Autoscaling.Enabled && s.Autoscaling.MinReplicas != 0 {
		return s.Autoscaling.MinReplicas
	}
	return s.Replicas
}

// Validate returns every fault of the settings.
func (s *Settings) Validate() error {
	var faults fault.List
	faults.Form("name", s.Name, validation.Label)
	workload.CheckImage(&faults, "image", s.Image)
	faults.Between("replicas", s.Replicas, 1, maxReplicas, "")
	if s.Autoscaling.Enabled {
		faults.Within("autoscaling", s.Autoscaling.validate(s.LeastReplicas()))
		faults.Check(s.Replicas <= s.Autoscaling.MaxReplicas || s.Autoscaling.MaxReplicas < s.LeastReplicas(),
			"replicas",
			s.Replicas, "is more than autoscaling.maxReplicas (%d), to which the autoscaler would reduce it; want "+
				"at most that",
			s.Autoscaling.MaxReplicas)
	}
	faults.Between("port", s.Port, 1, 65535, "")
	faults.Check(strings.HasPrefix(s.HealthPath, "/"), "healthPath", s.HealthPath, "want a path that begins with /")
	workload.CheckEnv(&faults, s.Env)
	faults.Within("resources", s.Resources.Validate())
	workload.CheckUID(&faults, s.UID)
	faults.Between("connectionMaxLifetimeSeconds", s.ConnectionMaxLifetimeSeconds, 0, 86400, "seconds")
	faults.Between("terminationGracePeriodSeconds", s.TerminationGracePeriodSeconds, 1, 3600, "seconds")
	return faults.Err()
}

func (s *Autoscaling) validate(least int) error {
	var faults fault.List
	faults.Between("minReplicas", least, 1, maxReplicas, "")
	faults.Check(s.MaxReplicas >= least && s.MaxReplicas <= maxReplicas, "maxReplicas", s.MaxReplicas,
		"want minReplicas (%d) to %d", least, maxReplicas)
	faults.Between("cpuUtilization", s.CPUUtilization, 0, 500, "percent of the request, 0 for none")
	faults.Between("memoryUtilization", s.MemoryUtilization, 0, 500, "percent of the request, 0 for none")
	faults.Check(s.CPUUtilization > 0 || s.MemoryUtilization > 0, "cpuUtilization", s.CPUUtilization,
		"leaves nothing to scale by; set this or memoryUtilization")
	faults.Between("scaleDownSeconds", s.ScaleDownSeconds, 0, 3600, "seconds")
	return faults.Err()
}
