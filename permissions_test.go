package main

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"dbtier/components/componenttest"
	"dbtier/components/iampolicy"
	"dbtier/internal/permissions"
	"dbtier/internal/progress"
	"dbtier/policy/registry"
	"dbtier/policy/ruletest"
)

// The calls for each type of AWS resource are known, and the pack accepts the policy but for keys without an ARN.
func TestTheDeployersPolicyKnowsEveryTypeAndPassesThePack(t *testing.T) {
	t.Parallel()
	recordings := map[string]*componenttest.Recording{}
	for _, stack := range stacks {
		recordings[stack] = run(t, stack, componenttest.Preview())
	}
	for _, stack := range []string{"password", "tokens"} {
		recordings["proxy/"+stack], _ = proxyStack(t, stack)
	}
	_, options := projectWith(t, "prod", func(text string) string {
		return text + "  dbtier:database:\n    alarms: {dashboard: true}\n"
	})
	recordings["dashboard"] = componenttest.Run(t, deploy, append(options, componenttest.Preview())...)
	require.NotEmpty(t, recordings["dashboard"].All("aws:cloudwatch/dashboard:Dashboard"))
	for name, recorded := range recordings {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var steps []progress.Step
			for _, r := range recorded.Each() {
				steps = append(steps, progress.Step{Type: r.Type, Name: r.Name, Inputs: r.Inputs})
			}
			statements, unknown := permissions.For(permissions.Stack{
				Partition: "aws", Region: "ap-northeast-2", Account: "123456789012", Resources: steps,
				Backend: "s3://states", SecretsProvider: "awskms:///alias/pulumi",
			})
			assert.Empty(t, unknown)
			document, err := iampolicy.JSON(statements...)
			require.NoError(t, err)
			require.True(t, json.Valid([]byte(document)))
			answer := ruletest.Judge(t, ruletest.Setup{}, registry.All(), &ruletest.Resource{
				Type: "aws:iam/policy:Policy", Name: "deployer", Inputs: map[string]any{"policy": document},
			})
			// The stack's own key has no ARN before the first update, and an alias names none. Conditions on tags
			// and on the
			// alias limit them, which the rule does not count.
			assert.Empty(t, slices.DeleteFunc(answer.Mandatory(), func(violation string) bool {
				return strings.HasPrefix(violation, "iam-kms-decrypt ")
			}))
		})
	}
}
