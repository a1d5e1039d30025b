package state

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"dbtier/policy/pack"
	"dbtier/policy/rule"
)

// environments is the key of the policy config file that names environments of Pulumi ESC. Only the engine can open
// them.
const environments = "environments"

// ConfigError is a fault of the policy config file.
type ConfigError struct{ error }

// syntax is the error of a text that is not JSON, and nothing for JSON of another type, whose error names Go types.
func syntax(err error) string {
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		return fmt.Sprintf(": at byte %d: %s", syntax.Offset, err)
	}
	return ""
}

// decode returns what a policy config file gives for each rule. An empty file gives nothing.
func decode(text []byte) (map[string]any, error) {
	given := map[string]any{}
	if strings.TrimSpace(string(text)) == "" {
		return given, nil
	}
	if err := json.Unmarshal(text, &given); err != nil {
		return nil, fmt.Errorf("want a JSON object with the names of rules%s", syntax(err))
	}
	return given, nil
}

// CheckForm returns a [*ConfigError] if a text does not have the form of a policy config file.
func CheckForm(text []byte) error {
	if _, err := decode(text); err != nil {
		return &ConfigError{err}
	}
	return nil
}

// CheckConfig returns a [*ConfigError] with every fault of a policy config file for a pack.
func CheckConfig(p pack.Pack, text []byte) error {
	settings, err := configure(text, p.Rules, rule.Production)
	if err == nil {
		err = pack.NewSession(p, rule.Production).Configure(settings)
	}
	if err != nil {
		return &ConfigError{err}
	}
	return nil
}

// configure returns what a policy config file says about each rule. As for the engine, the file has for each rule a
// level, or an object with enforcementLevel and the rule's properties. The name all sets every rule.
func configure(text []byte, rules []*rule.Rule, profile rule.Profile) (map[string]pack.Setting, error) {
	given, err := decode(text)
	if err != nil {
		return nil, err
	}
	delete(given, environments)
	var faults []string
	levels, properties := map[string]rule.Level{}, map[string]map[string]any{}
	for _, name := range slices.Sorted(maps.Keys(given)) {
		if name != pack.Every && !slices.ContainsFunc(rules, func(r *rule.Rule) bool { return r.Name == name }) {
			faults = append(faults, pack.UnknownRule(name))
			if own, _ := given[name].(map[string]any); own != nil {
				faults = append(faults, rule.ExceptionFaults(name, own)...)
			}
			continue
		}
		own, _ := given[name].(map[string]any)
		wanted := given[name]
		if own != nil {
			wanted = own["enforcementLevel"]
			delete(own, "enforcementLevel")
		}
		properties[name] = own
		if wanted == nil {
			continue
		}
		called, _ := wanted.(string)
		level, ok := rule.LevelOf(called)
		if !ok {
			faults = append(faults, fmt.Sprintf("%s: %v: want advisory, mandatory, remediate or disabled", name,
				wanted))
		}
		levels[name] = level
	}
	settings := map[string]pack.Setting{}
	for _, r := range rules {
		setting := pack.Setting{Level: r.Levels.Of(profile), Properties: properties[r.Name]}
		for _, name := range []string{pack.Every, r.Name} {
			if level, ok := levels[name]; ok {
				setting.Level = level
			}
		}
		settings[r.Name] = setting
		faults = append(faults, r.CheckConfig(setting.Properties)...)
	}
	return settings, pack.ConfigError(faults)
}
