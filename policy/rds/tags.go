package rds

import (
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/property"

	"dbtier/policy/rule"
)

// taggable are the types of this pack that have tags.
var taggable = []string{
	instance, cluster, clusterInstance, parameterGroup, clusterParameters, snapshot, clusterSnapshot, eventSubscription,
	proxy, logGroup,
	"aws:rds/subnetGroup:SubnetGroup", "aws:kms/key:Key", "aws:iam/role:Role", "aws:iam/policy:Policy",
	"aws:ec2/securityGroup:SecurityGroup",
	"aws:secretsmanager/secret:Secret", "aws:cloudwatch/metricAlarm:MetricAlarm",
}

func tags() *rule.Rule {
	return &rule.Rule{
		Name: "aws-tags", Family: family,
		Summary: "Resources on AWS say whose they are.",
		Why:     "Costs, and rights by tag, belong to nobody without.",
		Fix: "set the tags, on the resource or as the provider's defaultTags; with the rule's level at " +
			"remediate, those of values are added",
		Severity: rule.Low,
		Levels:   rule.Advice,
		Knobs: []rule.Knob{
			{Name: "tags", Description: "The tags that there must be.", Default: []string{"environment", "service"}},
			{
				Name: "values", Description: "Values of tags that a remediation adds, as name=value.",
				Default: []string{},
			},
		},
		IDs: []string{"tier:tags"}, Types: taggable, Needs: []string{"tags"},
		Resource: func(s *rule.Subject) {
			tags := s.Get("tags")
			if !tags.Known() {
				return
			}
			defaults := s.Provider("defaultTags")
			var common struct{ Tags map[string]string }
			// The configuration of a provider has objects as JSON.
			defaults.JSON(&common)
			var missing []string
			for _, name := range s.Texts("tags") {
				if tags.Get(name).Missing() && common.Tags[name] == "" && defaults.Get("tags").Get(name).Missing() {
					missing = append(missing, name)
				}
			}
			if len(missing) > 0 {
				tags.Fail("lacks %s", strings.Join(missing, ", "))
			}
		},
		Remedy: func(s *rule.Subject) (property.Map, bool) {
			properties, changed := s.Properties(), false
			tags := properties.Get("tags")
			if !tags.IsMap() {
				tags = property.New(map[string]property.Value{})
			}
			for _, pair := range s.Texts("values") {
				name, value, ok := strings.Cut(pair, "=")
				if _, has := tags.AsMap().GetOk(name); !ok || has || !slices.Contains(s.Texts("tags"), name) {
					continue
				}
				tags, changed = property.WithGoValue(tags, tags.AsMap().Set(name, property.New(value))), true
			}
			return properties.Set("tags", tags), changed
		},
	}
}
