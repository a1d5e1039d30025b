// Package migration has the rules for Jobs that run to completion, such as migrations.
package migration

import (
	"path"
	"slices"
	"strings"

	"dbtier/policy/internal/pods"
	"dbtier/policy/rule"
	"dbtier/policy/types"
)

// tools are programs that migrate schemas.
var tools = []string{
	"alembic", "flyway", "migrate", "golang-migrate", "liquibase", "goose", "dbmate", "sqitch",
	"atlas", "prisma", "knex", "sequelize", "diesel", "sqlx", "tern",
}

// Rules returns all rules of the family.
func Rules() []*rule.Rule {
	return rule.Family("migration", []string{types.Job}, []*rule.Rule{{
		Name: "job-backoff", Severity: rule.Medium, Levels: rule.Always,
		Summary: "A Job sets how often it is retried.",
		Why:     "The default is six retries, and a migration that failed half way may not survive a retry.",
		Fix:     "set spec.backoffLimit",
		Knobs:   []rule.Knob{{Name: "maximum", Description: "Maximum number of retries.", Default: 6.0}},
		IDs:     []string{"gap:job-backoff-and-deadline"},
		Resource: func(s *rule.Subject) {
			if value := s.Get("spec", "backoffLimit"); value.Missing() {
				value.Fail("is missing: Kubernetes retries six times")
			} else {
				value.RequireAtMost(s.Number("maximum"), 6)
			}
		},
	}, {
		Name: "job-deadline", Severity: rule.Medium, Levels: rule.Always,
		Summary:  "A Job has a deadline.",
		Why:      "Otherwise a Job that waits for a lock waits forever, and keeps its own locks.",
		Fix:      "set spec.activeDeadlineSeconds",
		IDs:      []string{"gap:job-backoff-and-deadline"},
		Resource: func(s *rule.Subject) { s.Get("spec", "activeDeadlineSeconds").RequireFilled("is missing") },
	}, {
		Name: "job-keeps-logs", Severity: rule.Low, Levels: rule.Always,
		Summary: "Every attempt of a Job runs in a new pod.",
		Why:     "With OnFailure the container restarts in the same pod, and the log of the failed attempt is lost.",
		Fix:     "set restartPolicy: Never in the pod template",
		IDs:     []string{"tier:job-restart-never"},
		Resource: func(s *rule.Subject) {
			value := s.Get("spec", "template", "spec", "restartPolicy")
			if policy, ok := value.Text(""); ok && policy != "Never" {
				value.Fail("want Never")
			}
		},
	}, {
		Name: "job-stays", Severity: rule.Medium, Levels: rule.Always,
		Summary: "A completed Job stays until the next Job replaces it.",
		Why:     "Pulumi creates a deleted Job again, which runs the migration again.",
		Fix:     "remove spec.ttlSecondsAfterFinished",
		IDs:     []string{"tier:job-no-ttl"},
		Resource: func(s *rule.Subject) {
			if value := s.Get("spec", "ttlSecondsAfterFinished"); value.Given() {
				value.Fail("Kubernetes deletes the Job, and the next update runs it again")
			}
		},
	}, {
		Name: "job-runs-once", Severity: rule.Medium, Levels: rule.Always,
		Summary: "A Job runs one pod at a time.",
		Why:     "Two migrations at the same time wait for each other's locks or see each other's partial changes.",
		Fix:     "set parallelism and completions to 1",
		IDs:     []string{"tier:job-one-run"},
		Resource: func(s *rule.Subject) {
			s.Get("spec", "parallelism").RequireAtMost(1, 1)
			s.Get("spec", "completions").RequireAtMost(1, 1)
		},
	}, {
		Name: "job-awaited", Severity: rule.Medium, Levels: rule.InProduction,
		Summary:  "An update waits for a Job longer than the Job's deadline.",
		Why:      "By default Pulumi stops waiting after 10 minutes, although the migration is still running.",
		Fix:      "set the annotation pulumi.com/timeoutSeconds to more than activeDeadlineSeconds",
		IDs:      []string{"tier:job-awaited"},
		Resource: awaited,
	}, {
		Name: "migration-in-a-job", Severity: rule.High, Levels: rule.Always,
		Summary: "A migration runs in a Job and not in an init container.",
		Why:     "An init container runs for every pod, at the same time, and again after every restart.",
		Fix:     "run it as a Job with the same image, and let the Deployment depend on the Job",
		IDs:     []string{"tier:migration-no-init-container"}, Types: types.Servers(),
		Resource: noMigrationInit,
	}}...)
}

func awaited(s *rule.Subject) {
	annotations := s.Get("metadata", "annotations")
	if !annotations.Known() {
		return
	}
	if skips, ok := annotations.Get("pulumi.com/skipAwait").Bool(false); ok && skips {
		annotations.Get("pulumi.com/skipAwait").Fail("the update does not wait for the Job")
		return
	}
	var read rule.Reader
	value := s.Get("spec", "activeDeadlineSeconds")
	deadline, timeout := read.Number(value, 0), read.Number(annotations.Get("pulumi.com/timeoutSeconds"), 600)
	if read.OK() && deadline > 0 && timeout <= deadline {
		value.Fail("is not less than the %v s that the update waits", timeout)
	}
}

func noMigrationInit(s *rule.Subject) {
	for _, container := range pods.Spec(s).Get("initContainers").Items() {
		for _, word := range append(container.Get("command").Texts(), container.Get("args").Texts()...) {
			for part := range strings.FieldsSeq(word) {
				if slices.Contains(tools, path.Base(part)) {
					container.Get("name").Fail("runs %s in every pod", path.Base(part))
					return
				}
			}
		}
	}
}
