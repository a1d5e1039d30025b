package driver

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"dbtier/internal/findings"
	"dbtier/internal/progress"
	"dbtier/policy/registry"
	"dbtier/policy/rule"
	"dbtier/policy/state"
)

// findingsFlags adds the flags with the files for the findings of policies.
func findingsFlags(cmd *cobra.Command, sarif, junit *string) {
	cmd.Flags().StringVar(sarif, "sarif", "",
		"write the findings of policies to this file as SARIF 2.1.0, for code scanning")
	cmd.Flags().StringVar(junit, "junit", "",
		"write the findings of policies to this file as JUnit XML, for the test page of a pipeline")
}

// writeFindings writes the findings of the stacks' policies to the files of --sarif and --junit.
func (a *app) writeFindings(f *stackFlags, reports ...*report) error {
	if f.sarif == "" && f.junit == "" {
		return nil
	}
	sets := make([]findings.Set, 0, len(reports))
	for _, r := range reports {
		sets = append(sets, a.findingsOf(r))
	}
	return a.writeSets(f.sarif, f.junit, sets...)
}

// findingsOf are the findings of a preview. A stack whose preview failed before has its faults instead.
func (a *app) findingsOf(r *report) findings.Set {
	set := findings.Set{Version: version, Suite: "stack " + r.Stack, File: "Pulumi." + r.Stack + ".yaml"}
	if r.Changes == nil {
		set.Faults = slices.Clone(r.Faults)
		return set
	}
	set.Rules = r.rules
	if p, err := a.findProject(); err == nil {
		// Without the text, findings have no lines.
		text, _ := os.ReadFile(filepath.Join(p.Dir, set.File))
		set.Text = string(text)
	}
	for _, f := range r.Policies {
		set.Findings = append(set.Findings, findings.Finding{
			Rule: f.Policy, Stops: f.Level == progress.Mandatory, Message: f.Message, URN: f.URN, Settings: f.Settings,
		})
	}
	return set
}

// checked are the rules of the pack beside dbtier that the run checks in the stack.
func (t *task) checked() []*rule.Rule {
	if !slices.Contains(t.policies, filepath.Join(t.beside, policyPack)) {
		return nil
	}
	profile := rule.Production
	if t.stack.Values.Keys["profile"].Text == string(rule.Development) {
		profile = rule.Development
	}
	return rulesOf(profile)
}

// rulesOf are the rules that are not disabled in a profile.
func rulesOf(profile rule.Profile) []*rule.Rule {
	return slices.DeleteFunc(registry.All(), func(r *rule.Rule) bool { return r.Levels.Of(profile) == rule.Disabled })
}

// judged are the findings of a state.
func judged(file string, profile rule.Profile, report *state.Report) findings.Set {
	set := findings.Set{Version: version, Suite: file, Rules: rulesOf(profile)}
	for i := range report.Findings {
		f := &report.Findings[i]
		set.Findings = append(set.Findings, findings.Finding{
			Rule: f.Rule, Stops: f.Level == progress.Mandatory && !f.Known, Known: f.Known,
			Message: f.Message, URN: f.URN,
		})
	}
	return set
}

// writeSets writes findings without secrets to the files that are named.
func (a *app) writeSets(sarif, junit string, sets ...findings.Set) error {
	for _, set := range sets {
		for i := range set.Faults {
			set.Faults[i] = a.secrets.Clean(set.Faults[i])
		}
		for i := range set.Findings {
			set.Findings[i].Message = a.secrets.Clean(set.Findings[i].Message)
		}
	}
	for flag, target := range map[string]struct {
		file   string
		format func(...findings.Set) ([]byte, error)
	}{"--sarif": {sarif, findings.SARIF}, "--junit": {junit, findings.JUnit}} {
		if target.file == "" {
			continue
		}
		text, err := target.format(sets...)
		if err == nil {
			err = os.WriteFile(target.file, text, 0o600)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", flag, err)
		}
	}
	return nil
}
