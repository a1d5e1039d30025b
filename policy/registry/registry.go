package registry

import (
	"slices"

	"dbtier/policy/iam"
	"dbtier/policy/kms"
	"dbtier/policy/kubernetes"
	"dbtier/policy/migration"
	"dbtier/policy/network"
	"dbtier/policy/pack"
	"dbtier/policy/pool"
	"dbtier/policy/rds"
	"dbtier/policy/rule"
	"dbtier/policy/secrets"
	"dbtier/policy/stackwide"
)

// Name and Version of the pack. PulumiPolicy.yaml repeats them, and a test compares the two.
const (
	Name    = "dbtier-policy"
	Version = "0.1.0"
)

// All returns the rules of every family.
func All() []*rule.Rule {
	return slices.Concat(rds.Rules(), secrets.Rules(), kms.Rules(), iam.Rules(), network.Rules(), kubernetes.Rules(),
		pool.Rules(), migration.Rules(), stackwide.Rules())
}

// Find returns the rule with a name, or nil.
func Find(name string) *rule.Rule {
	rules := All()
	if at := slices.IndexFunc(rules, func(r *rule.Rule) bool { return r.Name == name }); at >= 0 {
		return rules[at]
	}
	return nil
}

// Pack returns the pack that the binary serves.
func Pack() pack.Pack {
	return pack.Pack{
		Name: Name, Version: Version, Description: "Rules for a PostgreSQL tier on RDS, Secrets Manager and Kubernetes",
		Rules: All(),
	}
}
