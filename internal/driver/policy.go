package driver

import (
	"github.com/spf13/cobra"

	"dbtier/policy/rule"
)

func (a *app) policy() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "policy",
		Short: "Show the rules of the policy pack, and check a state by them",
		Long: `The policy pack beside dbtier checks every preview and update. These commands show its rules, and check
what is deployed already.

A rule is mandatory, advisory or disabled, depending on the stack's profile (dbtier:profile). A policy
config file (--policy-pack-config) can change the level and exempt resources for a limited time:

    {"rds-multi-az": "advisory",
     "rds-final-snapshot": {"exceptions": [{"resource": "database-instance", "owner": "team-orders",
       "reason": "no data yet", "expires": "2027-01-31"}]}}

So can the key dbtier-policy:exceptions in the stack's file.`,
		Args: cobra.NoArgs,
		RunE: showHelp,
	}
	cmd.AddCommand(a.policyList(), a.policyExplain(), a.policyCheck())
	return cmd
}

// described is a rule in JSON.
type described struct {
	Name        string   `json:"name"`
	Family      string   `json:"family"`
	Summary     string   `json:"summary"`
	Why         string   `json:"why"`
	Fix         string   `json:"fix"`
	Severity    string   `json:"severity"`
	Production  string   `json:"production"`
	Development string   `json:"development"`
	Stack       bool     `json:"stack"`
	Remediates  bool     `json:"remediates"`
	Types       []string `json:"types"`
	IDs         []string `json:"ids"`
	Config      []knob   `json:"config"`
}

// knob is a setting of a rule in JSON.
type knob struct {
	Name        string `json:"name"`
	Description string `json:"description"`
	Default     any    `json:"default"`
}

func describe(r *rule.Rule) described {
	d := described{
		Name: r.Name, Family: r.Family, Summary: r.Summary, Why: r.Why, Fix: r.Fix, Severity: r.Severity.String(),
		Production: rule.LevelName(r.Levels.Production), Development: rule.LevelName(r.Levels.Development),
		Stack: r.IsStack(), Remediates: r.Remedy != nil, Types: r.Types, IDs: r.IDs, Config: []knob{},
	}
	for _, k := range r.Knobs {
		d.Config = append(d.Config, knob{k.Name, k.Description, k.Default})
	}
	return d
}
