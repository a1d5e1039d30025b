package rule

import (
	"fmt"
	"slices"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/property"

	"dbtier/policy/types"
	"dbtier/validation/credential"
)

// Resource is a resource that rules judge.
type Resource struct {
	Type, URN, Name string
	// Parent is the URN of the resource's parent, or empty.
	Parent string
	// Protected says that Pulumi refuses to delete the resource.
	Protected bool
	// Properties of the resource, and of its provider.
	Properties, Provider Properties
	// Inputs are what the program sets. Package pack gives them to the stack rules that ask for them.
	Inputs Properties
	// Dependencies are the URNs that the resource depends on by an option or by an input. Only set for stack rules.
	Dependencies []string
	// PropertyDependencies are the URNs that each input depends on. Only set for stack rules.
	PropertyDependencies map[string][]string
}

// Properties gives a rule the top-level properties that it reads. A [property.Map] is one.
type Properties interface {
	GetOk(key string) (property.Value, bool)
}

// Run is how a rule is run.
type Run struct {
	// Config is the rule's properties in the policy config.
	Config map[string]any
	// Now is the time that decides whether an exception has expired.
	Now time.Time
	// Exceptions are those of every rule, by the rule's name.
	Exceptions map[string][]Exception
}

// Kind is the kind of a finding.
type Kind int

// The kinds of findings.
const (
	// Violation says that a resource or the stack violates the rule.
	Violation Kind = iota
	// Excepted is a violation that an exception allows.
	Excepted
	// Unknown says that the rule read a value that is not known yet, and so could not judge.
	Unknown
)

// Finding is one result of a rule.
type Finding struct {
	Kind Kind
	// URN of the resource. Empty for the stack as a whole.
	URN string
	// Path of the value that is unknown or violates the rule. Empty for the resource as a whole.
	Path string
	// Message for people. Empty for [Unknown].
	Message string
}

// Judge runs the rule and returns its findings. A stack rule needs all resources of the stack. A resource rule judges
// each resource of its types and skips the others.
func (r *Rule) Judge(run Run, resources ...*Resource) []Finding {
	e := &evaluation{Run: run, rule: r}
	if r.IsStack() {
		r.Stack(newStack(e, resources))
		return e.findings
	}
	for _, resource := range resources {
		if known, patch := types.Known(resource.Type); slices.Contains(r.Types, known) {
			r.Resource(&Subject{evaluation: e, resource: resource, known: known, patch: patch})
		}
	}
	return e.findings
}

// Remediate returns corrected inputs of a resource. It returns false if the inputs already satisfy the rule, or if the
// rule cannot correct them.
func (r *Rule) Remediate(run Run, resource *Resource, inputs property.Map) (property.Map, bool) {
	violates := func(f Finding) bool { return f.Kind == Violation }
	if r.Remedy == nil || !slices.ContainsFunc(r.Judge(run, resource), violates) {
		return inputs, false
	}
	known, patch := types.Known(resource.Type)
	return r.Remedy(&Subject{
		evaluation: &evaluation{Run: run, rule: r}, resource: resource, known: known, patch: patch,
	}, inputs)
}

// evaluation is one run of a rule and what it has found so far.
type evaluation struct {
	Run
	rule     *Rule
	findings []Finding
}

// unknown adds an [Unknown] finding, once for each value.
func (e *evaluation) unknown(path, urn string) {
	if finding := (Finding{Kind: Unknown, URN: urn, Path: path}); !slices.Contains(e.findings, finding) {
		e.findings = append(e.findings, finding)
	}
}

// violation adds a [Violation], or an [Excepted] if an exception covers the resource. The message shows no credential,
// although the value that a rule refuses can contain one.
func (e *evaluation) violation(path, message string, resource *Resource) {
	message = credential.Text(message)
	kind := Violation
	for _, exception := range e.Exceptions[e.rule.Name] {
		if resource.URN == "" || !exception.covers(resource) {
			continue
		}
		day := exception.Expires.Format(time.DateOnly)
		if !exception.Expired(e.Now) {
			kind = Excepted
			message = fmt.Sprintf("%s\nallowed until %s by %s: %s", message, day, exception.Owner, exception.Reason)
			break
		}
		message += fmt.Sprintf("\nthe exception of %s for this resource expired on %s (%s)", exception.Owner, day,
			exception.Reason)
	}
	if kind == Violation {
		message += "\nfix: " + e.rule.Fix
	}
	e.findings = append(e.findings, Finding{Kind: kind, URN: resource.URN, Path: path, Message: message})
}

// knob returns the configured value of a knob, or its default.
func (e *evaluation) knob(name string) any {
	if value, ok := e.Config[name]; ok {
		return value
	}
	for _, knob := range e.rule.Knobs {
		if knob.Name == name {
			return knob.Default
		}
	}
	panic(fmt.Sprintf("rule %s has no knob %s", e.rule.Name, name))
}

// Number returns the value of a knob.
func (e *evaluation) Number(knob string) float64 { number, _ := e.knob(knob).(float64); return number }

// Text returns the value of a knob.
func (e *evaluation) Text(knob string) string { text, _ := e.knob(knob).(string); return text }

// Flag returns the value of a knob.
func (e *evaluation) Flag(knob string) bool { flag, _ := e.knob(knob).(bool); return flag }

// Texts returns the value of a knob.
func (e *evaluation) Texts(knob string) []string {
	switch list := e.knob(knob).(type) {
	case []string:
		return list
	case []any:
		return stringsOf(list)
	}
	return nil
}
