package migrationjob

import (
	"slices"

	"dbtier/components/fault"
	"dbtier/components/workload"
)

// Settings are the choices for the migration. Begin with [Defaults].
type Settings struct {
	// Command of the migration in the service's image, as a list of words such as [alembic, upgrade, head]. It does not
	// run in a shell.
	Command []string `json:"command" example:"[bin/migrate, up]"`
	// Env are environment variables in addition to DATABASE_URL. They must not contain secrets.
	Env map[string]string `json:"env" example:"{ALEMBIC_CONFIG: /etc/alembic.ini}"`
	// BackoffLimit is the number of retries after a failed attempt, 0 to 10. Default 3.
	BackoffLimit int `json:"backoffLimit" example:"1"`
	// DeadlineSeconds is how long all attempts together may take, 10 to 86400. Default 600.
	DeadlineSeconds int `json:"deadlineSeconds" example:"1800"`
	// Resources of the container. Default 100m and 128Mi, limited to 1 and 512Mi.
	Resources workload.Resources `json:"resources"`
}

// Defaults returns the default settings, without a command.
func Defaults() Settings {
	resources := workload.DefaultResources()
	resources.CPULimit = "1"
	return Settings{BackoffLimit: 3, DeadlineSeconds: 600, Resources: resources}
}

// Validate returns every fault of the settings.
func (s *Settings) Validate() error {
	var faults fault.List
	faults.Check(len(s.Command) > 0 && !slices.Contains(s.Command, ""), "command", s.Command,
		"want the migration's command as a list of non-empty words, such as [alembic, upgrade, head]")
	workload.CheckEnv(&faults, s.Env)
	faults.Between("backoffLimit", s.BackoffLimit, 0, 10, "")
	faults.Between("deadlineSeconds", s.DeadlineSeconds, 10, 86400, "seconds")
	faults.Within("resources", s.Resources.Validate())
	return faults.Err()
}
