package rds

import (
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/property"

	"dbtier/policy/rule"
	"dbtier/policy/types"
)

func tags() *rule.Rule {
	return &rule.Rule{
		Name:     "aws-tags",
		Summary:  "Resources on AWS have the required tags.",
		Why:      "Cost reports, and access rules that use tags, need them.",
		Fix:      "set the tags here or as the provider's defaultTags, or set values and the level remediate",
		Severity: rule.Low, Levels: rule.Advice,
		Knobs: []rule.Knob{
			{Name: "tags", Description: "The required tags.", Default: []string{"environment", "service"}},
			{Name: "values", Description: "Tags that a remediation adds, as name=value.", Default: []string{}},
		},
		IDs: []string{"tier:tags"},
		Types: []string{
			types.DBInstance, types.DBCluster, types.DBClusterInstance, types.DBParameterGroup,
			types.DBClusterParameterGroup, types.DBSnapshot, types.DBClusterSnapshot, types.DBEventSubscription,
			types.DBProxy, types.DBSubnetGroup, types.LogGroup, types.Key, types.IAMRole, types.IAMPolicy,
			types.SecurityGroup, types.ManagedSecret, types.MetricAlarm,
		},
		Resource: func(s *rule.Subject) {
			tags := s.Get("tags")
			if !tags.Known() {
				return
			}
			defaults := s.Provider("defaultTags")
			// The config of a provider contains objects as JSON.
			var encoded struct{ Tags map[string]string }
			defaults.JSON(&encoded)
			var missing []string
			for _, name := range s.Texts("tags") {
				if tags.Get(name).Missing() && encoded.Tags[name] == "" && defaults.Get("tags", name).Missing() {
					missing = append(missing, name)
				}
			}
			if len(missing) > 0 {
				tags.Fail("lacks %s", strings.Join(missing, ", "))
			}
		},
		Remedy: func(s *rule.Subject, inputs property.Map) (property.Map, bool) {
			changed := false
			tags := inputs.Get("tags")
			if !tags.IsMap() {
				tags = property.New(map[string]property.Value{})
			}
			for _, pair := range s.Texts("values") {
				name, value, ok := strings.Cut(pair, "=")
				if _, has := tags.AsMap().GetOk(name); ok && !has && slices.Contains(s.Texts("tags"), name) {
					tags = property.WithGoValue(tags, tags.AsMap().Set(name, property.New(value)))
					changed = true
				}
			}
			return inputs.Set("tags", tags), changed
		},
	}
}
