package rule

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/property"
)

// Waiting is what a preview says of rules that it cannot evaluate yet. The number of rules precedes it, a list of the
// values follows it, one a line.
const Waiting = "policies will be evaluated during the update, when these values are known"

// Severity says how serious a violation is.
type Severity int32

// The severities of Pulumi.
const (
	Low Severity = iota + 1
	Medium
	High
	Critical
)

// String returns the severity's name in lower case.
func (s Severity) String() string {
	return [...]string{"unspecified", "low", "medium", "high", "critical"}[s]
}

// Level says what a violation does. The numbers are those of Pulumi's protocol.
type Level int32

// The enforcement levels of Pulumi.
const (
	Advisory Level = iota
	Mandatory
	Disabled
	Remediate
)

var levelNames = map[Level]string{
	Advisory: "advisory", Mandatory: "mandatory", Disabled: "disabled", Remediate: "remediate",
}

// LevelName returns the name of a level in the policy config file.
func LevelName(level Level) string { return levelNames[level] }

// LevelOf returns the level with the given name. It is the reverse of [LevelName].
func LevelOf(name string) (level Level, ok bool) {
	for level, known := range levelNames {
		if known == name {
			return level, true
		}
	}
	return 0, false
}

// Profile is the kind of a stack. It decides the level of each rule that the policy config does not set.
type Profile string

// The profiles. Production is the default.
const (
	Production  Profile = "production"
	Development Profile = "development"
)

// Levels are the levels of a rule by profile.
type Levels struct{ Production, Development Level }

// The usual levels.
var (
	// Always is mandatory in both profiles.
	Always = Levels{Mandatory, Mandatory}
	// InProduction is mandatory in production and advisory in development.
	InProduction = Levels{Mandatory, Advisory}
	// ProductionOnly is mandatory in production and disabled in development.
	ProductionOnly = Levels{Mandatory, Disabled}
	// Advice is advisory in both profiles.
	Advice = Levels{Advisory, Advisory}
	// AdviceInProduction is advisory in production and disabled in development.
	AdviceInProduction = Levels{Advisory, Disabled}
	// OptIn is disabled until the policy config enables it.
	OptIn = Levels{Disabled, Disabled}
)

// Of returns the level in a profile.
func (l Levels) Of(p Profile) Level {
	if p == Development {
		return l.Development
	}
	return l.Production
}

// Rule is one rule of the pack.
type Rule struct {
	// Name in the policy config, for example rds-storage-encrypted.
	Name string
	// Family is the package that the rule is in. [Family] sets it.
	Family string
	// Summary is the requirement, Why the reason for it, and Fix what to do about a violation: one sentence each.
	Summary, Why, Fix string
	Severity          Severity
	Levels            Levels
	Knobs             []Knob
	// IDs are the rules of public catalogues that this rule covers, as package catalogue writes them.
	IDs []string
	// Types are the resource types that a resource rule judges or that a stack rule reads.
	Types []string
	// Inputs are the types of which a stack rule also reads what the program sets, with [Subject.Input].
	Inputs []string
	// Resource judges one resource. Each rule sets either Resource or Stack.
	Resource func(*Subject)
	// Stack judges all resources of a stack together.
	Stack func(*Stack)
	// Remedy returns corrected inputs of a resource, and false if it changed nothing. Optional. It is only called for a
	// resource that violates the rule, and only at the level remediate.
	Remedy func(s *Subject, inputs property.Map) (property.Map, bool)
}

// Family sets the family of rules, and the types of those that have none.
func Family(name string, types []string, rules ...*Rule) []*Rule {
	for _, r := range rules {
		r.Family = name
		if r.Types == nil {
			r.Types = types
		}
	}
	return rules
}

// IsStack reports whether the rule judges a whole stack and not single resources.
func (r *Rule) IsStack() bool { return r.Stack != nil }

// Knob is a setting of a rule in the policy config.
type Knob struct {
	// Name is the property's name. Description says what it is for, with its unit.
	Name, Description string
	// Default is a float64, a string, a bool or a []string.
	Default any
}

// schema returns the JSON schema of the knob. Its default has the types that JSON decodes to.
func (k Knob) schema() map[string]any {
	schema := map[string]any{"description": k.Description, "default": k.Default}
	switch value := k.Default.(type) {
	case float64:
		schema["type"] = "number"
	case bool:
		schema["type"] = "boolean"
	case []string:
		list := make([]any, len(value))
		for i, text := range value {
			list[i] = text
		}
		schema["type"], schema["items"], schema["default"] = "array", map[string]any{"type": "string"}, list
	default:
		schema["type"] = "string"
	}
	return schema
}

// accepts reports whether the knob takes a value, and which values it wants.
func (k Knob) accepts(value any) (want string, ok bool) {
	switch k.Default.(type) {
	case float64:
		_, ok = value.(float64)
		return "a number", ok
	case bool:
		_, ok = value.(bool)
		return "true or false", ok
	case []string:
		list, ok := value.([]any)
		return "a list of strings", ok && len(stringsOf(list)) == len(list)
	default:
		_, ok = value.(string)
		return "a string", ok
	}
}

// stringsOf returns the strings of a list and leaves other items out.
func stringsOf(list []any) []string {
	texts := make([]string, 0, len(list))
	for _, item := range list {
		if text, ok := item.(string); ok {
			texts = append(texts, text)
		}
	}
	return texts
}

// ConfigSchema returns the JSON schemas of the rule's properties in the policy config: its knobs, and exceptions.
func (r *Rule) ConfigSchema() map[string]any {
	properties := map[string]any{exceptionsKey: exceptionsSchema()}
	for _, knob := range r.Knobs {
		properties[knob.Name] = knob.schema()
	}
	return properties
}

// CheckConfig returns every fault of the rule's properties in the policy config, one per line.
func (r *Rule) CheckConfig(properties map[string]any) []string {
	var faults []string
	for _, key := range slices.Sorted(maps.Keys(properties)) {
		if key == exceptionsKey {
			faults = append(faults, ExceptionFaults(r.Name, properties)...)
			continue
		}
		at := slices.IndexFunc(r.Knobs, func(k Knob) bool { return k.Name == key })
		if at < 0 {
			names := []string{exceptionsKey}
			for _, knob := range r.Knobs {
				names = append(names, knob.Name)
			}
			faults = append(faults, fmt.Sprintf("%s.%s: is not a setting of this rule: want %s", r.Name, key,
				strings.Join(names, ", ")))
			continue
		}
		if want, ok := r.Knobs[at].accepts(properties[key]); !ok {
			faults = append(faults, fmt.Sprintf("%s.%s: %v: want %s", r.Name, key, properties[key], want))
		}
	}
	return faults
}
