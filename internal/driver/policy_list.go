package driver

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"dbtier/policy/registry"
)

// completeFamilies completes the families of rules.
func completeFamilies(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	var families []string
	for _, r := range registry.All() {
		families = append(families, r.Family)
	}
	return slices.Compact(families), cobra.ShellCompDirectiveNoFileComp
}

func (a *app) policyList() *cobra.Command {
	var family string
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the rules with their levels in production and development",
		Example: `  dbtier policy list --family rds
  dbtier policy list --json | jq -r '.rules[] | select(.severity == "critical") | .name'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var families []string
			listed := []described{}
			width := 0
			for _, r := range registry.All() {
				families = append(families, r.Family)
				if family == "" || family == r.Family {
					listed = append(listed, describe(r))
					width = max(width, len(r.Name))
				}
			}
			if len(listed) == 0 {
				return usage(cmd, "--family %s: choose one of %s", family, strings.Join(slices.Compact(families), ", "))
			}
			if a.report.Rules = listed; a.asJSON {
				return nil
			}
			const row = "%-*s  %-8s  %-10s  %-11s  %s\n"
			fmt.Fprintf(a.stdout, row, width, "RULE", "SEVERITY", "PRODUCTION", "DEVELOPMENT", "REQUIREMENT")
			for _, d := range listed {
				fmt.Fprintf(a.stdout, row, width, d.Name, d.Severity, d.Production, d.Development, d.Summary)
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&family, "family", "",
		"only the rules of a family: rds, secrets, kms, iam, network, kubernetes, pool, migration, stackwide")
	_ = cmd.RegisterFlagCompletionFunc("family", completeFamilies)
	a.jsonFlag(cmd)
	return cmd
}
