package analyzer

import (
	"cmp"
	"fmt"

	"dbtier/policy/rule"
)

// Where a stack says what it is: its config under the pack's own name, or under that of the project dbtier; a tag of
// the stack; and the environment, for `pulumi policy analyze`, which configures no stack.
const (
	ProfileKey      = "dbtier-policy:profile"
	projectKey      = "dbtier:profile"
	ProfileVariable = "DBTIER_POLICY_PROFILE"
)

// profileOf is what the stack says it is, first match first: config, tag, environment. A stack that says nothing is in
// production.
func profileOf(config, tags map[string]string, environment string) (rule.Profile, error) {
	said := cmp.Or(config[ProfileKey], config[projectKey], tags[ProfileKey], environment)
	switch profile := rule.Profile(said); profile {
	case "":
		return rule.Production, nil
	case rule.Production, rule.Development:
		return profile, nil
	default:
		return "", fmt.Errorf("%s: %q: want %s or %s", ProfileKey, said, rule.Production, rule.Development)
	}
}
