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
	var file, profile, config, sarif, junit string
	var known baseline
	cmd := &cobra.Command{
		Use:   "check --state FILE",
		Short: "Check an exported state by the rules, without an engine",
		Long: `Checks what is deployed already: the file is the output of "pulumi stack export", or the file of a stack
in a backend on disk or in a bucket. The project can be any. The command needs no login, no plugin and no program.
Encrypted secrets stay encrypted; rules that need them say so.

With --baseline, the findings of today are told but do not stop a pipeline, and new ones do. --write-baseline writes
them to the file. A finding that the state no longer has is removed from the file.

Exit codes: 0, 3 a mandatory rule is violated, 4 the policy config has errors.`,
		Example: `  pulumi stack export --stack prod | dbtier policy check --state -
  dbtier policy check --state dev.json --profile development --policy-pack-config policies.json
  dbtier policy check --state other-project.json --baseline findings.json --write-baseline
  dbtier policy check --state other-project.json --baseline findings.json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if file == "" {
				return usage(cmd, "--state is missing: the output of `pulumi stack export`, or - for standard input")
			}
			if profile != string(rule.Production) && profile != string(rule.Development) {
				return usage(cmd, "--profile %s: choose %s or %s", profile, rule.Production, rule.Development)
			}
			if known.write && known.file == "" {
				return usage(cmd, "--write-baseline needs the file: --baseline FILE")
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
				return fmt.Errorf("--state %s: %w", file, err)
			}
			if err := known.apply(report); err != nil {
				return err
			}
			if err := a.writeSets(sarif, junit, judged(file, rule.Profile(profile), report)); err != nil {
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
	cmd.Flags().StringVar(&known.file, "baseline", "", "a file with findings that do not stop a pipeline")
	cmd.Flags().BoolVar(&known.write, "write-baseline", false, "write the findings of this state to the baseline")
	findingsFlags(cmd, &sarif, &junit)
	a.jsonFlag(cmd)
	return cmd
}

// baseline is the file with the findings that are known.
type baseline struct {
	file  string
	write bool
}

// apply marks the known findings of a report, and removes those from the file that the report does not have.
func (b baseline) apply(report *state.Report) error {
	if b.file == "" {
		return nil
	}
	if b.write {
		known := report.Known()
		report.Accept(known)
		return b.save(known)
	}
	text, err := os.ReadFile(b.file)
	if errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("--baseline %s: there is no such file: create it with --write-baseline", b.file)
	}
	if err != nil {
		return fmt.Errorf("--baseline: %w", err)
	}
	known, err := state.Baseline(text)
	if err != nil {
		return fmt.Errorf("--baseline %s: %w", b.file, err)
	}
	if remaining := report.Accept(known); len(report.Gone) > 0 {
		return b.save(remaining)
	}
	return nil
}

func (b baseline) save(known []state.Known) error {
	if err := os.WriteFile(b.file, state.Text(known), 0o600); err != nil {
		return fmt.Errorf("--baseline: %w", err)
	}
	return nil
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
	subject := func(urn string) string {
		if urn == "" {
			return "the stack"
		}
		return progress.Subject(urn)
	}
	known := 0
	for i := range report.Findings {
		f := &report.Findings[i]
		level := f.Level
		if f.Known {
			level = "known"
			known++
		}
		fmt.Fprintf(a.stdout, "%-9s  %s: %s: %s\n", level, f.Rule, subject(f.URN),
			strings.ReplaceAll(f.Message, "\n", "\n           "))
	}
	for _, gone := range report.Gone {
		fmt.Fprintf(a.stdout, "%-9s  %s: %s: removed from the baseline\n", "gone", gone.Rule, subject(gone.URN))
	}
	fmt.Fprintf(a.stdout, "%d resources, %d findings, %d of them mandatory", report.Resources, len(report.Findings),
		report.Mandatory)
	if known > 0 {
		fmt.Fprintf(a.stdout, ", %d known", known)
	}
	fmt.Fprintln(a.stdout)
}
