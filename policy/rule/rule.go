package rule

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/property"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi/policyx"
)

// Severity of what a rule finds.
type Severity int

// Severities, as Pulumi knows them.
const (
	Low Severity = iota + 1
	Medium
	High
	Critical
)

// String is the severity's name.
func (s Severity) String() string {
	return [...]string{"unspecified", "low", "medium", "high", "critical"}[s]
}

// Level is how a violation is taken.
type Level = policyx.EnforcementLevel

// The levels.
const (
	Advisory  = policyx.EnforcementLevelAdvisory
	Mandatory = policyx.EnforcementLevelMandatory
	Disabled  = policyx.EnforcementLevelDisabled
	Remediate = policyx.EnforcementLevelRemediate
)

// LevelName is a level as the policy config file writes it.
func LevelName(level Level) string {
	switch level {
	case Mandatory:
		return "mandatory"
	case Disabled:
		return "disabled"
	case Remediate:
		return "remediate"
	default:
		return "advisory"
	}
}

// LevelOf is the level of a name, the reverse of [LevelName].
func LevelOf(name string) (Level, bool) {
	for _, level := range []Level{Advisory, Mandatory, Disabled, Remediate} {
		if LevelName(level) == name {
			return level, true
		}
	}
	return 0, false
}

// Profile is the kind of stack, which decides the levels where the policy config says nothing.
type Profile string

// The profiles. A stack that does not say what it is, is in production.
const (
	Production  Profile = "production"
	Development Profile = "development"
)

// Levels of a rule by profile.
type Levels struct{ Production, Development Level }

// The usual levels. Each tells what is expected of a stack in production and of one in development.
var (
	// Always holds everywhere: development has no excuse either.
	Always = Levels{Mandatory, Mandatory}
	// InProduction is demanded there and advised elsewhere.
	InProduction = Levels{Mandatory, Advisory}
	// ProductionOnly is no matter of development.
	ProductionOnly = Levels{Mandatory, Disabled}
	// Advice stops nothing.
	Advice = Levels{Advisory, Advisory}
	// AdviceInProduction stops nothing, and is no matter of development.
	AdviceInProduction = Levels{Advisory, Disabled}
	// OptIn is off until the policy config turns it on.
	OptIn = Levels{Disabled, Disabled}
)

// Of is the level in a profile.
func (l Levels) Of(p Profile) Level {
	if p == Development {
		return l.Development
	}
	return l.Production
}

// Knob is a setting of a rule in the policy config.
type Knob struct {
	// Name of the property and what it is for, with its unit.
	Name, Description string
	// Default is a float64, a string, a bool or a []string.
	Default any
}

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

// Rule is one rule of the pack.
type Rule struct {
	// Name in the policy config, for example rds-storage-encrypted.
	Name string
	// Family is the package that the rule is in.
	Family string
	// Summary says what must hold, Why what happens otherwise, and Fix what to do: one sentence each.
	Summary, Why, Fix string
	Severity          Severity
	Levels            Levels
	Knobs             []Knob
	// IDs are the rules of the public catalogues that this one stands for, as package catalogue writes them.
	IDs []string
	// Types are the resource types that a resource rule judges, or that a stack rule reads.
	Types []string
	// Needs are the top-level properties that the rule reads. None means all, and costs the decoding of all.
	Needs []string
	// Resource judges one resource. A rule has either this or Stack.
	Resource func(*Subject)
	// Stack judges all resources together.
	Stack func(*Stack)
	// Remedy puts the inputs of a resource right, and reports whether it changed any. It is asked for what breaks the
	// rule only, where the policy config sets the rule's level to remediate.
	Remedy func(*Subject) (property.Map, bool)
}

// IsStack tells stack rules from resource rules.
func (r *Rule) IsStack() bool { return r.Stack != nil }

// ConfigSchema is the schema of the rule's properties in the policy config: its knobs, and exceptions.
func (r *Rule) ConfigSchema() *policyx.ConfigSchema {
	properties := map[string]map[string]any{exceptionsKey: exceptionsSchema()}
	for _, knob := range r.Knobs {
		properties[knob.Name] = knob.schema()
	}
	return &policyx.ConfigSchema{Properties: properties}
}

// CheckConfig reports every fault of the rule's properties in the policy config, one a line.
func (r *Rule) CheckConfig(properties map[string]any) []string {
	var faults []string
	for _, key := range slices.Sorted(maps.Keys(properties)) {
		if key == exceptionsKey {
			_, wrong := parseExceptions(properties[key])
			for _, fault := range wrong {
				faults = append(faults, r.Name+"."+fault)
			}
			continue
		}
		at := slices.IndexFunc(r.Knobs, func(k Knob) bool { return k.Name == key })
		if at < 0 {
			names := []string{exceptionsKey}
			for _, knob := range r.Knobs {
				names = append(names, knob.Name)
			}
			faults = append(faults, fmt.Sprintf("%s.%s: is no setting of this rule: it has %s", r.Name, key,
				strings.Join(names, ", ")))
			continue
		}
		if want, ok := r.Knobs[at].accepts(properties[key]); !ok {
			faults = append(faults, fmt.Sprintf("%s.%s: %v: want %s", r.Name, key, properties[key], want))
		}
	}
	return faults
}

func (k Knob) accepts(value any) (want string, ok bool) {
	switch k.Default.(type) {
	case float64:
		_, ok = value.(float64)
		return "a number", ok
	case bool:
		_, ok = value.(bool)
		return "true or false", ok
	case []string:
		list, isList := value.([]any)
		return "a list of texts", isList && !slices.ContainsFunc(list,
			func(item any) bool { _, text := item.(string); return !text })
	default:
		_, ok = value.(string)
		return "a text", ok
	}
}

// Policies are the rule as policyx knows rules: one that validates, and one that remediates where the rule can.
func (r *Rule) Policies() []policyx.Policy {
	if r.IsStack() {
		return []policyx.Policy{policyx.NewStackValidationPolicy(r.Name, policyx.StackValidationPolicyArgs{
			Description: r.Summary, EnforcementLevel: r.Levels.Production, ConfigSchema: r.ConfigSchema(),
			ValidateStack: r.validateStack,
		})}
	}
	policies := []policyx.Policy{policyx.NewResourceValidationPolicy(r.Name, policyx.ResourceValidationPolicyArgs{
		Description: r.Summary, EnforcementLevel: r.Levels.Production, ConfigSchema: r.ConfigSchema(),
		ValidateResource: r.validate,
	})}
	if r.Remedy != nil {
		policies = append(policies, policyx.NewResourceRemediationPolicy(r.Name, policyx.ResourceRemediationPolicyArgs{
			Description: r.Summary, ConfigSchema: r.ConfigSchema(), RemediateResource: r.remediate,
		}))
	}
	return policies
}

func (r *Rule) validate(_ context.Context, args policyx.ResourceValidationArgs) error {
	if !slices.Contains(r.Types, args.Resource.Type) {
		return nil
	}
	run := newRun(r, args.Manager, args.Config, args.DryRun)
	r.Resource(&Subject{run: run, resource: &args.Resource})
	return nil
}

func (r *Rule) validateStack(_ context.Context, args policyx.StackValidationArgs) error {
	run := newRun(r, args.Manager, nil, false)
	r.Stack(newStack(run, args.Resources))
	return nil
}

func (r *Rule) remediate(_ context.Context, args policyx.ResourceRemediationArgs) (*property.Map, error) {
	if !slices.Contains(r.Types, args.Resource.Type) {
		return nil, nil
	}
	broken := &counter{}
	run := newRun(r, broken, args.Config, true)
	r.Resource(&Subject{run: run, resource: &args.Resource})
	if broken.count == 0 {
		return nil, nil
	}
	fixed, changed := r.Remedy(&Subject{run: run, resource: &args.Resource})
	if !changed {
		return nil, nil
	}
	return &fixed, nil
}

// counter is a manager that only counts.
type counter struct{ count int }

// ReportViolation counts.
func (c *counter) ReportViolation(string, string) { c.count++ }
