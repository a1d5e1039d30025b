package pack

import (
	"cmp"
	"fmt"

	"dbtier/policy/rule"
)

// Where a stack can say what its profile is.
const (
	// ProfileKey is a key of the stack's config, and a tag of the stack.
	ProfileKey = "dbtier-policy:profile"
	// projectKey is the key in the config of the project dbtier.
	projectKey = "dbtier:profile"
	// ProfileVariable is an environment variable, for `pulumi policy analyze`, which does not configure a stack.
	ProfileVariable = "DBTIER_POLICY_PROFILE"
)

// ProfileOf returns the profile that a stack has by its config, its tags or the environment: the first that is set
// wins. The default is [rule.Production], also if the project's own key has another value: the program reports that as
// a fault of the stack's config, with all others.
func ProfileOf(config, tags map[string]string, environment string) (rule.Profile, error) {
	own := config[projectKey]
	if own != "" && own != string(rule.Development) {
		own = string(rule.Production)
	}
	said := cmp.Or(config[ProfileKey], own, tags[ProfileKey], environment)
	switch profile := rule.Profile(said); profile {
	case "":
		return rule.Production, nil
	case rule.Production, rule.Development:
		return profile, nil
	default:
		return "", fmt.Errorf("%s: %q: want %s or %s", ProfileKey, said, rule.Production, rule.Development)
	}
}
