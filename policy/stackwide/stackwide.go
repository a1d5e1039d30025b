// Package stackwide has the rules that compare the resources of a stack with each other.
package stackwide

import (
	"slices"

	"dbtier/policy/rule"
)

// Rules returns all rules of the family.
func Rules() []*rule.Rule {
	return rule.Family("stackwide", nil,
		slices.Concat(connections(), reach(), identities(), access(), order(), upkeep())...)
}
