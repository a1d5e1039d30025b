package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"dbtier/components/consumer"
	"dbtier/components/fault"
)

// Values are the config values of a stack.
type Values struct {
	// File is the name of the stack's file, for errors: Pulumi.prod.yaml.
	File string
	// Keys are the values by their keys without the namespace, for example database.
	Keys map[string]Value
	// SecretsProvider is the secrets provider that the file names; empty for the backend's default.
	SecretsProvider string
	// Strays are the mistakes in keys that are not the tier's: one line each, with file and key.
	Strays []string
	// Unused are the full keys of other namespaces, which neither the tier nor the engine reads.
	Unused []string
	// Exceptions is the value of dbtier-policy:exceptions, in the form in which the policy pack gets it.
	Exceptions string
	// Dates are the texts of the file that YAML reads as dates, by their paths. Programs get another text.
	Dates map[string]string
}

// Value is one config value.
type Value struct {
	// Text is JSON for a list or a map, and plain text for a scalar. Pulumi passes config to programs in this form.
	Text string
	// Secret is true for an encrypted value.
	Secret bool
}

// InvalidError lists every fault of a stack's config.
type InvalidError struct {
	// File is the name of the stack's file.
	File string
	// Faults have paths without the namespace: database.instanceClass.
	Faults []fault.Fault
	// Strays are those of [Values].
	Strays []string
}

func (e *InvalidError) Error() string {
	return strings.Join(append([]string{"the stack's config has faults"}, e.Lines()...), "\n")
}

// Lines returns one line for each fault, with file and key.
func (e *InvalidError) Lines() []string {
	lines := slices.Clone(e.Strays)
	for _, f := range e.Faults {
		lines = append(lines, fmt.Sprintf("%s: %s:%s", e.File, Namespace, f))
	}
	return lines
}

// profileKeys are the keys that the defaults depend on.
var profileKeys = []string{"environment", "profile", "service"}

// Parse decodes and validates the config of a stack. It is pure: outputsOf answers stack references. If the values are
// not valid, the error is an [*InvalidError] with every fault, and the stack holds the values that could be decoded. A
// fault is told once, at a setting that the values have if one of them led to it.
func Parse(values Values, outputsOf OutputsOf) (*Stack, error) {
	outputsOf = once(outputsOf)
	var faults fault.List
	tree := parseKeys(values.Keys, &faults)
	for _, path := range slices.Sorted(maps.Keys(values.Dates)) {
		faults.Add(path, values.Dates[path], "is a date in YAML, which turns it into another text; put it in quotes")
	}
	stack, found := parseTree(tree, outputsOf, faults.Paths())
	found = blame(tree, found, func(changed map[string]any) []fault.Fault {
		_, others := parseTree(changed, outputsOf, faults.Paths())
		return others
	})
	if len(found) > 0 {
		faults.Within("", &fault.Error{Faults: found})
	}
	invalid := &fault.Error{}
	if errors.As(faults.Err(), &invalid) || len(values.Strays) > 0 {
		return stack, &InvalidError{File: values.File, Faults: distinct(invalid.Faults), Strays: values.Strays}
	}
	return stack, nil
}

// distinct drops the repetitions of a fault: two checks can find the same one.
func distinct(faults []fault.Fault) []fault.Fault {
	told := map[string]bool{}
	return slices.DeleteFunc(slices.Clone(faults), func(f fault.Fault) bool {
		before := told[f.String()]
		told[f.String()] = true
		return before
	})
}

// parseTree decodes and validates a tree. unread are the paths of values that could not be read.
func parseTree(tree map[string]any, outputsOf OutputsOf, unread []string) (*Stack, []fault.Fault) {
	var faults fault.List
	var head Stack
	decodeKeys(&faults, tree, &head, func(key string) bool { return slices.Contains(profileKeys, key) })
	stack := Defaults(head.Profile, head.Environment, head.Service)
	decodeKeys(&faults, tree, stack, func(key string) bool { return !slices.Contains(profileKeys, key) })
	unread = append(slices.Clone(unread), faults.Paths()...)
	if !selects(tree, "consumer", "replicas") && stack.Consumer.Autoscaling.Enabled {
		// The default must not contradict the bounds that are given.
		stack.Consumer.Replicas = within(stack.Consumer.Replicas, stack.Consumer.Autoscaling)
	}
	stack.clusterOnly = clusterOnly(tree)
	stack.Pool.checkUnused(&faults, tree)
	missing := stack.resolveReferences(&faults, outputsOf)
	stack.settle()

	var invalid *fault.Error
	if errors.As(stack.Validate(), &invalid) {
		// A key that a reference did not fill is reported by the reference, and a value that could not be read has its
		// fault already.
		invalid.Faults = slices.DeleteFunc(invalid.Faults, func(f fault.Fault) bool {
			return slices.Contains(missing, f.Path) || slices.Contains(stack.Unread, f.Path) ||
				slices.ContainsFunc(unread, func(path string) bool { return isPart(f.Path, path) })
		})
		faults.Within("", invalid)
	}
	if errors.As(faults.Err(), &invalid) {
		return stack, invalid.Faults
	}
	return stack, nil
}

// parseKeys turns each value into a tree of maps, lists and scalars, as encoding/json has them with [json.Number].
func parseKeys(keys map[string]Value, faults *fault.List) map[string]any {
	tree := map[string]any{}
	fields := sections()
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		value := keys[key]
		field, known := fields[key]
		switch {
		case known && value.Secret:
			faults.Add(key, nil, "holds an encrypted value, but the tier takes no secret from its config: "+
				"passwords are generated where they are used")
		case known && field.Kind() != reflect.String:
			tree[key] = parseText(value.Text)
		default:
			tree[key] = value.Text
		}
	}
	return tree
}

func parseText(text string) any {
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	var value any
	if decoder.Decode(&value) != nil {
		return text
	}
	return value
}

// decodeKeys decodes the selected keys of a stack.
func decodeKeys(faults *fault.List, tree map[string]any, stack *Stack, selected func(key string) bool) {
	values := maps.Clone(tree)
	maps.DeleteFunc(values, func(key string, _ any) bool { return !selected(key) })
	decode(faults, "", values, reflect.ValueOf(stack).Elem())
}

// clusterOnly is true if the stack installs the operator and has no section of a service. A service's stack that lost
// its section service by mistake has other sections, so it is not taken for a cluster's.
func clusterOnly(tree map[string]any) bool {
	operator, _ := tree["operator"].(map[string]any)
	return operator["install"] == true && !slices.ContainsFunc(serviceSections, func(key string) bool {
		_, given := tree[key]
		return given
	})
}

// isPart reports whether a path is another one or leads to a part of its value.
func isPart(path, of string) bool {
	rest, ok := strings.CutPrefix(path, of)
	return ok && of != "" && (rest == "" || rest[0] == '.' || rest[0] == '[')
}

// selects reports whether the config gives a key of a section.
func selects(tree map[string]any, section, key string) bool {
	keys, _ := tree[section].(map[string]any)
	_, given := keys[key]
	return given
}

// within returns the number of replicas that is nearest to replicas within the bounds of the autoscaler.
func within(replicas int, bounds consumer.Autoscaling) int {
	if bounds.MinReplicas != 0 {
		replicas = max(replicas, bounds.MinReplicas)
	}
	if bounds.MaxReplicas > 0 {
		replicas = min(replicas, bounds.MaxReplicas)
	}
	return replicas
}
