package pack

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"dbtier/policy/rule"
)

// ExceptionsKey is the key of the stack's config with exceptions: lists by the name of the rule.
const ExceptionsKey = "dbtier-policy:exceptions"

// StackExceptions reads the value of [ExceptionsKey], which is JSON, and returns the exceptions by the name of the
// rule. The error has all faults.
func StackExceptions(rules []*rule.Rule, text string) (map[string][]rule.Exception, error) {
	if text == "" {
		return nil, nil
	}
	var given map[string]any
	if json.Unmarshal([]byte(text), &given) != nil {
		return nil, fmt.Errorf("%s: want a list of exceptions for each rule: {<rule>: [{resource: <name>, "+
			"owner: <team>, reason: <why>, expires: <YYYY-MM-DD>}]}", ExceptionsKey)
	}
	exceptions := map[string][]rule.Exception{}
	var faults []string
	for _, name := range slices.Sorted(maps.Keys(given)) {
		at := slices.IndexFunc(rules, func(r *rule.Rule) bool { return r.Name == name })
		properties := map[string]any{"exceptions": given[name]}
		if at < 0 {
			faults = append(append(faults, UnknownRule(name)), rule.ExceptionFaults(name, properties)...)
			continue
		}
		faults = append(faults, rules[at].CheckConfig(properties)...)
		exceptions[name] = rule.ExceptionsOf(properties)
	}
	if len(faults) > 0 {
		return nil, fmt.Errorf("%s:\n  %s", ExceptionsKey, strings.Join(faults, "\n  "))
	}
	return exceptions, nil
}

// Except adds the exceptions of the stack's config to those of the policy config.
func (s *Session) Except(exceptions map[string][]rule.Exception) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ofStack = exceptions
	s.mergeExceptions()
}

// mergeExceptions is done when one of the two configs is read, and not for each rule and resource. The caller holds the
// lock.
func (s *Session) mergeExceptions() {
	s.exceptions = map[string][]rule.Exception{}
	for _, some := range []map[string][]rule.Exception{s.ofConfig, s.ofStack} {
		for name, of := range some {
			s.exceptions[name] = slices.Concat(s.exceptions[name], of)
		}
	}
}
