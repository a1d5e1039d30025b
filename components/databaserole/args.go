package databaserole

import (
	"path"
	"regexp"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"dbtier/components/fault"
	"dbtier/components/naming"
	"dbtier/components/workload"
	"dbtier/validation"
)

// Settings are the choices for the role. Begin with [Defaults].
type Settings struct {
	// Name of the group role that has the rights; its users are <name>_a and <name>_b. Default <database>_app.
	Name string `json:"name"`
	// Generation of the password, from 1. Another number is another password for the other user: add 1 to rotate, and
	// wait until the pool has taken one rotation before the next. Default 1.
	Generation int `json:"generation"`
	// IAMUser also makes a user that logs in with IAM tokens instead of a password, past the pool, for
	// services that renew their tokens themselves. The instance must have IAM authentication enabled. Default none.
	IAMUser string `json:"iamUser"`
	// Image with psql (14 or later) and sh, in which the bootstrap runs. Default: the pool's.
	Image string `json:"image"`
	// WaitSeconds is how long a rotation waits for the sessions of a pool that has not taken the last one. Default 180.
	WaitSeconds int `json:"waitSeconds"`
	// DeadlineSeconds is how long all attempts together may take. Default 600.
	DeadlineSeconds int `json:"deadlineSeconds"`
}

// Defaults of [Settings], without the names.
func Defaults() Settings {
	return Settings{Generation: 1, WaitSeconds: 180, DeadlineSeconds: 600}
}

// nameLimit leaves room for _a and _b in PostgreSQL's 63 bytes.
const nameLimit = 61

// Lower case, so that nobody has to quote them; pg_ is PostgreSQL's own and rds RDS's.
var reservedForm = regexp.MustCompile(`^(pg_|rds|postgres$|public$|none$)`)

const roleRule = "want 1 to %d lower-case letters, digits and underscores, not beginning with a digit, pg_ or rds"

func isRole(name string, limit int) bool {
	return len(name) <= limit && validation.LowerSQLName.Matches(name) && !reservedForm.MatchString(name)
}

// Validate reports every fault of the settings.
func (s *Settings) Validate() error {
	var faults fault.List
	faults.Check(isRole(s.Name, nameLimit), "name", s.Name, roleRule, nameLimit)
	faults.Between("generation", s.Generation, 1, 1<<31-1, "")
	if s.IAMUser != "" {
		faults.Check(isRole(s.IAMUser, nameLimit+2), "iamUser", s.IAMUser, roleRule, nameLimit+2)
		faults.Check(s.IAMUser != s.Name && s.IAMUser != s.Name+"_a" && s.IAMUser != s.Name+"_b", "iamUser", s.IAMUser,
			"is a name of the role with the passwords, which would then only take tokens; want another, for example "+
				"%s_iam", s.Name)
	}
	faults.Form("image", s.Image, validation.Image)
	faults.Between("waitSeconds", s.WaitSeconds, 0, 3600, "seconds")
	faults.Check(s.DeadlineSeconds >= s.WaitSeconds+60 && s.DeadlineSeconds <= 86400, "deadlineSeconds",
		s.DeadlineSeconds,
		"want 60 seconds more than waitSeconds (%d) up to 86400", s.WaitSeconds)
	return faults.Err()
}

// User is the user of this generation.
func (s *Settings) User() string {
	if s.Generation%2 == 1 {
		return s.Name + "_a"
	}
	return s.Name + "_b"
}

// DatabaseRoleArgs is what [NewDatabaseRole] needs.
type DatabaseRoleArgs struct {
	Settings

	// Service whose role it is.
	Service string
	// Namespace of the service.
	Namespace string
	// ObjectName is the beginning of the names of the Kubernetes objects: the pool's name.
	ObjectName string
	// DirectSecret names the Secret with the way to the database as the master user, in libpq's variables (PGHOST, …).
	DirectSecret pulumi.StringInput
	// CAConfigMap names the ConfigMap with the authority that signs the instance's certificate, under CAKey.
	// CAMountPath is the file in which PGSSLROOTCERT of the DirectSecret expects it.
	CAConfigMap        pulumi.StringInput
	CAKey, CAMountPath string
	// DatabasePort that the pod may reach. Default 5432.
	DatabasePort int
	// DatabaseLife tells one life of the database from the next, such as the instance's resource id (db-…): when it
	// changes, the bootstrap runs again. Default: only a change of its own runs it again.
	DatabaseLife pulumi.StringInput
	// UID is the user and group to run as, from 1. Default [workload.DefaultUID].
	UID int
}

func (a *DatabaseRoleArgs) setDefaults() {
	if a.CAKey == "" {
		a.CAKey = "ca.pem"
	}
	if a.CAMountPath == "" {
		a.CAMountPath = "/etc/rds-ca/ca.pem"
	}
	if a.DatabasePort == 0 {
		a.DatabasePort = 5432
	}
	if a.UID == 0 {
		a.UID = workload.DefaultUID
	}
}

// Validate reports every fault of the arguments.
func (a *DatabaseRoleArgs) Validate() error {
	var faults fault.List
	faults.Within("", a.Settings.Validate())
	faults.Form("service", a.Service, validation.Label)
	faults.Form("namespace", a.Namespace, validation.Label)
	faults.Form("objectName", a.ObjectName, validation.Label)
	faults.Check(a.DirectSecret != nil, "directSecret", nil,
		"is missing: the Secret with the way to the database as the master user")
	faults.Check(a.CAConfigMap != nil, "caConfigMap", nil, "is missing: what verifies the instance's certificate")
	faults.Check(path.IsAbs(a.CAMountPath) && path.Clean(a.CAMountPath) == a.CAMountPath &&
		path.Dir(a.CAMountPath) != "/", "caMountPath", a.CAMountPath,
		validation.MountedFileRule)
	faults.Between("databasePort", a.DatabasePort, 1, 65535, "")
	workload.CheckUID(&faults, a.UID)
	return faults.Err()
}

// PodName is the name label of the pods that make the role, by the pool's name.
func PodName(objectName string) string {
	return naming.Join(naming.LabelLimit, objectName, "bootstrap")
}
