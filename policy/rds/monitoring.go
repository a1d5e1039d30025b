package rds

import (
	"slices"
	"strings"

	"dbtier/policy/rule"
	"dbtier/policy/types"
)

func monitoring() []*rule.Rule {
	return []*rule.Rule{{
		Name: "rds-performance-insights", Severity: rule.Low, Levels: rule.InProduction,
		Summary:  "Performance Insights is on.",
		Why:      "The wait events before an incident cannot be collected afterwards.",
		Fix:      "set performanceInsightsEnabled; a retention of seven days is free",
		IDs:      []string{"CKV_AWS_353", "AVD-AWS-0133", "pulumi:rds.Instance.enablePerformanceInsights"},
		Types:    []string{types.DBInstance, types.DBClusterInstance},
		Resource: on("performanceInsightsEnabled", false, "Performance Insights is off"),
	}, {
		Name: "rds-enhanced-monitoring", Severity: rule.Low, Levels: rule.InProduction,
		Summary: "Enhanced monitoring reports the operating system of the instance.",
		Why:     "CloudWatch sees the hypervisor only, and not which process uses memory or disk.",
		Fix:     "set monitoringInterval to 1, 5, 10, 15, 30 or 60 seconds, and set monitoringRoleArn",
		Knobs:   []rule.Knob{{Name: "maximumSeconds", Description: "Maximum interval, in seconds.", Default: 60.0}},
		IDs:     []string{"CKV_AWS_118", "RDS.6"}, Types: []string{types.DBInstance, types.DBClusterInstance},
		Resource: func(s *rule.Subject) {
			interval := s.Get("monitoringInterval")
			seconds, ok := interval.Number(0)
			switch {
			case !ok:
			case seconds == 0:
				interval.Fail("enhanced monitoring is off")
			case seconds > s.Number("maximumSeconds"):
				interval.Fail("want at most %v s", s.Number("maximumSeconds"))
			default:
				s.Get("monitoringRoleArn").RequireFilled("is missing: RDS cannot write the metrics")
			}
		},
	}}
}

func logs() []*rule.Rule {
	return []*rule.Rule{{
		Name: "rds-log-exports", Severity: rule.Medium, Levels: rule.InProduction,
		Summary: "The log of the database is exported to CloudWatch Logs.",
		Why:     "The instance keeps the log for three days, and deleting the instance deletes the log.",
		Fix:     "add postgresql to enabledCloudwatchLogsExports",
		IDs:     []string{"CKV_AWS_129", "CKV_AWS_324", "RDS.9", "RDS.36"},
		Resource: func(s *rule.Subject) {
			exports := s.Get("enabledCloudwatchLogsExports")
			if !exports.Known() {
				return
			}
			names := exports.Texts()
			if isPostgres(s) && !slices.Contains(names, "postgresql") || len(names) == 0 {
				exports.Fail("the log stays on the instance")
			}
		},
	}, {
		Name: "rds-query-logging", Severity: rule.Low, Levels: rule.InProduction,
		Summary: "Slow statements are logged.",
		Why:     "Otherwise a slow statement is first noticed in an outage.",
		Fix:     "set log_min_duration_statement to a number of milliseconds",
		IDs:     []string{"CKV2_AWS_27", "CKV2_AWS_30"}, Types: parameterGroups(),
		Resource: func(s *rule.Subject) {
			if _, ok := ofPostgres(s); !ok {
				return
			}
			value, ok := parameter(s, "log_min_duration_statement")
			if ok && value.Path() == "" {
				s.Get("parameters").Fail("log_min_duration_statement is not set, and its default is off")
			} else if text, known := value.Text(""); ok && known && text == "-1" {
				value.Fail("log_min_duration_statement is off")
			}
		},
	}, {
		Name: "rds-no-password-logging", Severity: rule.High, Levels: rule.Always,
		Summary: "The database does not log statements by their kind.",
		Why:     "log_statement = ddl, mod or all writes the password of CREATE ROLE … PASSWORD to the log.",
		Fix:     "set log_statement to none, and log slow statements with log_min_duration_statement",
		IDs:     []string{"tier:no-password-logging"}, Types: parameterGroups(),
		Resource: func(s *rule.Subject) {
			value, ok := parameter(s, "log_statement")
			if !ok || value.Path() == "" {
				return
			}
			if text, known := value.Text(""); known && text != "none" {
				value.Fail("log_statement is %s", text)
			}
		},
	}, {
		Name: "log-group-retention", Severity: rule.Low, Levels: rule.ProductionOnly,
		Summary: "A log group has a retention, and the retention is long enough.",
		Why:     "Without a retention, events are billed forever; with a short one, an audit lacks them.",
		Fix:     "set retentionInDays",
		Knobs:   []rule.Knob{{Name: "minimumDays", Description: "Minimum retention, in days.", Default: 365.0}},
		IDs:     []string{"CKV_AWS_66", "CKV_AWS_338"}, Types: []string{types.LogGroup},
		Resource: func(s *rule.Subject) {
			retention := s.Get("retentionInDays")
			if days, ok := retention.Number(0); ok && days == 0 {
				retention.Fail("is missing: events are stored forever")
			} else {
				retention.RequireAtLeast(s.Number("minimumDays"), 0, " days")
			}
		},
	}}
}

// logKeys returns the rules for the keys of log groups.
func logKeys() []*rule.Rule {
	cmk := func(name, summary, why string, severity rule.Severity, levels rule.Levels, ofDatabases bool) *rule.Rule {
		prefixes := rule.Knob{
			Name: "prefixes", Description: "The prefixes of the names of databases' log groups.",
			Default: []string{"/aws/rds/instance/", "/aws/rds/cluster/"},
		}
		return &rule.Rule{
			Name: name, Summary: summary, Why: why, Fix: "set kmsKeyId to a key whose policy allows CloudWatch Logs",
			Severity: severity, Levels: levels, Knobs: []rule.Knob{prefixes},
			IDs:   []string{"CKV_AWS_158", "AVD-AWS-0017"},
			Types: []string{types.LogGroup},
			Resource: func(s *rule.Subject) {
				name, ok := s.Get("name").Text("")
				hasPrefix := func(prefix string) bool { return strings.HasPrefix(name, prefix) }
				if ok && slices.ContainsFunc(s.Texts("prefixes"), hasPrefix) == ofDatabases {
					s.Get("kmsKeyId").RequireFilled("is missing: CloudWatch's own key encrypts the events")
				}
			},
		}
	}
	return []*rule.Rule{
		cmk("log-group-cmk", "The log of a database is encrypted with a customer managed key.",
			"It contains statements, and with them data.", rule.Medium, rule.InProduction, true),
		cmk("log-group-cmk-others", "Other log groups are encrypted with a customer managed key.",
			"The key's policy then says in one place who can read them.", rule.Low, rule.AdviceInProduction, false),
	}
}
