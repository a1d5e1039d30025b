package databaserole

import (
	"regexp"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"dbtier/components/fault"
	"dbtier/components/workload"
	"dbtier/validation"
)

// Settings are the choices for the role. Begin with [Defaults].
type Settings struct {
	// Name of the group role that has the rights. Its users are <name>_a and <name>_b. Default <database>_app.
	Name string `json:"name" example:"shop_app"`
	// Generation of the password, from 1. Add 1 to rotate: the other user gets a new password. Wait until the pool has
	// applied a rotation before the next one. Default 1.
	Generation int `json:"generation" example:"2"`
	// IAMUser is an additional user that logs in with IAM tokens instead of a password, without the pool. Use it for
	// services that renew their tokens. The instance must have IAM authentication enabled. Default none.
	IAMUser string `json:"iamUser" example:"shop_iam"`
	// Image of the bootstrap, with psql (14 or later) and sh. Default: that of PgBouncer, if the pool is
	// PgBouncer.
	Image string `json:"image" example:"<account>.dkr.ecr.<region>.amazonaws.com/psql:16.11"`
	// WaitSeconds is how long a rotation waits for the sessions of a pool that has not applied the last one, 0 to 3600.
	// Default 180.
	WaitSeconds int `json:"waitSeconds" example:"240"`
	// DeadlineSeconds is how long all attempts together may take, from 60 more than waitSeconds to 86400. Default 600.
	DeadlineSeconds int `json:"deadlineSeconds" example:"900"`
}

// Defaults returns the default settings, without the names and the image.
func Defaults() Settings {
	return Settings{Generation: 1, WaitSeconds: 180, DeadlineSeconds: 600}
}

// nameLimit leaves room for _a and _b in PostgreSQL's 63 bytes.
const nameLimit = 61

// reservedForm matches the names that PostgreSQL and RDS reserve.
var reservedForm = regexp.MustCompile(`^(pg_|rds|postgres$|public$|none$)`)

const roleRule = "want 1 to %d lower-case letters, digits and underscores, not beginning with a digit, pg_ or rds"

func isRole(name string, limit int) bool {
	return len(name) <= limit && validation.LowerSQLName.Matches(name) && !reservedForm.MatchString(name)
}

// Validate returns every fault of the settings.
func (s *Settings) Validate() error {
	var faults fault.List
	faults.Check(isRole(s.Name, nameLimit), "name", s.Name, roleRule, nameLimit)
	faults.Between("generation", s.Generation, 1, 1<<31-1, "")
	if s.IAMUser != "" {
		faults.Check(isRole(s.IAMUser, nameLimit+2), "iamUser", s.IAMUser, roleRule, nameLimit+2)
		faults.Check(s.IAMUser != s.Name && s.IAMUser != s.Name+"_a" && s.IAMUser != s.Name+"_b", "iamUser", s.IAMUser,
			"is already the name of the role or of a user with a password, which could then only log in with tokens; "+
				"want "+
				"another name, for example %s_iam", s.Name)
	}
	workload.CheckImage(&faults, "image", s.Image)
	faults.Between("waitSeconds", s.WaitSeconds, 0, 3600, "seconds")
	faults.Check(s.DeadlineSeconds >= s.WaitSeconds+60 && s.DeadlineSeconds <= 86400, "deadlineSeconds",
		s.DeadlineSeconds,
		"want 60 seconds more than waitSeconds (%d) up to 86400", s.WaitSeconds)
	return faults.Err()
}

// User returns the user of this generation.
func (s *Settings) User() string {
	if s.Generation%2 == 1 {
		return s.Name + "_a"
	}
	return s.Name + "_b"
}

// DatabaseRoleArgs are the arguments of [NewDatabaseRole].
type DatabaseRoleArgs struct {
	Settings

	// Service that the role belongs to.
	Service string
	// Namespace of the service.
	Namespace string
	// ObjectName begins the names of the Kubernetes objects: the pool's name.
	ObjectName string
	// DirectSecret is the name of the Secret that connects to the instance as the master user, with libpq's variables
	// (PGHOST, …).
	DirectSecret pulumi.StringInput
	// CAConfigMap is the name of the ConfigMap with the certificates, under [contract.CAKey], that verify the instance.
	// The pod finds them at [contract.CAPath], which PGSSLROOTCERT of the DirectSecret names.
	CAConfigMap pulumi.StringInput
	// DatabasePort is the port of the instance, 1 to 65535. Default 5432.
	DatabasePort int
	// Proxy is true if the users log in through RDS Proxy, which also connects to the database postgres. Default false:
	// they may not connect to it.
	Proxy bool
	// Drills creates the schema dbtier_drills for `dbtier drill`, with rights for the role. Default false: a schema
	// that was created so is removed.
	Drills bool
	// DatabaseLife is a value that changes when the database is created again, such as the instance's resource id
	// (db-…). A change runs the bootstrap again. Default: only a change of the bootstrap runs it again.
	DatabaseLife pulumi.StringInput
	// Scheduling of the pod. Default: anywhere.
	Scheduling workload.Scheduling
	// UID is the user and group to run as, from 1. Default 10001.
	UID int
}

// SetDefaults fills the arguments that were left out. The settings begin with [Defaults].
func (a *DatabaseRoleArgs) SetDefaults() {
	if a.DatabasePort == 0 {
		a.DatabasePort = 5432
	}
	if a.UID == 0 {
		a.UID = workload.DefaultUID
	}
}

// Validate returns every fault of the arguments.
func (a *DatabaseRoleArgs) Validate() error {
	var faults fault.List
	faults.Within("", a.Settings.Validate())
	faults.Form("service", a.Service, validation.Label)
	faults.Form("namespace", a.Namespace, validation.Label)
	faults.Form("objectName", a.ObjectName, validation.Label)
	faults.Check(a.DirectSecret != nil, "directSecret", nil,
		"is missing: the Secret that connects to the instance as the master user")
	faults.Check(a.CAConfigMap != nil, "caConfigMap", nil, "is missing: the certificates that verify the instance")
	faults.Between("databasePort", a.DatabasePort, 1, 65535, "")
	workload.CheckUID(&faults, a.UID)
	faults.Within("scheduling", a.Scheduling.Validate())
	return faults.Err()
}

// PodName returns the name label of the pods that create the role. objectName is [DatabaseRoleArgs].ObjectName.
func PodName(objectName string) string { return workload.JobPodName(objectName, task) }
