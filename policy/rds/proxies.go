package rds

import (
	"dbtier/policy/rule"
	"dbtier/policy/types"
)

// proxies returns the rules for RDS Proxy.
func proxies() []*rule.Rule {
	return []*rule.Rule{{
		Name: "rds-proxy-tls", Severity: rule.High, Levels: rule.Always,
		Summary: "RDS Proxy refuses clients without TLS.",
		Why:     "Every statement passes through the proxy.",
		Fix:     "set requireTls",
		IDs:     []string{"RDS.43"}, Types: []string{types.DBProxy},
		Resource: on("requireTls", false, "clients can connect without TLS"),
	}, {
		Name: "rds-proxy-no-debug-logging", Severity: rule.Medium, Levels: rule.Always,
		Summary: "RDS Proxy does not log statements.",
		Why:     "The debug log contains the text of statements, and RDS turns it off only after a day.",
		Fix:     "set debugLogging to false",
		IDs:     []string{"tier:proxy-no-debug-logging"}, Types: []string{types.DBProxy},
		Resource: off("debugLogging", false, "statements are logged"),
	}}
}
