package state

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"google.golang.org/protobuf/types/known/structpb"

	"dbtier/policy/rule"
)

// every is the name by which the policy config file means all rules.
const every = "all"

// environments is the key of the policy config file that names environments of Pulumi ESC, which only the engine can
// open.
const environments = "environments"

// ConfigError is a policy config file with faults.
type ConfigError struct{ error }

// configure reads a policy config file as the engine does: for each rule a level, or an object with enforcementLevel
// and the rule's properties; all is for every rule.
func configure(text []byte, rules []*rule.Rule, profile rule.Profile) (*pulumirpc.ConfigureAnalyzerRequest, error) {
	given := map[string]any{}
	if strings.TrimSpace(string(text)) != "" {
		if err := json.Unmarshal(text, &given); err != nil {
			return nil, &ConfigError{fmt.Errorf("the policy config: want a JSON object by rule: %w", err)}
		}
	}
	delete(given, environments)
	var faults []string
	levels, properties := map[string]rule.Level{}, map[string]map[string]any{}
	for _, name := range slices.Sorted(maps.Keys(given)) {
		if name != every && !slices.ContainsFunc(rules, func(r *rule.Rule) bool { return r.Name == name }) {
			faults = append(faults, name+": is no rule: see `dbtier policy list`")
			continue
		}
		own, _ := given[name].(map[string]any)
		wanted := given[name]
		if own != nil {
			wanted = own["enforcementLevel"]
			delete(own, "enforcementLevel")
		}
		if wanted != nil {
			called, _ := wanted.(string)
			level, ok := rule.LevelOf(called)
			if !ok {
				faults = append(faults, fmt.Sprintf("%s: %v: want advisory, mandatory, remediate or disabled", name,
					wanted))
			}
			levels[name] = level
		}
		properties[name] = own
	}
	if len(faults) > 0 {
		return nil, &ConfigError{fmt.Errorf("the policy config:\n  %s", strings.Join(faults, "\n  "))}
	}
	request := &pulumirpc.ConfigureAnalyzerRequest{PolicyConfig: map[string]*pulumirpc.PolicyConfig{}}
	for _, r := range rules {
		level := r.Levels.Of(profile)
		if all, ok := levels[every]; ok {
			level = all
		}
		if own, ok := levels[r.Name]; ok {
			level = own
		}
		encoded, err := structpb.NewStruct(properties[r.Name])
		if err != nil {
			return nil, &ConfigError{fmt.Errorf("the policy config: %s: %w", r.Name, err)}
		}
		request.PolicyConfig[r.Name] = &pulumirpc.PolicyConfig{
			EnforcementLevel: pulumirpc.EnforcementLevel(level), Properties: encoded,
		}
	}
	return request, nil
}
