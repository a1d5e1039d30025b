package stackwide

import (
	"fmt"
	"slices"

	"dbtier/policy/internal/pods"
	"dbtier/policy/rule"
	"dbtier/policy/types"
)

// order returns the rules for what must be created before something else.
func order() []*rule.Rule {
	return []*rule.Rule{{
		Name: "migration-before-consumers", Severity: rule.High, Levels: rule.Always,
		Summary: "Every service waits for the migration of its database.",
		Why:     "New pods fail with an old schema, and the old pods must keep serving if a migration fails.",
		Fix:     "make the Deployment depend on the Job, with dependsOn",
		IDs:     []string{"tier:migration-first"}, Types: append([]string{types.ExternalSecret}, types.Workloads()...),
		Stack: migrationFirst,
	}, {
		Name: "log-groups-managed", Severity: rule.Low, Levels: rule.InProduction,
		Summary: "The log groups of a database are created before RDS creates them.",
		Why:     "RDS creates missing groups without retention or key, and they stay when the stack is destroyed.",
		Fix:     "add a LogGroup /aws/rds/instance/<identifier>/<log> per export, and let the instance depend on it",
		IDs:     []string{"tier:log-groups-managed"}, Types: []string{types.DBInstance, types.LogGroup},
		Stack: func(s *rule.Stack) {
			var read rule.Reader
			names := map[string]bool{}
			for _, group := range s.All(types.LogGroup) {
				names[read.Text(group.Get("name"), "")] = true
			}
			if !read.OK() {
				return
			}
			for _, database := range s.All(types.DBInstance) {
				identifier, ok := database.Get("identifier").Text("")
				if !ok || identifier == "" {
					continue
				}
				for _, log := range database.Get("enabledCloudwatchLogsExports").Texts() {
					if name := fmt.Sprintf("/aws/rds/instance/%s/%s", identifier, log); !names[name] {
						database.Fail("RDS creates the log group %s", name)
					}
				}
			}
		},
	}}
}

func migrationFirst(s *rule.Stack) {
	all, in := workloads(s, types.Workloads())
	_, created := secretsOf(s)
	connects := func(w *workload) bool {
		return slices.ContainsFunc(created[w.namespace], func(c *secret) bool { return c.url && w.reads(c.name) })
	}
	for _, consumer := range all {
		if !consumer.server() || !connects(consumer) {
			continue
		}
		for _, job := range in[consumer.namespace] {
			// A migration runs the service's image.
			sameImage := func(image string) bool { return slices.Contains(pods.Images(consumer.spec), image) }
			if slices.ContainsFunc(pods.Images(job.spec), sameImage) && job.Type() == types.Job && connects(job) &&
				!s.Follows(consumer.Subject, job.Subject) {
				consumer.Fail("does not wait for %s", job.Name())
			}
		}
	}
}
