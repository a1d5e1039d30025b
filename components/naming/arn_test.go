package naming_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"dbtier/components/naming"
)

func TestARegionHasTheFormOfOne(t *testing.T) {
	t.Parallel()
	for _, region := range []string{"ap-northeast-2", "us-gov-west-1", "cn-north-1", "us-iso-east-1", "mx-central-1"} {
		assert.True(t, naming.IsRegion(region), region)
	}
	for _, other := range []string{
		"", "ap-northeast", "ap-northeast-2a", "AP-NORTHEAST-2", "ap northeast 2",
		"ap-northeast-2\n",
	} {
		assert.False(t, naming.IsRegion(other), "%q", other)
	}
}

func TestAnARNIsOneOfItsKind(t *testing.T) {
	t.Parallel()
	for arn, want := range map[string][2]bool{ // a policy, a key
		"arn:aws:iam::123456789012:policy/boundaries/team+a":                   {true, false},
		"arn:aws:iam::aws:policy/service-role/AmazonRDSEnhancedMonitoringRole": {true, false},
		"arn:aws-cn:iam::123456789012:policy/boundary":                         {true, false},
		"arn:aws:iam::12345:policy/boundary":                                   {},
		"arn:aws:iam::123456789012:role/boundary":                              {},
		"boundary": {},
		"arn:aws:kms:ap-northeast-2:123456789012:key/1234abcd-12ab-34cd-56ef-12ab3": {false, true},
		"arn:aws-us-gov:kms:us-gov-west-1:123456789012:key/mrk-1234abcd12ab34cd56e": {false, true},
		"arn:aws:kms:ap-northeast-2:123456789012:alias/database":                    {},
		"arn:aws:kms:ap-northeast-2:123456789012:key/":                              {},
		"1234abcd-12ab-34cd-56ef-12ab3":                                             {},
	} {
		assert.Equal(t, want, [2]bool{naming.IsPolicyArn(arn), naming.IsKeyArn(arn)}, arn)
	}
}
