package driver

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"dbtier/internal/suggest"
	"dbtier/policy/registry"
)

func (a *app) policyExplain() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "explain RULE",
		Short:   "Show what a rule requires and why, how to fix a violation, and the rule's settings",
		Example: "  dbtier policy explain irsa-rights-fit",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			r := registry.Find(args[0])
			if r == nil {
				return usage(cmd, "%w", unknownRule(args[0]))
			}
			d := describe(r)
			if a.report.Rules = []described{d}; a.asJSON {
				return nil
			}
			return a.printRule(d)
		},
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			var names []string
			for _, r := range registry.All() {
				names = append(names, r.Name+"\t"+r.Summary)
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
	}
	a.jsonFlag(cmd)
	return cmd
}

func (a *app) printRule(d described) error {
	line := func(label, format string, args ...any) {
		fmt.Fprintf(a.stdout, "%-11s  %s\n", label, fmt.Sprintf(format, args...))
	}
	fmt.Fprintf(a.stdout, "%s\n%s\n\n", d.Name, d.Summary)
	line("why", "%s", d.Why)
	line("fix", "%s", d.Fix)
	line("severity", "%s", d.Severity)
	line("level", "%s in production, %s in development", d.Production, d.Development)
	if d.Remediates {
		line("remediates", "if its level is remediate")
	}
	line("covers", "%s", strings.Join(d.IDs, ", "))
	label := "checks"
	for _, t := range d.Types {
		line(label, "%s", t)
		label = ""
	}
	label = "settings"
	for _, k := range d.Config {
		value, err := json.Marshal(k.Default)
		if err != nil {
			return fmt.Errorf("rule %s: setting %s: %w", d.Name, k.Name, err)
		}
		line(label, "%s, default %s: %s", k.Name, value, k.Description)
		label = ""
	}
	return nil
}

// unknownRule suggests the rules that were probably meant.
func unknownRule(name string) error {
	var near, all []string
	for _, r := range registry.All() {
		all = append(all, r.Name)
		if strings.Contains(r.Name, name) || slices.ContainsFunc(r.IDs,
			func(id string) bool { return strings.EqualFold(id, name) }) {
			near = append(near, r.Name)
		}
	}
	if nearest := suggest.Nearest(name, all); len(near) == 0 && nearest != "" {
		near = []string{nearest}
	}
	if len(near) == 0 {
		return fmt.Errorf("no rule is called %q: see `dbtier policy list`", name)
	}
	return fmt.Errorf("no rule is called %q: did you mean %s?", name, strings.Join(near, ", "))
}
