package iamactions_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"dbtier/policy/internal/iamactions"
)

func matching(pattern string) []iamactions.Action {
	var found []iamactions.Action
	for action := range iamactions.Matching(pattern) {
		found = append(found, action)
	}
	return found
}

func TestActionsHaveTheirLevelAndResources(t *testing.T) {
	t.Parallel()
	for pattern, want := range map[string]iamactions.Action{
		"s3:ListAllMyBuckets":     {Name: "s3:ListAllMyBuckets", Level: iamactions.List},
		"S3:putobject":            {Name: "s3:PutObject", Level: iamactions.Write, Types: "accesspointobject object"},
		"kms:PutKeyPolicy":        {Name: "kms:PutKeyPolicy", Level: iamactions.Permissions, Types: "key"},
		"secretsmanager:TagRes*":  {Name: "secretsmanager:TagResource", Level: iamactions.Tagging, Types: "Secret"},
		"rds-db:conn?ct":          {Name: "rds-db:connect", Level: iamactions.Permissions, Types: "db-user"},
		"sts:GetCallerIdentity":   {Name: "sts:GetCallerIdentity", Level: iamactions.Read},
		"route53:ListHostedZones": {Name: "route53:ListHostedZones", Level: iamactions.List},
	} {
		assert.Equal(t, []iamactions.Action{want}, matching(pattern), pattern)
	}
	assert.Empty(t, matching("s3:NoSuchAction"))
	assert.Empty(t, matching("nosuchservice:*"))
}

func TestTheTableHasAllServices(t *testing.T) {
	t.Parallel()
	all, unscoped := 0, 0
	for _, action := range matching("*") {
		all++
		if action.Types == "" {
			unscoped++
		}
		assert.Contains(t, "lrwtp", string(action.Level), action.Name)
	}
	assert.Equal(t, 22091, all, "the number of actions in the pinned version of the source")
	assert.Equal(t, 6724, unscoped)
	assert.Len(t, matching("*:*"), all)
	assert.Greater(t, len(matching("s3*:GetObject")), 1, "a pattern can name several services")
}
