package migrationjob

import (
	"path"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"dbtier/components/fault"
	"dbtier/components/naming"
	"dbtier/components/workload"
	"dbtier/validation"
)

// MigrationJobArgs is what [NewMigrationJob] needs.
type MigrationJobArgs struct {
	Settings

	// Service is the name of the service whose schema is migrated.
	Service string
	// Namespace of the service.
	Namespace string
	// Image of the service: the version that is about to start, whose migrations are to be applied.
	Image string
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
	// UID is the user and group to run as, from 1. Default [workload.DefaultUID].
	UID int
	// Pool that opens new connections to the database once the migration has completed. Default: none does, and
	// statements that were prepared before it can fail with "cached plan must not change result type".
	Pool *Console
}

// Defaults of [MigrationJobArgs].
const (
	DefaultCAKey       = "ca.pem"
	DefaultCAMountPath = "/etc/rds-ca/ca.pem"
)

func (a *MigrationJobArgs) setDefaults() {
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
	faults.Within("", a.Settings.Validate())
	faults.Form("service", a.Service, validation.Label)
	faults.Form("namespace", a.Namespace, validation.Label)
	faults.Check(a.Image != "", "image", nil, "is missing: the version whose migrations are to be applied")
	faults.Check(a.ServiceAccount != nil, "serviceAccount", nil, "is missing")
	faults.Check(a.DirectSecret != nil, "directSecret", nil,
		"is missing: the Secret whose DATABASE_URL leads to the instance itself")
	faults.Check(path.IsAbs(a.CAMountPath) && path.Clean(a.CAMountPath) == a.CAMountPath &&
		path.Dir(a.CAMountPath) != "/", "caMountPath", a.CAMountPath,
		validation.MountedFileRule)
	faults.Between("databasePort", a.DatabasePort, 1, 65535, "")
	workload.CheckUID(&faults, a.UID)
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
