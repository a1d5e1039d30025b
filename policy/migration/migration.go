package migration

import (
	"path"
	"slices"
	"strings"

	"dbtier/policy/internal/pods"
	"dbtier/policy/rule"
)

const family = "migration"

// tools are programs that migrate schemas.
var tools = []string{
	"alembic", "flyway", "migrate", "golang-migrate", "liquibase", "goose", "dbmate", "sqitch",
	"atlas", "prisma", "knex", "sequelize", "diesel", "sqlx", "tern",
}

// Rules are all rules of the family.
func Rules() []*rule.Rule {
	job := func(name, summary, why, fix string, severity rule.Severity, levels rule.Levels, ids []string,
		judge func(*rule.Subject),
	) *rule.Rule {
		return &rule.Rule{
			Name: name, Family: family, Summary: summary, Why: why, Fix: fix, Severity: severity, Levels: levels,
			IDs: ids, Types: []string{pods.Job},
			Needs: pods.Needs, Resource: judge,
		}
	}
	backoff := job("job-backoff", "A Job says how often it is tried again.",
		"Nobody who leaves it out means six times: a migration that fails half way may not bear it.",
		"set spec.backoffLimit", rule.Medium, rule.Always,
		[]string{"gap:job-backoff-and-deadline"},
		func(s *rule.Subject) {
			value := s.Get("spec", "backoffLimit")
			if value.Missing() {
				value.Fail("is missing: Kubernetes tries six times")
				return
			}
			if limit, ok := value.Number(6); ok && limit > s.Number("maximum") {
				value.Fail("want at most %v", s.Number("maximum"))
			}
		})
	backoff.Knobs = []rule.Knob{{Name: "maximum", Description: "How often a Job is tried again at most.", Default: 6.0}}
	return []*rule.Rule{
		backoff,
		job("job-deadline", "A Job ends in bounded time.",
			"One that waits for a lock otherwise waits for ever, and holds its own locks as long.",
			"set spec.activeDeadlineSeconds", rule.Medium, rule.Always,
			[]string{"gap:job-backoff-and-deadline"},
			func(s *rule.Subject) {
				if value := s.Get("spec", "activeDeadlineSeconds"); value.Empty() {
					value.Fail("is missing")
				}
			}),
		job("job-keeps-logs", "Every attempt of a Job is a pod of its own.",
			"With OnFailure the container is started anew in the same pod, and the log of what failed is gone.",
			"set restartPolicy: Never in the pod's template", rule.Low, rule.Always, []string{"tier:job-restart-never"},
			func(s *rule.Subject) {
				value := s.Get("spec", "template", "spec", "restartPolicy")
				if policy, ok := value.Text(""); ok && policy != "Never" {
					value.Fail("want Never")
				}
			}),
		job("job-stays", "A completed Job stays until the next one replaces it.",
			"Pulumi makes a Job again that Kubernetes has cleared away, and with it runs the migration again.",
			"leave spec.ttlSecondsAfterFinished out", rule.Medium, rule.Always, []string{"tier:job-no-ttl"},
			func(s *rule.Subject) {
				if value := s.Get("spec", "ttlSecondsAfterFinished"); value.Given() {
					value.Fail("the Job goes, and is run again by the next update")
				}
			}),
		job("job-runs-once", "A Job runs one pod at a time.",
			"Two migrations at once wait for each other's locks, or see half of each other's work.",
			"leave parallelism and completions at 1",
			rule.Medium, rule.Always,
			[]string{"tier:job-one-run"},
			func(s *rule.Subject) {
				for _, key := range []string{"parallelism", "completions"} {
					if number, ok := s.Get("spec", key).Number(1); ok && number > 1 {
						s.Get("spec", key).Fail("want 1")
					}
				}
			}),
		job("job-awaited", "An update waits for a Job longer than the Job may take.",
			"Pulumi gives up after 10 minutes by default, while the migration goes on and new pods are not started, "+
				"or are.",
			"annotate the Job with pulumi.com/timeoutSeconds above activeDeadlineSeconds", rule.Medium,
			rule.InProduction, []string{"tier:job-awaited"},
			func(s *rule.Subject) {
				annotations := s.Get("metadata", "annotations")
				if !annotations.Known() {
					return
				}
				if skips, ok := annotations.Get("pulumi.com/skipAwait").Bool(false); ok && skips {
					annotations.Get("pulumi.com/skipAwait").Fail("nothing waits for the Job")
					return
				}
				deadline, ok := s.Get("spec", "activeDeadlineSeconds").Number(0)
				timeout, also := annotations.Get("pulumi.com/timeoutSeconds").Number(600)
				if ok && also && deadline > 0 && timeout <= deadline {
					s.Get("spec", "activeDeadlineSeconds").Fail("is not below the %v s for which the update waits",
						timeout)
				}
			}),
		{
			Name: "migration-in-a-job", Family: family,
			Summary: "A migration is a Job and no init container.",
			Why: "As an init container it runs once for every pod, all at the same time, and again with every " +
				"restart.",
			Fix: "run it as a Job of the same image, which the Deployment depends on", Severity: rule.High,
			Levels: rule.Always,
			IDs:    []string{"tier:migration-no-init-container"}, Types: pods.Servers, Needs: pods.Needs,
			Resource: func(s *rule.Subject) {
				for _, container := range pods.Spec(s).Get("initContainers").Items() {
					words := slices.Concat(container.Get("command").Texts(), container.Get("args").Texts())
					for _, word := range words {
						for part := range strings.FieldsSeq(word) {
							if slices.Contains(tools, path.Base(part)) {
								container.Get("name").Fail("runs %s in every pod", path.Base(part))
								return
							}
						}
					}
				}
			},
		},
	}
}
