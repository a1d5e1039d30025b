package rds

import (
	"strings"

	"dbtier/policy/rule"
	"dbtier/policy/types"
	"dbtier/validation/rdsrules"
)

func software() []*rule.Rule {
	return []*rule.Rule{{
		Name: "rds-engine-version", Severity: rule.High, Levels: rule.Always,
		Summary: "RDS supports the engine version and can create it.",
		Why: "RDS refuses withdrawn minor versions, upgrades old ones by force, and old major versions have known " +
			"vulnerabilities (log_fdw among them).",
		Fix: "set a major version only, for example \"16\", and let RDS choose the minor version",
		Knobs: []rule.Knob{
			{Name: "minimumMajor", Description: "The oldest allowed major version of PostgreSQL.", Default: 14.0},
		},
		IDs: []string{"CKV_AWS_250", "gap:engine-version-not-deprecated"},
		Resource: func(s *rule.Subject) {
			if !isPostgres(s) {
				return
			}
			value := s.Get("engineVersion")
			version, ok := value.Text("")
			if !ok || version == "" {
				return
			}
			if number := major(version); number > 0 && float64(number) < s.Number("minimumMajor") {
				value.Fail("PostgreSQL %d is out of standard support: want %v or later", number,
					s.Number("minimumMajor"))
				return
			}
			if engine, _ := s.Get("engine").Text("postgres"); engine == "postgres" {
				if err := rdsrules.CheckVersion(version); err != nil {
					value.Fail("%s", err)
				}
			}
		},
	}, {
		Name: "rds-auto-minor-version", Severity: rule.Medium, Levels: rule.Always,
		Summary:  "RDS applies minor versions automatically.",
		Why:      "Minor versions contain security fixes, and RDS upgrades old ones by force.",
		Fix:      "set autoMinorVersionUpgrade to true",
		IDs:      []string{"CKV_AWS_226", "RDS.13", "CIS-2.3.2", "CIS-3.2.2"},
		Types:    []string{types.DBInstance, types.DBClusterInstance},
		Resource: on("autoMinorVersionUpgrade", true, "minor versions are not applied"),
	}, {
		Name: "rds-extended-support", Severity: rule.Low, Levels: rule.InProduction,
		Summary: "The database is upgraded when support for its major version ends, without Extended Support.",
		Why:     "Extended Support is billed per vCPU and hour, and starts automatically by default.",
		Fix:     "set engineLifecycleSupport to open-source-rds-extended-support-disabled",
		IDs:     []string{"tier:no-extended-support"},
		Resource: func(s *rule.Subject) {
			support := s.Get("engineLifecycleSupport")
			if _, ok := support.Text(""); ok && isPostgres(s) {
				support.RequireText("Extended Support is billed when support for the version ends",
					"open-source-rds-extended-support-disabled")
			}
		},
	}, {
		Name: "rds-own-parameter-group", Severity: rule.Low, Levels: rule.InProduction,
		Summary: "A database does not use the default parameter group.",
		Why:     "The default group cannot be changed, and switching to another group needs a restart.",
		Fix:     "set parameterGroupName",
		IDs:     []string{"tier:own-parameter-group"}, Types: []string{types.DBInstance},
		Resource: func(s *rule.Subject) {
			value := s.Get("parameterGroupName")
			if name, ok := value.Text(""); ok && (name == "" || strings.HasPrefix(name, "default.")) {
				value.Fail("the default group is used")
			}
		},
	}}
}
