package pool

import (
	"slices"
	"strconv"
	"strings"

	"dbtier/policy/internal/pods"
	"dbtier/policy/rule"
	"dbtier/policy/types"
)

// running judges each container that runs PgBouncer.
func running(judge func(s *rule.Subject, spec, container rule.Value)) func(*rule.Subject) {
	return func(s *rule.Subject) {
		spec := pods.Spec(s)
		for _, container := range spec.Get("containers").Items() {
			if image, ok := container.Get("image").Text(""); ok && serves(image, container) {
				judge(s, spec, container)
			}
		}
	}
}

// serves reports whether a container runs the pool. The image of PgBouncer is also used for psql, and the exporter's
// name contains PgBouncer's.
func serves(image string, container rule.Value) bool {
	if !strings.Contains(image, "pgbouncer") || strings.Contains(image, "exporter") {
		return false
	}
	command := container.Get("command").Texts()
	configured := func(word string) bool { return strings.HasSuffix(word, ".ini") }
	return len(command) == 0 || strings.HasSuffix(command[0], "pgbouncer") || slices.ContainsFunc(command, configured)
}

// workload returns the rules for the workload that runs the pool.
func workload() []*rule.Rule {
	workloads := []string{types.Deployment, types.StatefulSet, types.DaemonSet}
	return []*rule.Rule{{
		Name: "pool-version", Severity: rule.High, Levels: rule.Always,
		Summary: "The pool runs a version of PgBouncer without known vulnerabilities that keeps clients connected.",
		Why: "Before 1.25.1, a client could run statements during its login (CVE-2025-12819). From 1.26 on, a client " +
			"that stays connected while the database user changes gets \"invalid server parameter\".",
		Fix: "use an image of 1.25.2 or a later 1.25, or of a distribution that has the fixes",
		Knobs: []rule.Knob{
			{Name: "minimum", Description: "The oldest allowed version.", Default: "1.25.2"},
			{Name: "before", Description: "The first version that is too new.", Default: "1.26"},
			{
				Name: "patched", Default: []string{"1.24.1-1_deb13u2"},
				Description: "Tags of older versions with the security fixes of Debian. Later updates pass, too.",
			},
		},
		IDs: []string{"tier:pool-version"}, Types: workloads,
		Resource: running(func(s *rule.Subject, _, container rule.Value) {
			image, _ := container.Get("image").Text("")
			name, _, _ := strings.Cut(image, "@")
			_, tag, _ := strings.Cut(name[strings.LastIndex(name, "/")+1:], ":")
			least, _ := numbersOf(s.Text("minimum"))
			end, _ := numbersOf(s.Text("before"))
			numbers, ok := numbersOf(tag)
			updates := func(patched string) bool { return isUpdate(tag, patched) }
			switch {
			case !ok: // A digest or a custom tag does not tell the version.
			case slices.Compare(numbers, least) < 0 && !slices.ContainsFunc(s.Texts("patched"), updates):
				container.Get("image").Fail("want %s or later", s.Text("minimum"))
			case slices.Compare(numbers, end) >= 0:
				container.Get("image").Fail("want a version before %s", s.Text("before"))
			}
		}),
	}, {
		Name: "pool-replicas", Severity: rule.Medium, Levels: rule.InProduction,
		Summary: "The pool has at least two replicas.",
		Why:     "With one replica, every update of its node closes every connection.",
		Fix:     "raise replicas",
		Knobs:   []rule.Knob{{Name: "minimum", Description: "Minimum number of replicas.", Default: 2.0}},
		IDs:     []string{"tier:pool-replicas"}, Types: []string{types.Deployment, types.StatefulSet},
		Resource: running(func(s *rule.Subject, _, _ rule.Value) {
			s.Get("spec", "replicas").RequireAtLeast(s.Number("minimum"), 1, "")
		}),
	}, {
		Name: "pool-no-credentials-in-environment", Severity: rule.High, Levels: rule.Always,
		Summary: "The pool does not read credentials from its environment.",
		Why:     "The image edoburu/pgbouncer does not decode DATABASE_URL, and : * ? in a password break it.",
		Fix:     "mount pgbouncer.ini and userlist.txt",
		IDs:     []string{"tier:pool-no-environment"}, Types: workloads,
		Resource: running(func(_ *rule.Subject, _, container rule.Value) {
			read := []string{"DATABASE_URL", "DATABASE_URLS", "DB_PASSWORD", "DB_USER"}
			for _, variable := range container.Get("env").Items() {
				if name, ok := variable.Get("name").Text(""); ok && slices.Contains(read, name) {
					variable.Get("name").Fail("the entrypoint of the image reads it")
				}
			}
		}),
	}, {
		Name: "pool-drains", Severity: rule.Medium, Levels: rule.InProduction,
		Summary: "A pool that stops lets its clients finish.",
		Why: "PgBouncer waits for its clients after the first SIGTERM, and stops at once after the second. A preStop " +
			"hook that sends a signal makes that of Kubernetes the second one.",
		Fix: "let preStop sleep until endpoints are removed, and set terminationGracePeriodSeconds to more than " +
			"clients keep connections",
		IDs: []string{"tier:pool-drains"}, Types: workloads,
		Resource: running(func(_ *rule.Subject, spec, container rule.Value) {
			hook, grace := container.Get("lifecycle", "preStop"), spec.Get("terminationGracePeriodSeconds")
			kills := func(word string) bool { return strings.Contains(word, "kill") }
			if slices.ContainsFunc(hook.Get("exec", "command").Texts(), kills) {
				hook.Fail("sends a signal before Kubernetes does")
				return
			}
			var read rule.Reader
			sleep, seconds := read.Number(hook.Get("sleep", "seconds"), 0), read.Number(grace, 30)
			switch {
			case !read.OK():
			case hook.Missing():
				hook.Fail("is missing: the pool gets new connections while it stops")
			case seconds <= sleep+15:
				grace.Fail("leaves clients less than 15 s after the %v s of preStop", sleep)
			}
		}),
	}, {
		Name: "pool-rolls-up-first", Severity: rule.Low, Levels: rule.InProduction,
		Summary: "An update of the pool starts a new pod before it stops an old one.",
		Why:     "With fewer pods, the others may not have enough connections for all clients.",
		Fix:     "set strategy.rollingUpdate.maxUnavailable to 0",
		IDs:     []string{"tier:pool-rolls-up-first"}, Types: workloads,
		Resource: running(func(s *rule.Subject, _, _ rule.Value) {
			if s.Type() != types.Deployment {
				return
			}
			var read rule.Reader
			strategy := s.Get("spec", "strategy")
			value := strategy.Get("rollingUpdate", "maxUnavailable")
			kind, most := read.Text(strategy.Get("type"), "RollingUpdate"), read.Text(value, "25%")
			if read.OK() && (kind != "RollingUpdate" || most != "0" && most != "0%") {
				value.Fail("old pods stop before new pods are ready")
			}
		}),
	}}
}

// isUpdate reports whether a tag is the patched version of a distribution, or a later update of it: 1.24.1-1_deb13u3 is
// one of 1.24.1-1_deb13u2.
func isUpdate(tag, patched string) bool {
	split := func(tag string) (string, int) {
		digits := len(tag) - len(strings.TrimRight(tag, "0123456789"))
		number, _ := strconv.Atoi(tag[len(tag)-digits:])
		return tag[:len(tag)-digits], number
	}
	version, update := split(tag)
	sameVersion, least := split(patched)
	return version == sameVersion && update >= least
}

// numbersOf returns the numbers of a version such as v1.25.2-p0.
func numbersOf(tag string) ([]int, bool) {
	tag, _, _ = strings.Cut(strings.TrimPrefix(tag, "v"), "-")
	var numbers []int
	for part := range strings.SplitSeq(tag, ".") {
		number, err := strconv.Atoi(part)
		if err != nil {
			return nil, false
		}
		numbers = append(numbers, number)
	}
	return numbers, true
}
