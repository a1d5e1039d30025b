package driver

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"dbtier/internal/engine"
	"dbtier/internal/progress"
	"dbtier/policy/registry"
	"dbtier/policy/rule"
	"dbtier/policy/state"
)

func (a *app) policy() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "policy",
		Short: "Show the rules of the policy pack, and judge a state by them",
		Long: `The policy pack beside dbtier judges every preview and update. These commands show its rules, and judge what is deployed already.

A rule is mandatory, advisory or disabled, depending on the stack's profile (config dbtier:profile); a policy config file changes that,
and lets resources pass for a while: docs/policies.md.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.policyList(), a.policyExplain(), a.policyCheck())
	return cmd
}

// described is a rule as JSON shows it.
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

type knob struct {
	Name        string `json:"name"`
	Description string `json:"description"`
	Default     any    `json:"default"`
}

func describe(r *rule.Rule) described {
	d := described{
		Name: r.Name, Family: r.Family, Summary: r.Summary, Why: r.Why, Fix: r.Fix, Severity: r.Severity.String(),
		Production: rule.LevelName(r.Levels.Production), Development: rule.LevelName(r.Levels.Development),
		Stack: r.IsStack(), Remediates: r.Remedy != nil,
		Types: r.Types, IDs: r.IDs, Config: []knob{},
	}
	for _, k := range r.Knobs {
		d.Config = append(d.Config, knob{k.Name, k.Description, k.Default})
	}
	return d
}

func (a *app) policyList() *cobra.Command {
	var family string
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the rules, with their levels in production and development",
		Example: `  dbtier policy list --family rds
  dbtier policy list --json | jq -r '.rules[] | select(.severity == "critical") | .name'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var families []string
			listed := []described{}
			for _, r := range registry.All() {
				families = append(families, r.Family)
				if family == "" || family == r.Family {
					listed = append(listed, describe(r))
				}
			}
			if len(listed) == 0 {
				err := fmt.Errorf("--family %s: choose one of %s", family, strings.Join(slices.Compact(families), ", "))
				return &usageError{error: err, command: cmd.CommandPath()}
			}
			if a.report.Rules = listed; a.asJSON {
				return nil
			}
			width := 0
			for _, d := range listed {
				width = max(width, len(d.Name))
			}
			fmt.Fprintf(a.stdout, "%-*s  %-8s  %-10s  %-11s  %s\n", width, "RULE", "SEVERITY", "PRODUCTION",
				"DEVELOPMENT", "WHAT HOLDS")
			for _, d := range listed {
				fmt.Fprintf(a.stdout, "%-*s  %-8s  %-10s  %-11s  %s\n", width, d.Name, d.Severity, d.Production,
					d.Development, d.Summary)
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&family, "family", "",
		"only the rules of a family: rds, secrets, kms, iam, network, kubernetes, pool, migration, stackwide")
	cmd.Flags().BoolVar(&a.asJSON, "json", false, "print JSON, see docs/driver.md")
	return cmd
}

func (a *app) policyExplain() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "explain RULE",
		Short:   "Show what a rule demands, why, how to fix what it finds, and its settings",
		Example: "  dbtier policy explain irsa-rights-fit",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			r := registry.Find(args[0])
			if r == nil {
				return &usageError{error: unknownRule(args[0]), command: cmd.CommandPath()}
			}
			d := describe(r)
			if a.report.Rules = []described{d}; a.asJSON {
				return nil
			}
			fmt.Fprintf(a.stdout, "%s\n%s\n\nwhy          %s\nfix          %s\nseverity     %s\n", d.Name, d.Summary,
				d.Why, d.Fix,
				d.Severity)
			fmt.Fprintf(a.stdout, "level        %s in production, %s in development\n", d.Production, d.Development)
			if d.Remediates {
				fmt.Fprintln(a.stdout, "remediates   where its level is remediate")
			}
			fmt.Fprintf(a.stdout, "stands for   %s\n", strings.Join(d.IDs, ", "))
			for i, t := range d.Types {
				fmt.Fprintf(a.stdout, "%-11s  %s\n", map[bool]string{true: "looks at"}[i == 0], t)
			}
			for i, k := range d.Config {
				value, err := json.Marshal(k.Default)
				if err != nil {
					return fmt.Errorf("rule %s: setting %s: %w", d.Name, k.Name, err)
				}
				fmt.Fprintf(a.stdout, "%-11s  %s, default %s: %s\n", map[bool]string{true: "settings"}[i == 0], k.Name,
					value, k.Description)
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&a.asJSON, "json", false, "print JSON, see docs/driver.md")
	return cmd
}

// unknownRule names the rules that may have been meant.
func unknownRule(name string) error {
	var near []string
	for _, r := range registry.All() {
		if strings.Contains(r.Name, name) || slices.ContainsFunc(r.IDs,
			func(id string) bool { return strings.EqualFold(id, name) }) {
			near = append(near, r.Name)
		}
	}
	if len(near) == 0 {
		return fmt.Errorf("no rule is called %q: see `dbtier policy list`", name)
	}
	return fmt.Errorf("no rule is called %q: is it %s", name, strings.Join(near, ", "))
}

func (a *app) policyCheck() *cobra.Command {
	var file, profile, config string
	cmd := &cobra.Command{
		Use:   "check --state FILE",
		Short: "Judge an exported state by the rules, without an engine",
		Long: `Judges what is deployed already: the file is what "pulumi stack export" writes. There is no login, no plugin and no program; encrypted
secrets stay encrypted, and rules that would need them say so.

Exit codes: 0, 3 a mandatory rule is broken, 4 the policy config has faults.`,
		Example: `  pulumi stack export --stack prod | dbtier policy check --state -
  dbtier policy check --state dev.json --profile development --policy-pack-config policies.json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if file == "" {
				err := errors.New(
					"--state is missing: the file that `pulumi stack export` writes, or - for the standard input",
				)
				return &usageError{error: err, command: cmd.CommandPath()}
			}
			if profile != string(rule.Production) && profile != string(rule.Development) {
				return &usageError{error: fmt.Errorf("--profile %s: choose %s or %s", profile, rule.Production,
					rule.Development), command: cmd.CommandPath()}
			}
			text, err := a.readState(file)
			if err != nil {
				return err
			}
			options := state.Options{Profile: rule.Profile(profile)}
			if config != "" {
				if options.Config, err = os.ReadFile(config); err != nil {
					return fmt.Errorf("--policy-pack-config: %w", err)
				}
			}
			report, err := state.Judge(registry.Pack(), text, options)
			var faulty *state.ConfigError
			if errors.As(err, &faulty) {
				return coded(exitConfig, err)
			}
			if err != nil {
				return err
			}
			if a.report.Judgement = report; !a.asJSON {
				a.printReport(report)
			}
			if report.Mandatory > 0 {
				fault := fmt.Sprintf("%s: the state breaks mandatory rules: %d findings", file, report.Mandatory)
				return &engine.FailureError{Policy: true, Faults: []string{fault}}
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&file, "state", "", "the exported state; - reads the standard input")
	cmd.Flags().StringVar(&profile, "profile", string(rule.Production),
		"the kind of stack, which decides the levels: production or development")
	cmd.Flags().StringVar(&config, "policy-pack-config", "", "a policy config file, as of pulumi preview")
	cmd.Flags().BoolVar(&a.asJSON, "json", false, "print JSON, see docs/driver.md")
	return cmd
}

func (a *app) readState(file string) ([]byte, error) {
	if file == "-" {
		text, err := io.ReadAll(a.stdin)
		if err != nil {
			return nil, fmt.Errorf("reading the state from the standard input: %w", err)
		}
		return text, nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("--state: %w", err)
	}
	return text, nil
}

func (a *app) printReport(report *state.Report) {
	for _, f := range report.Findings {
		subject := "the stack"
		if f.URN != "" {
			subject = progress.Subject(f.URN)
		}
		fmt.Fprintf(a.stdout, "%-9s  %s: %s: %s\n", f.Level, f.Rule, subject,
			strings.ReplaceAll(f.Message, "\n", "\n           "))
	}
	fmt.Fprintf(a.stdout, "%d resources, %d findings, %d of them mandatory\n", report.Resources, len(report.Findings),
		report.Mandatory)
}
