package migrationjob

import (
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"dbtier/components/fault"
	"dbtier/components/naming"
	"dbtier/components/workload"
	"dbtier/validation"
)

// MigrationJobArgs is what [NewMigrationJob] needs.
type MigrationJobArgs struct {
	// Service is the name of the service whose schema is migrated.
	Service string
	// Namespace of the service.
	Namespace string
	// Image of the service: the version that is about to start, whose migrations are to be applied.
	Image string
	// Command of the migration, for example alembic upgrade head, flyway migrate, or migrate up. A list, no shell.
	Command []string
	// Env are further variables, for tools that want more than DATABASE_URL. No secrets: they come from DirectSecret.
	Env map[string]string
	// ServiceAccount of the service.
	ServiceAccount pulumi.StringInput
	// DirectSecret names the Secret whose DATABASE_URL leads to the instance itself.
	DirectSecret pulumi.StringInput
	// CAConfigMap names the ConfigMap with the authority that signs the instance's certificate; nil when the image
	// brings it.
	CAConfigMap pulumi.StringInput
	// CAKey is the key in CAConfigMap. Default ca.pem.
	CAKey string
	// CAMountPath is the file that the DSN's sslrootcert names. Default /etc/rds-ca/ca.pem.
	CAMountPath string
	// DatabasePort that the pods may reach. Default 5432.
	DatabasePort int
	// DatabaseLife tells one life of the database from the next, such as the instance's resource id (db-…): when it
	// changes, the Job runs again. Default: only a change of the Job itself runs it again.
	DatabaseLife pulumi.StringInput
	// BackoffLimit is how many more times a failed attempt is made, 0 to 10. Default 3.
	BackoffLimit *int
	// DeadlineSeconds is how long all attempts together may take, 10 to 86400. Default 600.
	DeadlineSeconds int
	// Resources of the container. Default 100m and 128Mi, limited to 512Mi.
	Resources workload.Resources
	// UID is the user and group to run as, from 1. Default [workload.DefaultUID].
	UID int
	// Pool that opens new connections to the database once the migration has completed. Default: none does, and
	// statements that were prepared before it can fail with "cached plan must not change result type".
	Pool *Console
}

// Defaults of [MigrationJobArgs].
const (
	DefaultBackoffLimit    = 3
	DefaultDeadlineSeconds = 600
	DefaultCAKey           = "ca.pem"
	DefaultCAMountPath     = "/etc/rds-ca/ca.pem"
)

func (a *MigrationJobArgs) setDefaults() {
	if a.BackoffLimit == nil {
		limit := DefaultBackoffLimit
		a.BackoffLimit = &limit
	}
	if a.DeadlineSeconds == 0 {
		a.DeadlineSeconds = DefaultDeadlineSeconds
	}
	if a.CAKey == "" {
		a.CAKey = DefaultCAKey
	}
	if a.CAMountPath == "" {
		a.CAMountPath = DefaultCAMountPath
	}
	if a.DatabasePort == 0 {
		a.DatabasePort = 5432
	}
	if a.UID == 0 {
		a.UID = workload.DefaultUID
	}
	if a.Resources == (workload.Resources{}) {
		a.Resources = workload.Resources{CPURequest: "100m", MemoryRequest: "128Mi", MemoryLimit: "512Mi"}
	}
	if a.Pool != nil {
		// A copy: defaults must not show up in the caller's value.
		pool := *a.Pool
		pool.setDefaults()
		a.Pool = &pool
	}
}

// Validate reports every fault of the arguments.
func (a *MigrationJobArgs) Validate() error {
	var faults fault.List
	faults.Form("service", a.Service, validation.Label)
	faults.Form("namespace", a.Namespace, validation.Label)
	faults.Check(a.Image != "", "image", nil, "is missing: the version whose migrations are to be applied")
	faults.Check(len(a.Command) > 0 && !slices.Contains(a.Command, ""), "command", a.Command,
		"want the migration's command as a list of non-empty words, such as [alembic, upgrade, head]")
	faults.Check(a.ServiceAccount != nil, "serviceAccount", nil, "is missing")
	faults.Check(a.DirectSecret != nil, "directSecret", nil,
		"is missing: the Secret whose DATABASE_URL leads to the instance itself")
	faults.Check(path.IsAbs(a.CAMountPath) && path.Clean(a.CAMountPath) == a.CAMountPath &&
		path.Dir(a.CAMountPath) != "/", "caMountPath", a.CAMountPath,
		validation.MountedFileRule)
	if a.BackoffLimit != nil {
		faults.Between("backoffLimit", *a.BackoffLimit, 0, 10, "")
	}
	faults.Between("deadlineSeconds", a.DeadlineSeconds, 10, 86400, "seconds")
	faults.Between("databasePort", a.DatabasePort, 1, 65535, "")
	faults.Check(a.UID > 0, "uid", a.UID, "want a user other than root")
	for _, name := range slices.Sorted(maps.Keys(a.Env)) {
		faults.Check(name != "" && !strings.ContainsAny(name, "= \x00"), "env", name,
			"want the name of an environment variable")
		faults.Check(name != "DATABASE_URL", "env", name, "comes from the Secret; give other variables here")
	}
	faults.Within("resources", a.Resources.Validate())
	if a.Pool != nil {
		faults.Within("pool", a.Pool.validate())
	}
	return faults.Err()
}

// PodName is the name label of the pods that migrate a service's schema. It differs from the service's own, so that no
// Service sends requests to a migration.
func PodName(service string) string { return naming.Join(naming.LabelLimit, service, "migration") }

func (a *MigrationJobArgs) podName() string { return PodName(a.Service) }

// jobName changes with whatever would make another run differ.
func (a *MigrationJobArgs) jobName() (string, error) {
	hash, err := naming.Hash(struct {
		Image   string
		Command []string
		Env     map[string]string
	}{a.Image, a.Command, a.Env})
	if err != nil {
		return "", err
	}
	// The Job controller appends six characters for its pods' names.
	return naming.Join(naming.LabelLimit-6, a.Service, "migration", hash), nil
}
