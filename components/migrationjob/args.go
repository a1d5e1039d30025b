package migrationjob

import (
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"dbtier/components/fault"
	"dbtier/components/workload"
	"dbtier/validation"
)

// MigrationJobArgs are the arguments of [NewMigrationJob].
type MigrationJobArgs struct {
	Settings

	// Service is the name of the service whose schema is migrated.
	Service string
	// Namespace of the service.
	Namespace string
	// Image of the service, in the version that is about to start. It contains the migrations.
	Image string
	// ServiceAccount of the pods: the service's.
	ServiceAccount pulumi.StringInput
	// DirectSecret is the name of the Secret whose DATABASE_URL connects to the instance directly.
	DirectSecret pulumi.StringInput
	// CAConfigMap is the name of the ConfigMap with the certificates, under [contract.CAKey], that verify the instance.
	// The pods find them at [contract.CAPath]. Default nil: the image contains them.
	CAConfigMap pulumi.StringInput
	// DatabasePort is the port of the instance, 1 to 65535. Default 5432.
	DatabasePort int
	// DatabaseLife is a value that changes when the database is created again, such as the instance's resource id
	// (db-…). A change runs the Job again. Default: only a change of the Job runs it again.
	DatabaseLife pulumi.StringInput
	// Scheduling of the pods. Default: anywhere.
	Scheduling workload.Scheduling
	// UID is the user and group to run as, from 1. Default 10001.
	UID int
	// Pool reconnects to the database once the migration has completed. Default: no pool does, and statements that were
	// prepared before the migration can fail with "cached plan must not change result type".
	Pool *Console
}

// SetDefaults fills the arguments that were left out. The settings begin with [Defaults].
func (a *MigrationJobArgs) SetDefaults() {
	if a.DatabasePort == 0 {
		a.DatabasePort = 5432
	}
	if a.UID == 0 {
		a.UID = workload.DefaultUID
	}
	if a.Pool != nil {
		// Copy the value, so that the caller's value does not change.
		pool := *a.Pool
		pool.setDefaults()
		a.Pool = &pool
	}
}

// Validate returns every fault of the arguments.
func (a *MigrationJobArgs) Validate() error {
	var faults fault.List
	faults.Within("", a.Settings.Validate())
	faults.Form("service", a.Service, validation.Label)
	faults.Form("namespace", a.Namespace, validation.Label)
	workload.CheckImage(&faults, "image", a.Image)
	faults.Check(a.ServiceAccount != nil, "serviceAccount", nil, "is missing")
	faults.Check(a.DirectSecret != nil, "directSecret", nil,
		"is missing: the Secret whose DATABASE_URL connects to the instance directly")
	faults.Between("databasePort", a.DatabasePort, 1, 65535, "")
	workload.CheckUID(&faults, a.UID)
	faults.Within("scheduling", a.Scheduling.Validate())
	if a.Pool != nil {
		faults.Within("pool", a.Pool.validate())
	}
	return faults.Err()
}

// task names the migration's Job, its pods and their container.
const task = "migration"

// PodName returns the name label of the pods that migrate a service's schema. It differs from the service's own label,
// so that no Service sends requests to a migration.
func PodName(service string) string { return workload.JobPodName(service, task) }

// content makes another Job when it changes. The JSON of this struct is hashed into the names of existing Jobs.
func (a *MigrationJobArgs) content() any {
	return struct {
		Image   string
		Command []string
		Env     map[string]string
	}{a.Image, a.Command, a.Env}
}
