//go:build e2e

package e2e

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// deployersPolicy is the policy of `dbtier permissions` for the stack local, as if it were on AWS: the local cloud itself
// needs no permissions.
func deployersPolicy(t *testing.T) (policy map[string]any) {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"Pulumi.yaml", "Pulumi.local.yaml"} {
		text, err := os.ReadFile(filepath.Join(root, name))
		require.NoError(t, err)
		var lines []string
		for line := range strings.Lines(strings.Replace(string(text), "dbtier:cloud: local", "dbtier:cloud: aws", 1)) {
			local := slices.ContainsFunc([]string{"endpoint:", "clusterEndpoint:", "caBundle:"}, func(key string) bool {
				return strings.HasPrefix(strings.TrimSpace(line), key)
			})
			if !local {
				lines = append(lines, line)
			}
		}
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(strings.Join(lines, "")), 0o600))
	}
	r := command{dir: dir}.run(t, filepath.Join(root, "bin", "dbtier"), "permissions", "--stack", "local")
	require.Zero(t, r.code, "%s", r)
	decode(t, r.stdout, &policy)
	return policy
}

// only keeps some actions of a policy. The local cloud refuses policies with condition keys that it does not know, which
// belong to other actions.
func only(policy map[string]any, actions []string) map[string]any {
	var kept []any
	for _, each := range policy["Statement"].([]any) {
		statement := maps.Clone(each.(map[string]any))
		known := slices.DeleteFunc(slices.Clone(statement["Action"].([]any)),
			func(action any) bool { return !slices.Contains(actions, action.(string)) })
		if statement["Action"] = known; len(known) > 0 {
			kept = append(kept, statement)
		}
	}
	return map[string]any{"Version": policy["Version"], "Statement": kept}
}

// The role that deploys may make those calls of the AWS provider that the local cloud knows, and none without the
// policy (docs/how-to/aws.md).
func TestTheDeployersPolicyAllowsTheCallsThatTheLocalCloudKnows(t *testing.T) {
	policy := deployersPolicy(t)
	const role = "deployer"
	admin := func(args ...string) string {
		t.Helper()
		r := aws(t, args...)
		require.Zero(t, r.code, "%s", r)
		return strings.TrimSpace(r.stdout)
	}
	text := func(value any) string {
		encoded, err := json.Marshal(value)
		require.NoError(t, err)
		return string(encoded)
	}
	admin("iam", "create-role", "--role-name", role, "--assume-role-policy-document", text(map[string]any{
		"Version": "2012-10-17",
		"Statement": []any{map[string]any{
			"Effect": "Allow", "Action": "sts:AssumeRole",
			"Principal": map[string]any{"AWS": "arn:aws:iam::111122223333:root"},
		}},
	}))
	t.Cleanup(func() {
		aws(t, "iam", "delete-role-policy", "--role-name", role, "--policy-name", "deploy") // after a failure
		aws(t, "iam", "delete-role", "--role-name", role)
	})
	var session struct {
		Credentials struct{ AccessKeyID, SecretAccessKey, SessionToken string }
	}
	decode(t, admin("sts", "assume-role", "--role-arn", "arn:aws:iam::111122223333:role/"+role, "--role-session-name",
		"deploy"), &session)
	deployer := command{env: []string{
		"DEPLOYER_KEY=" + session.Credentials.AccessKeyID, "DEPLOYER_SECRET=" + session.Credentials.SecretAccessKey,
		"DEPLOYER_TOKEN=" + session.Credentials.SessionToken,
	}}

	instance, secrets := output(t, "databaseIdentifier"), output(t, "secretsRoleArn")
	secretsRole := secrets[strings.LastIndex(secrets, "/")+1:]
	ask := func(query string) string {
		return admin("rds", "describe-db-instances", "--db-instance-identifier", instance, "--query",
			"DBInstances[0]."+query, "--output", "text")
	}
	key, group := ask("KmsKeyId"), ask("DBParameterGroups[0].DBParameterGroupName")
	calls := map[string][]string{
		"rds:DescribeDBInstances":       {"rds", "describe-db-instances", "--db-instance-identifier", instance},
		"rds:DescribeDBParameterGroups": {"rds", "describe-db-parameter-groups", "--db-parameter-group-name", group},
		"rds:DescribeDBParameters":      {"rds", "describe-db-parameters", "--db-parameter-group-name", group},
		"rds:DescribeDBSubnetGroups": {
			"rds", "describe-db-subnet-groups", "--db-subnet-group-name", ask("DBSubnetGroup.DBSubnetGroupName"),
		},
		"rds:ListTagsForResource": {"rds", "list-tags-for-resource", "--resource-name", ask("DBInstanceArn")},
		"rds:ModifyDBInstance": {
			"rds", "modify-db-instance", "--db-instance-identifier", instance, "--backup-retention-period",
			ask("BackupRetentionPeriod"), "--apply-immediately",
		},
		"kms:DescribeKey":              {"kms", "describe-key", "--key-id", key},
		"kms:GetKeyPolicy":             {"kms", "get-key-policy", "--key-id", key, "--policy-name", "default"},
		"kms:GetKeyRotationStatus":     {"kms", "get-key-rotation-status", "--key-id", key},
		"kms:ListAliases":              {"kms", "list-aliases"},
		"iam:GetRole":                  {"iam", "get-role", "--role-name", secretsRole},
		"iam:ListRolePolicies":         {"iam", "list-role-policies", "--role-name", secretsRole},
		"iam:ListAttachedRolePolicies": {"iam", "list-attached-role-policies", "--role-name", secretsRole},
		"iam:PutRolePolicy": {
			"iam", "put-role-policy", "--role-name", secretsRole, "--policy-name", "probe", "--policy-document",
			text(map[string]any{"Version": "2012-10-17", "Statement": []any{map[string]any{
				"Effect": "Deny", "Action": "s3:*", "Resource": "*",
			}}}),
		},
		"iam:GetRolePolicy":    {"iam", "get-role-policy", "--role-name", secretsRole, "--policy-name", "probe"},
		"iam:DeleteRolePolicy": {"iam", "delete-role-policy", "--role-name", secretsRole, "--policy-name", "probe"},
	}
	// One after the other: the last three belong together.
	order := []string{"iam:PutRolePolicy", "iam:GetRolePolicy", "iam:DeleteRolePolicy"}
	for action := range calls {
		if !slices.Contains(order, action) {
			order = slices.Insert(order, 0, action)
		}
	}
	as := func(action string) result {
		return deployer.run(t, "bash", append([]string{"-ec", `eval "$(bin/dbtier local env)"
			unset AWS_PROFILE
			export AWS_ACCESS_KEY_ID=$DEPLOYER_KEY AWS_SECRET_ACCESS_KEY=$DEPLOYER_SECRET
			export AWS_SESSION_TOKEN=$DEPLOYER_TOKEN
			aws "$@"`, "aws"}, calls[action]...)...)
	}
	admin("iam", "put-role-policy", "--role-name", role, "--policy-name", "deploy", "--policy-document",
		text(only(policy, order)))
	for _, action := range order {
		r := as(action)
		assert.Zero(t, r.code, "%s: %s", action, r)
	}
	admin("iam", "delete-role-policy", "--role-name", role, "--policy-name", "deploy")
	for _, action := range order {
		r := as(action)
		assert.NotZero(t, r.code, action)
		assert.Contains(t, r.stderr, "AccessDenied", "%s", action)
	}
}
