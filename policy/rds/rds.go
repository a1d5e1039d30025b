// Package rds has the rules for RDS instances, their parameter groups, snapshots, proxies and log groups, and the rule
// for tags on AWS.
package rds

import (
	"slices"
	"strconv"
	"strings"

	"dbtier/policy/rule"
	"dbtier/policy/types"
)

// Rules returns all rules of the family.
func Rules() []*rule.Rule {
	return rule.Family("rds", types.Databases(),
		slices.Concat(credentials(), encryption(), availability(), monitoring(),
			logs(), logKeys(), software(), snapshots(), events(), proxies(), []*rule.Rule{tags()})...)
}

// replica reports whether the instance copies another one, which then decides on backups, user and encryption.
func replica(s *rule.Subject) bool {
	source := s.Get("replicateSourceDb")
	return !source.Known() || !source.Missing()
}

// isPostgres reports whether the engine is PostgreSQL. An instance without an engine is a replica or is restored.
func isPostgres(s *rule.Subject) bool {
	engine, ok := s.Get("engine").Text("postgres")
	return ok && strings.Contains(engine, "postgres")
}

// on requires that a switch is on. The default is the value of a missing switch.
func on(key string, byDefault bool, reason string) func(*rule.Subject) {
	return func(s *rule.Subject) { s.Get(key).RequireTrue(byDefault, reason) }
}

// off requires that a switch is off. The default is the value of a missing switch.
func off(key string, byDefault bool, reason string) func(*rule.Subject) {
	return func(s *rule.Subject) { s.Get(key).RequireFalse(byDefault, reason) }
}

func unlessReplica(judge func(*rule.Subject)) func(*rule.Subject) {
	return func(s *rule.Subject) {
		if !replica(s) {
			judge(s)
		}
	}
}

// parameterGroups are the types of parameter groups.
func parameterGroups() []string {
	return []string{types.DBParameterGroup, types.DBClusterParameterGroup}
}

// parameter returns the value of a parameter in a group. The value has no path if the group does not set the parameter.
// It is not ok if an unknown name may be the parameter's.
func parameter(s *rule.Subject, name string) (value rule.Value, ok bool) {
	parameters := s.Get("parameters")
	ok = parameters.Known()
	for _, item := range parameters.Items() {
		called, known := item.Get("name").Text("")
		if called == name {
			return item.Get("value"), true
		}
		ok = ok && known
	}
	return rule.Value{}, ok
}

// ofPostgres returns the family of a parameter group for PostgreSQL.
func ofPostgres(s *rule.Subject) (family string, ok bool) {
	family, ok = s.Get("family").Text("")
	return family, ok && strings.Contains(family, "postgres")
}

// major returns the major version in a family (postgres16, aurora-postgresql15) or an engine version (16.11). It
// returns 0 if there is none.
func major(text string) int {
	text = strings.TrimLeft(text, "abcdefghijklmnopqrstuvwxyz-")
	text, _, _ = strings.Cut(text, ".")
	number, err := strconv.Atoi(text)
	if err != nil {
		return 0
	}
	return number
}
