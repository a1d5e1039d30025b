package permissions

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"dbtier/components/iampolicy"
	"dbtier/internal/progress"
)

func stackOf(resources ...progress.Step) Stack {
	return Stack{Partition: "aws", Region: "eu-west-1", Account: "111122223333", Resources: resources}
}

func step(kind string, inputs map[string]any) progress.Step {
	return progress.Step{Type: kind, Inputs: inputs}
}

// allowing returns the statements that have the action.
func allowing(t *testing.T, s Stack, action string) []iampolicy.Statement {
	t.Helper()
	all, unknown := For(s)
	require.Empty(t, unknown)
	var found []iampolicy.Statement
	for _, statement := range all {
		for _, each := range statement.Actions {
			if each == action {
				found = append(found, statement)
			}
		}
	}
	return found
}

func one(t *testing.T, s Stack, action string) iampolicy.Statement {
	t.Helper()
	found := allowing(t, s, action)
	require.Len(t, found, 1, action)
	return found[0]
}

var tags = map[string]any{"service": "shop", "environment": "prod", "managed-by": "dbtier", "cost": "17"}

func TestARoleIsLimitedToItsPathBoundaryAndServices(t *testing.T) {
	const boundary = "arn:aws:iam::111122223333:policy/boundary"
	role := step("aws:iam/role:Role", map[string]any{
		"name": "shop", "path": "/team/", "permissionsBoundary": boundary,
		"assumeRolePolicy": `{"Statement":[{"Principal":{"Service":["rds.amazonaws.com"]}}]}`,
	})
	attachment := step("aws:iam/rolePolicyAttachment:RolePolicyAttachment", map[string]any{
		"role": "shop", "policyArn": "arn:aws:iam::aws:policy/one",
	})
	s := stackOf(attachment, role)
	arn := []string{"arn:aws:iam::111122223333:role/team/shop"}
	created := one(t, s, "iam:CreateRole")
	assert.Equal(t, arn, created.Resources)
	assert.Equal(t, iampolicy.Values{boundary}, created.Condition["StringEquals"]["iam:PermissionsBoundary"])
	passed := one(t, s, "iam:PassRole")
	assert.Equal(t, iampolicy.Values{"rds.amazonaws.com"}, passed.Condition["StringEquals"]["iam:PassedToService"])
	attached := one(t, s, "iam:AttachRolePolicy")
	assert.Equal(t, arn, attached.Resources)
	assert.Equal(t, iampolicy.Values{"arn:aws:iam::aws:policy/one"}, attached.Condition["ArnEquals"]["iam:PolicyARN"])

	role.Inputs["assumeRolePolicy"] = `{"Statement":[{"Principal":{"Federated":"arn:aws:iam::1:oidc-provider/x"}}]}`
	assert.Empty(t, allowing(t, stackOf(role), "iam:PassRole"), "nobody is given a role that pods assume by a token")
}

func TestAKeyIsTheOneThatTheResourceNames(t *testing.T) {
	instance := func(key any) Stack {
		inputs := map[string]any{"identifier": "shop", "tags": tags}
		if key != nil {
			inputs["kmsKeyId"] = key
		}
		return stackOf(step("aws:rds/instance:Instance", inputs))
	}
	const arn = "arn:aws:kms:eu-west-1:111122223333:key/one"
	given := one(t, instance(arn), "kms:CreateGrant")
	assert.Equal(t, []string{arn}, given.Resources)
	assert.Empty(t, given.Condition)
	own := one(t, instance(progress.Computed), "kms:CreateGrant")
	assert.Equal(t, []string{"arn:aws:kms:eu-west-1:111122223333:key/*"}, own.Resources)
	assert.Equal(t, map[string]iampolicy.Values{
		"aws:ResourceTag/service": {"shop"}, "aws:ResourceTag/environment": {"prod"},
		"aws:ResourceTag/managed-by": {"dbtier"},
	}, own.Condition["StringEquals"])
	assert.Empty(t, allowing(t, instance(nil), "kms:CreateGrant"), "RDS's own key needs no grant")
}

func TestARestoreReadsItsSource(t *testing.T) {
	const shared = "arn:aws:rds:eu-west-1:444455556666:snapshot:shop"
	s := stackOf(step("aws:rds/instance:Instance", map[string]any{
		"identifier": "shop", "snapshotIdentifier": shared,
		"restoreToPointInTime": map[string]any{"sourceDbInstanceIdentifier": "old-shop"},
	}))
	on := one(t, s, "rds:RestoreDBInstanceToPointInTime").Resources
	assert.Contains(t, on, shared)
	assert.Contains(t, on, "arn:aws:rds:eu-west-1:111122223333:db:old-shop")
	assert.Contains(t, on, "arn:aws:rds:eu-west-1:111122223333:db:shop")
	assert.NotContains(t, on, "arn:aws:rds:eu-west-1:111122223333:subgrp:*", "it has none")
}

func TestAResourceWithoutANameYetIsNotLimitedToOne(t *testing.T) {
	s := stackOf(step("aws:secretsmanager/secret:Secret", map[string]any{"name": progress.Computed}))
	assert.Equal(t, []string{"arn:aws:secretsmanager:eu-west-1:111122223333:secret:*-*"},
		one(t, s, "secretsmanager:CreateSecret").Resources)
}

func TestTypesThatNobodyHasReadAreNamed(t *testing.T) {
	_, unknown := For(stackOf(
		step("aws:s3/bucket:Bucket", nil), step("aws:s3/bucket:Bucket", nil), step("kubernetes:core/v1:Pod", nil),
	))
	assert.Equal(t, []string{"aws:s3/bucket:Bucket"}, unknown)
}

func TestTheStateAndItsKeyArePartOfThePolicy(t *testing.T) {
	s := stackOf()
	s.Backend = "s3://states/shop?region=eu-west-1"
	s.SecretsProvider = "awskms:///alias/pulumi?region=eu-west-1"
	assert.Equal(t, []string{"arn:aws:s3:::states"}, one(t, s, "s3:ListBucket").Resources)
	assert.Equal(t, []string{"arn:aws:s3:::states/shop/.pulumi/*"}, one(t, s, "s3:PutObject").Resources)
	byAlias := one(t, s, "kms:Decrypt")
	assert.Equal(t, iampolicy.Values{"alias/pulumi"}, byAlias.Condition["ForAnyValue:StringEquals"]["kms:ResourceAliases"])

	const arn = "arn:aws:kms:eu-west-1:111122223333:key/one"
	for provider, want := range map[string]string{
		"awskms:///" + arn + "?region=eu-west-1": arn, "awskms://one?region=eu-west-1": arn,
	} {
		s.SecretsProvider = provider
		assert.Equal(t, []string{want}, one(t, s, "kms:Encrypt").Resources, provider)
	}
	s.SecretsProvider, s.Backend = "passphrase", "file:///tmp/state"
	assert.Empty(t, allowing(t, s, "kms:Encrypt"))
	assert.Empty(t, allowing(t, s, "s3:PutObject"))
}
