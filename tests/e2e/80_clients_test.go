//go:build e2e

package e2e

import (
	"slices"
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
	const plain = `eval "$(bin/dbtier local env)"; kubectl get nodes -o name; pulumi --stack local --non-interactive up --yes`
	// Plain Pulumi does not know how many lost passwords the driver has replaced, and rotates once more (decision 0030).
	if recovered, _ := outputs(t)["recoveries"].(float64); recovered > 0 {
		r := withConfig(t).run(t, "bash", "-ec", plain)
		require.Zero(t, r.code, "%s", r)
	}
	before := urns(t)
	r := withConfig(t).run(t, "bash", "-ec", plain)
	require.Zero(t, r.code, "%s", r)
	assert.Contains(t, r.stdout, "node/")
	// The program in the language runtime and the program inside the driver are the same: neither plans a change to
	// what the other created.
	assert.Regexp(t, `(?m)^ +[0-9]+ unchanged$`, r.stdout)
	assert.NotRegexp(t, `(?m)^ +[-+~±].* [0-9]+ (created|updated|deleted|replaced)$`, r.stdout)
	assert.Equal(t, before, urns(t))
}

// urns returns the URNs in the stack's state.
func urns(t *testing.T) []string {
	t.Helper()
	var state struct {
		Deployment struct{ Resources []struct{ URN string } }
	}
	decode(t, mustDbtier(t, "export", "--stack", "local").stdout, &state)
	require.Greater(t, len(state.Deployment.Resources), 50)
	var all []string
	for _, r := range state.Deployment.Resources {
		all = append(all, r.URN)
	}
	slices.Sort(all)
	return all
}
