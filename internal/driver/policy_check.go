package driver

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"dbtier/internal/engine"
	"dbtier/internal/progress"
	"dbtier/policy/registry"
	"dbtier/policy/rule"
	"dbtier/policy/state"
)

func (a *app) policyCheck() *cobra.Command {
	var file, profile, config string
	cmd := &cobra.Command{
		Use:   "check --state FILE",
		Short: "Check an exported state by the rules, without an engine",
		Long: `Checks what is deployed already: the file is the output of "pulumi stack export". The command needs no
login, no plugin and no program. Encrypted secrets stay encrypted; rules that need them say so.

Exit codes: 0, 3 a mandatory rule is violated, 4 the policy config has errors.`,
		Example: `  pulumi stack export --stack prod | dbtier policy check --state -
  dbtier policy check --state dev.json --profile development --policy-pack-config policies.json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if file == "" {
				return usage(cmd, "--state is missing: the output of `pulumi stack export`, or - for standard input")
			}
			if profile != string(rule.Production) && profile != string(rule.Development) {
				return usage(cmd, "--profile %s: choose %s or %s", profile, rule.Production, rule.Development)
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
				a.printJudgement(report)
			}
			if report.Mandatory > 0 {
				fault := fmt.Sprintf("%s: the state violates mandatory rules: %d findings", file, report.Mandatory)
				return &engine.FailureError{Policy: true, Faults: []string{fault}}
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&file, "state", "", "the exported state; - reads standard input")
	cmd.Flags().StringVar(&profile, "profile", string(rule.Production),
		"the kind of stack, which selects the levels: production or development")
	cmd.Flags().StringVar(&config, "policy-pack-config", "", "a policy config file, as for pulumi preview")
	a.jsonFlag(cmd)
	return cmd
}

func (a *app) readState(file string) ([]byte, error) {
	if file == "-" {
		text, err := io.ReadAll(a.stdin)
		if err != nil {
			return nil, fmt.Errorf("reading the state from standard input: %w", err)
		}
		return text, nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("--state: %w", err)
	}
	return text, nil
}

func (a *app) printJudgement(report *state.Report) {
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
