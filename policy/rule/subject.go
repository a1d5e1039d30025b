package rule

import (
	"fmt"
	"slices"
)

// Secret is the text that messages show instead of a secret value.
const Secret = "(secret)"

// Subject is a resource that a rule reads.
type Subject struct {
	*evaluation
	resource *Resource
	// known is the type under which the rule knows the resource. patch says that the resource changes an object.
	known string
	patch bool
	// tainted is set when the rule has read a secret of the resource.
	tainted bool
}

// URN returns the resource's URN.
func (s *Subject) URN() string { return s.resource.URN }

// Type returns the resource's type token, as package types knows it.
func (s *Subject) Type() string { return s.known }

// Name returns the resource's logical name.
func (s *Subject) Name() string { return s.resource.Name }

// Parent returns the URN of the resource's parent, or "".
func (s *Subject) Parent() string { return s.resource.Parent }

// Dependencies returns the URNs that the resource depends on. It is empty for resource rules.
func (s *Subject) Dependencies() []string { return s.resource.Dependencies }

// DependenciesOf returns the URNs that an input depends on. It is empty for resource rules.
func (s *Subject) DependenciesOf(key string) []string { return s.resource.PropertyDependencies[key] }

// Protected reports whether Pulumi refuses to delete the resource.
func (s *Subject) Protected() bool { return s.resource.Protected }

// Get returns the value at a path of keys. Without keys it returns the resource itself, of which [Value.Get] reads
// members.
func (s *Subject) Get(keys ...string) Value {
	return Value{subject: s, members: s.resource.Properties, found: true, partial: s.patch}.Get(keys...)
}

// Input returns what the program sets at a path of keys. Get of a stack rule returns what the cloud answered, which has
// defaults too. The rule must list the type in [Rule.Inputs].
func (s *Subject) Input(keys ...string) Value {
	return Value{subject: s, members: s.resource.Inputs, found: true}.Get(keys...)
}

// Provider returns a property of the resource's provider. It is missing for stack rules.
func (s *Subject) Provider(key string) Value {
	return Value{subject: s, members: s.resource.Provider, found: true}.Get(key)
}

// Fail reports a violation by the resource as a whole. Put values into args: after the rule has read a secret, the
// message shows [Secret] instead of them.
func (s *Subject) Fail(format string, args ...any) { s.fail("", "", format, args) }

func (s *Subject) fail(path, prefix, format string, args []any) {
	if s.tainted {
		args = slices.Clone(args)
		for i := range args {
			args[i] = hidden{}
		}
	}
	s.violation(path, prefix+fmt.Sprintf(format, args...), s.resource)
}

// hidden prints as [Secret] with every verb.
type hidden struct{}

// Format implements fmt.Formatter.
func (hidden) Format(state fmt.State, _ rune) { fmt.Fprint(state, Secret) }
