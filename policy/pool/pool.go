// Package pool has the rules for PgBouncer: its configuration, and the workload that runs it.
package pool

import (
	"path"
	"slices"
	"strings"

	"dbtier/policy/internal/pgini"
	"dbtier/policy/rule"
	"dbtier/policy/types"
)

// Rules returns all rules of the family.
func Rules() []*rule.Rule {
	return rule.Family("pool", nil, append(configuration(), workload()...)...)
}

// configured judges each configuration of PgBouncer in an object.
func configured(judge func(s *rule.Subject, config pgini.Config)) func(*rule.Subject) {
	return func(s *rule.Subject) {
		for _, config := range pgini.Find(s) {
			judge(s, config)
		}
	}
}

// configuration returns the rules for the configuration, in any object that contains it.
func configuration() []*rule.Rule {
	return []*rule.Rule{{
		Name: "pool-verifies-database", Severity: rule.Critical, Levels: rule.Always,
		Summary: "The pool verifies the database's certificate and name.",
		Why:     "The default of server_tls_sslmode is prefer, which accepts every server and works without TLS.",
		Fix:     "set server_tls_sslmode = verify-full and server_tls_ca_file",
		IDs:     []string{"gap:pool-verify-full"}, Types: pgini.Types(),
		Resource: configured(func(_ *rule.Subject, config pgini.Config) {
			if mode := config.Settings["server_tls_sslmode"]; mode != "verify-full" {
				config.Value.Fail("server_tls_sslmode is %q", mode)
			} else if config.Settings["server_tls_ca_file"] == "" {
				config.Value.Fail("server_tls_ca_file is missing, so certificates cannot be verified")
			}
		}),
	}, {
		Name: "pool-authentication", Severity: rule.Critical, Levels: rule.Always,
		Summary: "Clients of the pool log in with SCRAM or a certificate.",
		Why:     "trust and any accept everyone, plain sends passwords, and md5 does not work with a SCRAM server.",
		Fix: "set auth_type = scram-sha-256 and auth_file; with auth_type = hba, end each line of the file beside it " +
			"with scram-sha-256, cert or reject",
		IDs: []string{"tier:pool-scram"}, Types: pgini.Types(),
		Resource: configured(func(_ *rule.Subject, config pgini.Config) {
			switch kind := config.Settings["auth_type"]; kind {
			case "scram-sha-256", "cert":
			case "hba":
				hostBased(config)
			default:
				config.Value.Fail("auth_type is %q", kind)
			}
		}),
	}, {
		Name: "pool-bounded", Severity: rule.Medium, Levels: rule.Always,
		Summary: "The pool limits the connections to each database.",
		Why:     "Otherwise each pair of user and database has its own pool, by default of 20 connections.",
		Fix:     "set max_db_connections",
		IDs:     []string{"tier:pool-bounded"}, Types: pgini.Types(),
		Resource: configured(func(_ *rule.Subject, config pgini.Config) {
			if config.Number("max_db_connections", 0) == 0 {
				config.Value.Fail("max_db_connections is missing")
			}
		}),
	}, {
		Name: "pool-login-retry", Severity: rule.Low, Levels: rule.InProduction,
		Summary: "The pool retries a failed login quickly.",
		Why:     "By default, PgBouncer repeats a failed login's error for 15 s, even if the login works again.",
		Fix:     "set server_login_retry to 1 (seconds)",
		Knobs:   []rule.Knob{{Name: "maximumSeconds", Description: "Maximum time, in seconds.", Default: 5.0}},
		IDs:     []string{"tier:pool-login-retry"}, Types: pgini.Types(),
		Resource: configured(func(s *rule.Subject, config pgini.Config) {
			if seconds := config.Number("server_login_retry", 15); float64(seconds) > s.Number("maximumSeconds") {
				config.Value.Fail("server_login_retry is %d s", seconds)
			}
		}),
	}, {
		Name: "pool-config-is-secret", Severity: rule.Critical, Levels: rule.Always,
		Summary: "Users and passwords of the pool are in a Secret.",
		Why:     "userlist.txt contains the database's password in plain text.",
		Fix:     "create the file with an ExternalSecret",
		IDs:     []string{"tier:pool-config-is-secret"}, Types: []string{types.ConfigMap},
		Resource: func(s *rule.Subject) {
			for _, member := range s.Get("data").Members() {
				if member.Key == "userlist.txt" {
					member.Value.FailUnseen("is a list of passwords")
				}
			}
		},
	}}
}

// hostBased judges the lines of an hba file. The file must be in the same object, because it cannot be found elsewhere.
func hostBased(config pgini.Config) {
	file := config.Files.Get(path.Base(config.Settings["auth_hba_file"]))
	text, ok := file.Text("")
	if ok && strings.TrimSpace(text) == "" {
		config.Value.Fail("auth_type is hba, and auth_hba_file is not among the files beside it")
	}
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if len(words) == 0 || strings.HasPrefix(words[0], "#") {
			continue
		}
		methods := []string{"scram-sha-256", "cert", "reject"}
		if words[0] == "local" {
			// The socket can only be reached from inside the pod.
			methods = append(methods, "peer")
			if reads(config, words) {
				methods = append(methods, "trust")
			}
		}
		// Options can follow the method, as name=value.
		method := words[len(words)-1]
		for i := len(words) - 1; i > 0 && strings.Contains(words[i], "="); i-- {
			method = words[i-1]
		}
		if !slices.Contains(methods, method) {
			file.Fail("has a line with the method %s", method)
		}
	}
}

// reads reports whether a line of an hba file is for a user who can only read the statistics of the console.
func reads(config pgini.Config, words []string) bool {
	if len(words) < 3 || strings.Trim(words[1], `"`) != "pgbouncer" {
		return false
	}
	isIn := func(key string) bool {
		names := strings.FieldsFunc(config.Settings[key], func(r rune) bool { return r == ',' || r == ' ' })
		return slices.Contains(names, strings.Trim(words[2], `"`))
	}
	return isIn("stats_users") && !isIn("admin_users")
}
