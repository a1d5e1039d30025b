package main

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"dbtier/components/componenttest"
	"dbtier/policy/registry"
	"dbtier/policy/rule"
	"dbtier/policy/ruletest"
)

// try runs the program with a stack config, as an administrator of another partition than the usual one.
func try(config map[string]string) (*componenttest.Recording, error) {
	return componenttest.Try(deploy, componenttest.Config(config),
		componenttest.Invoke("aws:index/getCallerIdentity:getCallerIdentity", map[string]any{
			"accountId": "123456789012", "arn": "arn:aws-us-gov:iam::123456789012:user/admin",
		}))
}

func TestTheBucketAndTheKeyPassTheRulesOfProduction(t *testing.T) {
	recorded, err := try(map[string]string{"bootstrap:name": "example-state", "aws:region": "eu-central-1"})
	require.NoError(t, err)
	var resources []*ruletest.Resource
	for _, r := range recorded.Each() {
		if r.Custom {
			resources = append(resources, &ruletest.Resource{Type: r.Type, Name: r.Name, Inputs: r.Inputs})
		}
	}
	assert.Len(t, resources, 8)
	answer := ruletest.Judge(t, ruletest.Setup{Profile: rule.Production}, registry.All(), resources...)
	assert.Empty(t, answer.Mandatory())
}

func TestMissingSettingsAreNamed(t *testing.T) {
	_, err := try(map[string]string{"aws:region": "eu-central-1"})
	require.ErrorContains(t, err, "bootstrap:name is missing")
	_, err = try(map[string]string{"bootstrap:name": "example-state"})
	require.ErrorContains(t, err, "aws:region is missing")
}
