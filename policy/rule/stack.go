package rule

import (
	"slices"

	"dbtier/policy/types"
)

// Stack is all resources of a stack, as a stack rule sees them.
type Stack struct {
	*evaluation
	subjects []Subject
	byType   map[string][]*Subject
	// byURN is filled on first use.
	byURN map[string]*Subject
}

func newStack(e *evaluation, resources []*Resource) *Stack {
	s := &Stack{
		evaluation: e, subjects: make([]Subject, len(resources)),
		byType: make(map[string][]*Subject, len(e.rule.Types)),
	}
	for _, resourceType := range e.rule.Types {
		s.byType[resourceType] = nil
	}
	for i, resource := range resources {
		known, patch := types.Known(resource.Type)
		s.subjects[i] = Subject{evaluation: e, resource: resource, known: known, patch: patch}
		// A patch is not a further object of the stack.
		if of, read := s.byType[known]; read && !patch {
			s.byType[known] = append(of, &s.subjects[i])
		}
	}
	return s
}

// All returns the resources of the given types, each type in the order of the stack. The rule must list the types.
func (s *Stack) All(kinds ...string) []*Subject {
	if len(kinds) == 1 {
		return s.byType[kinds[0]]
	}
	var found []*Subject
	for _, resourceType := range kinds {
		found = append(found, s.byType[resourceType]...)
	}
	return found
}

// Find returns the resource with a URN, or nil.
func (s *Stack) Find(urn string) *Subject {
	if s.byURN == nil {
		s.byURN = make(map[string]*Subject, len(s.subjects))
		for i := range s.subjects {
			s.byURN[s.subjects[i].URN()] = &s.subjects[i]
		}
	}
	return s.byURN[urn]
}

// Has reports whether the stack has the resource of an exception.
func (s *Stack) Has(exception Exception) bool {
	return slices.ContainsFunc(s.subjects, func(subject Subject) bool { return exception.covers(subject.resource) })
}

// FindAll returns the resources of a type among URNs.
func (s *Stack) FindAll(resourceType string, urns []string) []*Subject {
	var found []*Subject
	for _, urn := range urns {
		if subject := s.Find(urn); subject != nil && subject.Type() == resourceType && !subject.patch {
			found = append(found, subject)
		}
	}
	return found
}

// Companions are resources that change another resource of the stack, such as a key's policy, by what they name.
type Companions struct {
	byURN, byValue map[string][]*Subject
}

// Companions returns the resources of types that name another resource in the property key. The rule must list the
// types.
func (s *Stack) Companions(key string, kinds ...string) Companions {
	c := Companions{map[string][]*Subject{}, map[string][]*Subject{}}
	for _, one := range s.All(kinds...) {
		for _, urn := range one.DependenciesOf(key) {
			c.byURN[urn] = append(c.byURN[urn], one)
		}
		// A value that is not known yet has a dependency.
		if value := one.Get(key); !value.unknown() {
			if text, ok := value.Text(""); ok && text != "" {
				c.byValue[text] = append(c.byValue[text], one)
			}
		}
	}
	return c
}

// Of returns the companions of a resource: those that depend on it by the property, and those whose property is equal
// to one of its own at the keys.
func (c Companions) Of(subject *Subject, keys ...string) []*Subject {
	found := c.byURN[subject.URN()]
	for _, key := range keys {
		value := subject.Get(key)
		if value.unknown() || value.Missing() {
			continue
		}
		if text, ok := value.Text(""); ok && text != "" {
			for _, one := range c.byValue[text] {
				if !slices.Contains(found, one) {
					found = append(slices.Clip(found), one)
				}
			}
		}
	}
	return found
}

// DependedOn returns the URNs that at least one resource depends on.
func (s *Stack) DependedOn() map[string]bool {
	used := map[string]bool{}
	for i := range s.subjects {
		for _, urn := range s.subjects[i].Dependencies() {
			used[urn] = true
		}
	}
	return used
}

// Fail reports a violation by the stack as a whole.
func (s *Stack) Fail(format string, args ...any) {
	(&Subject{evaluation: s.evaluation, resource: &Resource{}}).fail("", "", format, args)
}

// Follows reports whether Pulumi creates later after earlier: because of a dependency, a dependency of its parent, or a
// chain of both.
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
