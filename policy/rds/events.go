package rds

import (
	"dbtier/policy/rule"
	"dbtier/policy/types"
)

// events returns the rule for event subscriptions.
func events() []*rule.Rule {
	return []*rule.Rule{{
		Name: "rds-event-subscription-on", Severity: rule.Low, Levels: rule.InProduction,
		Summary: "An event subscription is enabled.",
		Why:     "A disabled subscription sends nothing, but looks as if failovers were reported.",
		Fix:     "set enabled to true",
		IDs:     []string{"RDS.20"}, Types: []string{types.DBEventSubscription},
		Resource: on("enabled", true, "the subscription is off"),
	}}
}
