package rule

import (
	"slices"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi/policyx"
)

// Stack is all resources of a stack, as a stack rule sees them.
type Stack struct {
	run      *run
	subjects []Subject
	byType   map[string][]*Subject
	// byURN is made when it is asked for.
	byURN map[string]*Subject
}

func newStack(run *run, resources []policyx.AnalyzerResource) *Stack {
	s := &Stack{
		run: run, subjects: make([]Subject, len(resources)),
		byType: make(map[string][]*Subject, len(run.rule.Types)),
	}
	for _, resourceType := range run.rule.Types {
		s.byType[resourceType] = nil
	}
	for i := range resources {
		s.subjects[i] = Subject{run: run, resource: &resources[i]}
		if of, read := s.byType[resources[i].Type]; read {
			s.byType[resources[i].Type] = append(of, &s.subjects[i])
		}
	}
	return s
}

// All are the resources of these types, each in the order of the stack. The rule must name the types.
func (s *Stack) All(types ...string) []*Subject {
	if len(types) == 1 {
		return s.byType[types[0]]
	}
	var found []*Subject
	for _, resourceType := range types {
		found = append(found, s.byType[resourceType]...)
	}
	return found
}

// Find is the resource of a URN, or nil.
func (s *Stack) Find(urn string) *Subject {
	if s.byURN == nil {
		s.byURN = make(map[string]*Subject, len(s.subjects))
		for i := range s.subjects {
			s.byURN[s.subjects[i].URN()] = &s.subjects[i]
		}
	}
	return s.byURN[urn]
}

// Number is a knob of the rule.
func (s *Stack) Number(knob string) float64 { return s.run.number(knob) }

// Text is a knob of the rule.
func (s *Stack) Text(knob string) string { return s.run.text(knob) }

// Texts are a knob of the rule.
func (s *Stack) Texts(knob string) []string { return s.run.texts(knob) }

// Now is the time by which exceptions expire.
func (s *Stack) Now() time.Time { return s.run.now }

// Exceptions are those of every rule, by its name.
func (s *Stack) Exceptions() map[string][]Exception {
	if s.run.extended == nil {
		return nil
	}
	return s.run.extended.Exceptions()
}

// DependedOn are the URNs that some resource depends on.
func (s *Stack) DependedOn() map[string]bool {
	used := map[string]bool{}
	for i := range s.subjects {
		for _, urn := range s.subjects[i].Dependencies() {
			used[urn] = true
		}
	}
	return used
}

// DryRun tells a preview from an update.
func (s *Stack) DryRun() bool { return s.run.dryRun }

// Fail reports a violation of the stack as a whole.
func (s *Stack) Fail(format string, args ...any) {
	(&Subject{run: s.run, resource: &policyx.AnalyzerResource{}}).fail("", format, args)
}

// Follows tells whether a resource waits for another: by a dependency, by one of its parent, or through others that
// wait. A stack rule sees the resources between them only if it names their types, so the pack hands it the
// dependencies of all.
func (s *Stack) Follows(later, earlier *Subject) bool {
	seen := map[string]bool{}
	var visit func(at *Subject) bool
	visit = func(at *Subject) bool {
		before := at.Dependencies()
		if at.Parent() != "" {
			before = append(slices.Clone(before), at.Parent())
		}
		for _, urn := range before {
			if urn == earlier.URN() {
				return true
			}
			if next := s.Find(urn); next != nil && !seen[urn] {
				seen[urn] = true
				if visit(next) {
					return true
				}
			}
		}
		return false
	}
	return visit(later)
}
