package registry

import (
	"slices"

	"dbtier/policy/analyzer"
	"dbtier/policy/iam"
	"dbtier/policy/kms"
	"dbtier/policy/kubernetes"
	"dbtier/policy/migration"
	"dbtier/policy/network"
	"dbtier/policy/pool"
	"dbtier/policy/rds"
	"dbtier/policy/rule"
	"dbtier/policy/secrets"
	"dbtier/policy/stackwide"
)

// Name and Version of the pack; PulumiPolicy.yaml has them too.
const (
	Name    = "dbtier-policy"
	Version = "0.1.0"
)

// All are the rules of every family, in the order of families.
func All() []*rule.Rule {
	return slices.Concat(rds.Rules(), secrets.Rules(), kms.Rules(), iam.Rules(), network.Rules(), kubernetes.Rules(),
		pool.Rules(), migration.Rules(), stackwide.Rules())
}

// Find is the rule of a name, or nil.
func Find(name string) *rule.Rule {
	rules := All()
	if at := slices.IndexFunc(rules, func(r *rule.Rule) bool { return r.Name == name }); at >= 0 {
		return rules[at]
	}
	return nil
}

// Pack is what the binary serves.
func Pack() analyzer.Pack {
	return analyzer.Pack{
		Name: Name, Version: Version, Description: "Rules for a PostgreSQL tier on RDS, Secrets Manager and Kubernetes",
		Rules: All(),
	}
}
