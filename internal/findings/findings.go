// Package findings writes findings of policies in the formats that CI systems show: SARIF 2.1.0 and JUnit XML.
package findings

import (
	"strings"

	"dbtier/internal/progress"
	"dbtier/policy/rule"
)

// Finding is one result of a policy.
type Finding struct {
	// Rule is the name of the policy.
	Rule string
	// Stops is true if the finding ends the run: its policy is mandatory and the finding is not in a baseline.
	Stops bool
	// Known is true for a finding of a baseline.
	Known   bool
	Message string
	// URN is the resource; empty for a finding on the whole stack.
	URN string
	// Settings are those of the stack's file that the finding comes from, if they are known: database.multiAz.
	Settings []string
}

// Set is the findings of one command.
type Set struct {
	// Version of dbtier.
	Version string
	// Suite names what was checked: a stack, or the file of a state.
	Suite string
	// File is the stack's file as the results name it, and Text its content. Both are empty for a state.
	File, Text string
	Findings   []Finding
	// Faults say why the policies were not checked, if the run failed before.
	Faults []string
	// Rules are the rules that were checked, in the order of the pack.
	Rules []*rule.Rule
}

// name is the logical name of the resource, or "stack".
func (f *Finding) name() string {
	if f.URN == "" {
		return "stack"
	}
	return progress.Name(f.URN)
}

// title is the first line of the message.
func (f *Finding) title() string {
	title, _, _ := strings.Cut(f.Message, "\n")
	return title
}
