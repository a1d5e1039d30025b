package pack

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/property"

	"dbtier/policy/rule"
	"dbtier/policy/types"
)

// Pack is a list of rules.
type Pack struct {
	Name, Version, Description string
	Rules                      []*rule.Rule
	// Now is the clock that decides whether an exception has expired. Default time.Now.
	Now func() time.Time
}

// Every is the name that means all rules in the policy config.
const Every = "all"

// Setting is what the policy config says about a rule.
type Setting struct {
	Level rule.Level
	// Properties are the values of knobs, and exceptions.
	Properties map[string]any
}

// Finding is a finding of a rule, at the rule's level.
type Finding struct {
	rule.Finding
	Rule *rule.Rule
	// Level is advisory for a violation that an exception allows, and for an unknown value.
	Level rule.Level
}

// Text returns the requirement, and what is wrong.
func (f *Finding) Text() string {
	message := f.Message
	if f.Kind == rule.Unknown {
		message = f.Path + ": is not known, so this rule was not evaluated"
	}
	return f.Rule.Summary + "\n" + message
}

// Remediation is the corrected inputs of a resource.
type Remediation struct {
	Rule   *rule.Rule
	Inputs property.Map
}

// Session judges the resources of one stack. It can be used by several goroutines.
type Session struct {
	Pack
	// byType are the resource rules of a type. stacks are the stack rules.
	byType map[string][]*rule.Rule
	stacks []*rule.Rule
	// keeps are the types whose inputs stack rules read.
	keeps map[string]bool

	mu sync.RWMutex
	// inputs are those of resources of these types, by URN.
	inputs   map[string]rule.Properties
	profile  rule.Profile
	settings map[string]Setting
	// exceptions are those of the policy config and of the stack's config together, by the name of the rule.
	exceptions, ofConfig, ofStack map[string][]rule.Exception
}

// NewSession returns a session for a stack of the given profile.
func NewSession(pack Pack, profile rule.Profile) *Session {
	if pack.Now == nil {
		pack.Now = time.Now
	}
	s := &Session{
		Pack: pack, profile: profile, byType: map[string][]*rule.Rule{}, keeps: map[string]bool{},
		inputs: map[string]rule.Properties{},
	}
	for _, r := range pack.Rules {
		if r.IsStack() {
			s.stacks = append(s.stacks, r)
			for _, resourceType := range r.Inputs {
				s.keeps[resourceType] = true
			}
			continue
		}
		for _, resourceType := range r.Types {
			s.byType[resourceType] = append(s.byType[resourceType], r)
		}
	}
	return s
}

// SetProfile changes the profile.
func (s *Session) SetProfile(profile rule.Profile) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.profile = profile
}

// Configure sets what the policy config says, by the name of the rule. It returns an error with all faults of the
// properties, and of names that are not rules: the engine passes such names on.
func (s *Session) Configure(settings map[string]Setting) error {
	exceptions := map[string][]rule.Exception{}
	var faults []string
	for name, setting := range settings {
		at := slices.IndexFunc(s.Rules, func(r *rule.Rule) bool { return r.Name == name })
		switch {
		case at >= 0:
			faults = append(faults, s.Rules[at].CheckConfig(setting.Properties)...)
			if of := rule.ExceptionsOf(setting.Properties); len(of) > 0 {
				exceptions[name] = of
			}
		case name != Every:
			faults = append(faults, UnknownRule(name))
		}
	}
	if err := ConfigError(faults); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settings, s.ofConfig = maps.Clone(settings), exceptions
	s.mergeExceptions()
	return nil
}

// UnknownRule is the fault of a name in the policy config that is not a rule.
func UnknownRule(name string) string {
	return name + ": is not a rule of this pack: see `dbtier policy list`"
}

// ConfigError returns an error with the faults of a policy config, or nil if there are none.
func ConfigError(faults []string) error {
	if len(faults) == 0 {
		return nil
	}
	return fmt.Errorf("the policy config:\n  %s", strings.Join(slices.Sorted(slices.Values(faults)), "\n  "))
}

// Level returns the level of a rule if the policy config does not set one.
func (s *Session) Level(r *rule.Rule) rule.Level {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return r.Levels.Of(s.profile)
}

// run returns a rule's level, and how to run it.
func (s *Session) run(r *rule.Rule) (rule.Level, rule.Run) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	setting, ok := s.settings[r.Name]
	if !ok {
		setting.Level = r.Levels.Of(s.profile)
	}
	return setting.Level, rule.Run{Config: setting.Properties, Exceptions: s.exceptions, Now: s.Now()}
}

// Judges reports whether [Session.Resource] needs resources of a type.
func (s *Session) Judges(resourceType string) bool {
	return len(s.of(resourceType)) > 0 || s.keeps[resourceType]
}

// of returns the resource rules about a type.
func (s *Session) of(resourceType string) []*rule.Rule {
	known, _ := types.Known(resourceType)
	return s.byType[known]
}

// Resource judges one resource by the resource rules. The resource has the inputs of the program.
func (s *Session) Resource(resource *rule.Resource) []Finding {
	if s.keeps[resource.Type] {
		s.mu.Lock()
		s.inputs[resource.URN] = resource.Properties
		s.mu.Unlock()
	}
	return s.judge(s.of(resource.Type), resource)
}

// Stack judges all resources by the stack rules. The resources have the outputs of the cloud. Their inputs are those of
// [Session.Resource].
func (s *Session) Stack(resources []*rule.Resource) []Finding {
	s.mu.RLock()
	for _, resource := range resources {
		if s.keeps[resource.Type] {
			resource.Inputs = s.inputs[resource.URN]
		}
	}
	s.mu.RUnlock()
	return s.judge(s.stacks, resources...)
}

func (s *Session) judge(rules []*rule.Rule, resources ...*rule.Resource) []Finding {
	var findings []Finding
	for _, r := range rules {
		level, run := s.run(r)
		if level == rule.Disabled {
			continue
		}
		for _, found := range r.Judge(run, resources...) {
			finding := Finding{Finding: found, Rule: r, Level: level}
			if found.Kind != rule.Violation {
				finding.Level = rule.Advisory
			}
			findings = append(findings, finding)
		}
	}
	return findings
}

// Remediates reports whether a rule on a type has the level remediate and can correct inputs.
func (s *Session) Remediates(resourceType string) bool {
	return slices.ContainsFunc(s.of(resourceType), s.remediates)
}

func (s *Session) remediates(r *rule.Rule) bool {
	level, _ := s.run(r)
	return r.Remedy != nil && level == rule.Remediate
}

// Remediate corrects the inputs of a resource by each rule with the level remediate. Each rule sees the corrections of
// the rules before it.
func (s *Session) Remediate(resource rule.Resource, inputs property.Map) []Remediation {
	var done []Remediation
	for _, r := range s.of(resource.Type) {
		if !s.remediates(r) {
			continue
		}
		_, run := s.run(r)
		resource.Properties = inputs
		if fixed, changed := r.Remediate(run, &resource, inputs); changed {
			inputs = fixed
			done = append(done, Remediation{Rule: r, Inputs: fixed})
		}
	}
	return done
}
