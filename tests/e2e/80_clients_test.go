//go:build e2e

package e2e

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestTheAWSCLIWorksAgainstTheStandIn(t *testing.T) {
	arn := output(t, "masterSecretArn")
	for want, args := range map[string][]string{
		"111122223333":           {"sts", "get-caller-identity"},
		`"VersionIdsToStages"`:   {"secretsmanager", "describe-secret", "--secret-id", arn},
		"rds!db-":                {"secretsmanager", "list-secrets"},
		`"DBInstanceIdentifier"`: {"rds", "describe-db-instances"},
	} {
		r := aws(t, args...)
		require.Zero(t, r.code, "aws %s: %s", strings.Join(args, " "), r)
		assert.Contains(t, r.stdout, want)
	}
	r := aws(t, "secretsmanager", "get-secret-value", "--secret-id", arn, "--query", "Name", "--output", "text")
	require.Zero(t, r.code)
	assert.Contains(t, r.stdout, "rds!db-")
}

func TestPlainKubectlAndPulumiWorkInTheEnvironmentThatTheDriverPrints(t *testing.T) {
	r := withConfig(t).run(t, "bash", "-ec", `eval "$(bin/dbtier local env)"; kubectl get nodes -o name; pulumi --stack local --non-interactive preview`)
	require.Zero(t, r.code, "%s", r)
	assert.Contains(t, r.stdout, "node/")
	assert.Contains(t, r.stdout, "unchanged")
}
