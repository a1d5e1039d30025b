package main

import (
	"encoding/json"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"dbtier/policy/registry"
	"dbtier/policy/rule"
	"dbtier/policy/ruletest"
)

// mocks answers for AWS and keeps what was registered.
type mocks struct{ resources []*ruletest.Resource }

// Call answers who the caller is.
func (m *mocks) Call(pulumi.MockCallArgs) (resource.PropertyMap, error) {
	return resource.NewPropertyMapFromMap(map[string]any{
		"accountId": "123456789012", "arn": "arn:aws-us-gov:iam::123456789012:user/admin",
	}), nil
}

func (m *mocks) NewResource(args pulumi.MockResourceArgs) (string, resource.PropertyMap, error) {
	m.resources = append(m.resources, &ruletest.Resource{Type: args.TypeToken, Name: args.Name, Inputs: args.Inputs.Mappable()})
	outputs := args.Inputs.Copy()
	outputs["arn"] = resource.NewStringProperty("arn:aws:s3:::" + args.Name)
	outputs["keyId"] = resource.NewStringProperty("key-id")
	return args.Name, outputs, nil
}

func with(t *testing.T, config map[string]string) (*mocks, error) {
	t.Helper()
	text, err := json.Marshal(config)
	require.NoError(t, err)
	t.Setenv("PULUMI_CONFIG", string(text))
	m := &mocks{}
	return m, pulumi.RunErr(deploy, pulumi.WithMocks("bootstrap", "shared", m))
}

func TestTheBucketAndTheKeyPassTheRulesOfProduction(t *testing.T) {
	m, err := with(t, map[string]string{"bootstrap:name": "example-state", "aws:region": "eu-central-1"})
	require.NoError(t, err)
	assert.Len(t, m.resources, 8)
	answer := ruletest.Judge(t, ruletest.Setup{Profile: rule.Production}, registry.All(), m.resources...)
	assert.Empty(t, answer.Mandatory())
}

func TestMissingSettingsAreNamed(t *testing.T) {
	_, err := with(t, map[string]string{"aws:region": "eu-central-1"})
	require.ErrorContains(t, err, "bootstrap:name is missing")
	_, err = with(t, map[string]string{"bootstrap:name": "example-state"})
	require.ErrorContains(t, err, "aws:region is missing")
}
