package pool

import (
	"path"
	"slices"
	"strconv"
	"strings"

	"dbtier/policy/internal/pgini"
	"dbtier/policy/internal/pods"
	"dbtier/policy/rule"
)

const (
	family    = "pool"
	configMap = "kubernetes:core/v1:ConfigMap"
)

// configured is a rule on each configuration of PgBouncer.
func configured(judge func(s *rule.Subject, config pgini.Config)) func(*rule.Subject) {
	return func(s *rule.Subject) {
		for _, config := range pgini.Find(s) {
			judge(s, config)
		}
	}
}

// running is a rule on each container that runs PgBouncer.
func running(judge func(s *rule.Subject, spec, container rule.Value)) func(*rule.Subject) {
	return func(s *rule.Subject) {
		spec := pods.Spec(s)
		for _, container := range spec.Get("containers").Items() {
			if image, ok := container.Get("image").Text(""); ok && strings.Contains(image, "pgbouncer") &&
				serves(container) {
				judge(s, spec, container)
			}
		}
	}
}

// serves tells the pool from other uses of its image, which is handy for psql.
func serves(container rule.Value) bool {
	command := container.Get("command").Texts()
	configured := func(word string) bool { return strings.HasSuffix(word, ".ini") }
	return len(command) == 0 || strings.HasSuffix(command[0], "pgbouncer") || slices.ContainsFunc(command, configured)
}

// Rules are all rules of the family.
func Rules() []*rule.Rule {
	config := func(name, summary, why, fix string, severity rule.Severity, levels rule.Levels,
		ids []string, judge func(*rule.Subject, pgini.Config),
	) *rule.Rule {
		return &rule.Rule{
			Name: name, Family: family, Summary: summary, Why: why, Fix: fix, Severity: severity, Levels: levels,
			IDs: ids, Types: pgini.Types,
			Needs: pgini.Needs, Resource: configured(judge),
		}
	}
	workload := func(name, summary, why, fix string, severity rule.Severity, levels rule.Levels,
		ids []string, judge func(s *rule.Subject, spec, container rule.Value),
	) *rule.Rule {
		return &rule.Rule{
			Name: name, Family: family, Summary: summary, Why: why, Fix: fix, Severity: severity, Levels: levels,
			IDs:   ids,
			Types: []string{pods.Deployment, pods.StatefulSet, pods.DaemonSet}, Needs: pods.Needs,
			Resource: running(judge),
		}
	}
	login := config("pool-login-retry", "The pool tries a failed login again soon.",
		"PgBouncer keeps a failed login for 15 s by default, and answers every client with it although the password "+
			"is right again.",
		"set server_login_retry to 1, seconds", rule.Low, rule.InProduction, []string{"tier:pool-login-retry"},
		func(s *rule.Subject, config pgini.Config) {
			if seconds := config.Number("server_login_retry", 15); float64(seconds) > s.Number("maximumSeconds") {
				config.Value.Fail("server_login_retry is %d s", seconds)
			}
		})
	login.Knobs = []rule.Knob{{Name: "maximumSeconds", Description: "The longest time, seconds.", Default: 5.0}}
	version := workload("pool-version", "The pool is a version of PgBouncer without known holes.",
		"Older versions have published holes: before 1.25.1 a client could have statements run while it logged in "+
			"(CVE-2025-12819).",
		"use an image of 1.25.2 or later", rule.High, rule.InProduction, []string{"tier:pool-version"},
		func(s *rule.Subject, _, container rule.Value) {
			image, _ := container.Get("image").Text("")
			name, _, _ := strings.Cut(image, "@")
			_, tag, found := strings.Cut(name[strings.LastIndex(name, "/")+1:], ":")
			numbers, ok := numbersOf(tag)
			if !found || !ok {
				// A digest, or a name of somebody's own, says nothing.
				return
			}
			least, _ := numbersOf(s.Text("minimum"))
			if slices.Compare(numbers, least) < 0 {
				container.Get("image").Fail("want %s or later", s.Text("minimum"))
			}
		})
	version.Knobs = []rule.Knob{{Name: "minimum", Description: "The oldest version that may run.", Default: "1.25.2"}}
	replicas := workload("pool-replicas", "The pool has a second replica.",
		"With one, every update of its node cuts every connection.", "raise replicas", rule.Medium, rule.InProduction,
		[]string{"tier:pool-replicas"},
		func(s *rule.Subject, _, _ rule.Value) {
			if count, ok := s.Get("spec", "replicas").Number(1); ok && count < s.Number("minimum") {
				s.Get("spec", "replicas").Fail("want at least %v", s.Number("minimum"))
			}
		})
	replicas.Types = []string{pods.Deployment, pods.StatefulSet}
	replicas.Knobs = []rule.Knob{{Name: "minimum", Description: "How many replicas there are at least.", Default: 2.0}}
	return []*rule.Rule{
		config("pool-verifies-database", "The pool verifies the database's certificate and name.",
			"server_tls_sslmode is prefer by default: it takes whoever answers, and goes without TLS when asked to.",
			"set server_tls_sslmode = verify-full and server_tls_ca_file", rule.Critical, rule.Always,
			[]string{"gap:pool-verify-full"},
			func(_ *rule.Subject, config pgini.Config) {
				if mode := config.Settings["server_tls_sslmode"]; mode != "verify-full" {
					config.Value.Fail("server_tls_sslmode is %q", mode)
				} else if config.Settings["server_tls_ca_file"] == "" {
					config.Value.Fail("server_tls_ca_file is missing: there is nothing to verify with")
				}
			}),
		config("pool-authentication", "Clients of the pool log in by SCRAM.",
			"trust and any let everybody in, plain sends passwords as they are, and md5 can be replayed and is of no "+
				"use against a SCRAM server.",
			"set auth_type = scram-sha-256 and auth_file; with auth_type = hba, end each line of the file beside it "+
				"in scram-sha-256, cert or reject",
			rule.Critical, rule.Always, []string{"tier:pool-scram"},
			func(_ *rule.Subject, config pgini.Config) {
				switch kind := config.Settings["auth_type"]; kind {
				case "scram-sha-256", "cert":
				case "hba":
					hostBased(config)
				default:
					config.Value.Fail("auth_type is %q", kind)
				}
			}),
		config("pool-bounded", "The pool has a limit of connections to each database.",
			"Pools are made for each pair of user and database: without max_db_connections another user is another "+
				"20 connections.",
			"set max_db_connections", rule.Medium, rule.Always, []string{"tier:pool-bounded"},
			func(_ *rule.Subject, config pgini.Config) {
				if config.Number("max_db_connections", 0) == 0 {
					config.Value.Fail("max_db_connections is missing")
				}
			}),
		login,
		{
			Name: "pool-config-is-secret", Family: family,
			Summary: "Users and passwords of the pool lie in a Secret.",
			Why:     "userlist.txt has the database's password in plain.",
			Fix:     "let an ExternalSecret make the file", Severity: rule.Critical, Levels: rule.Always,
			IDs: []string{"tier:pool-config-is-secret"}, Types: []string{configMap}, Needs: []string{"data"},
			Resource: func(s *rule.Subject) {
				for _, member := range s.Get("data").Members() {
					if member.Key == "userlist.txt" {
						member.Value.FailUnseen("is a list of passwords")
					}
				}
			},
		},
		version,
		replicas,
		workload("pool-no-credentials-in-environment", "The pool takes no credential from its environment.",
			"The image edoburu/pgbouncer splits DATABASE_URL by sed and cut: it does not decode, and : * ? in a "+
				"password break it.",
			"mount pgbouncer.ini and userlist.txt", rule.High, rule.Always, []string{"tier:pool-no-environment"},
			func(_ *rule.Subject, _, container rule.Value) {
				for _, variable := range container.Get("env").Items() {
					name, ok := variable.Get("name").Text("")
					if ok && slices.Contains([]string{"DATABASE_URL", "DATABASE_URLS", "DB_PASSWORD", "DB_USER"},
						name) {
						variable.Get("name").Fail("is read by the image's entrypoint")
					}
				}
			}),
		workload("pool-drains", "A pool that stops lets its clients finish.",
			"SIGTERM waits for clients; a signal before it, as from a preStop that kills, makes it the second one "+
				"and cuts work in flight.",
			"let preStop sleep until endpoints have drained, and make terminationGracePeriodSeconds longer than "+
				"clients keep connections", rule.Medium,
			rule.InProduction, []string{"tier:pool-drains"},
			func(_ *rule.Subject, spec, container rule.Value) {
				hook := container.Get("lifecycle").Get("preStop")
				for _, word := range hook.Get("exec").Get("command").Texts() {
					if strings.Contains(word, "kill") {
						hook.Fail("sends a signal before Kubernetes does")
						return
					}
				}
				sleeps, ok := hook.Get("sleep").Get("seconds").Number(0)
				grace, also := spec.Get("terminationGracePeriodSeconds").Number(30)
				switch {
				case !ok || !also:
				case hook.Missing():
					hook.Fail("is missing: new connections come in while the pool stops")
				case grace <= sleeps+15:
					spec.Get("terminationGracePeriodSeconds").Fail(
						"leaves clients less than 15 s after the %v s of preStop", sleeps,
					)
				}
			}),
		workload("pool-rolls-up-first", "An update of the pool starts a pod before it stops one.",
			"With fewer pods than replicas, the rest may have no room for everybody's connections.",
			"set strategy.rollingUpdate.maxUnavailable to 0", rule.Low, rule.InProduction,
			[]string{"tier:pool-rolls-up-first"},
			func(s *rule.Subject, _, _ rule.Value) {
				if s.Type() != pods.Deployment {
					return
				}
				strategy := s.Get("spec", "strategy")
				kind, ok := strategy.Get("type").Text("RollingUpdate")
				value := strategy.Get("rollingUpdate").Get("maxUnavailable")
				most, also := value.Text("25%")
				if ok && also && (kind != "RollingUpdate" || most != "0" && most != "0%") {
					value.Fail("pods go before others have come")
				}
			}),
	}
}

// hostBased judges the lines of an hba file, which has to be in the same object: elsewhere nobody could say who gets
// in.
func hostBased(config pgini.Config) {
	file := config.Beside.Get(path.Base(config.Settings["auth_hba_file"]))
	text, ok := file.Text("")
	switch {
	case !ok:
	case strings.TrimSpace(text) == "":
		config.Value.Fail("auth_type is hba, and auth_hba_file is not among the files beside it")
	default:
		for line := range strings.Lines(text) {
			words := strings.Fields(line)
			if len(words) == 0 || strings.HasPrefix(words[0], "#") {
				continue
			}
			// peer is for the socket, over which nobody comes from outside of the pod.
			methods := []string{"scram-sha-256", "cert", "reject"}
			if words[0] == "local" {
				methods = append(methods, "peer")
			}
			// After the method come options, as name=value.
			method := words[len(words)-1]
			for i := len(words) - 1; i > 0 && strings.Contains(words[i], "="); i-- {
				method = words[i-1]
			}
			if !slices.Contains(methods, method) {
				file.Fail("has a line with the method %s", method)
			}
		}
	}
}

// numbersOf are the numbers of a version such as v1.25.2-p0.
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
