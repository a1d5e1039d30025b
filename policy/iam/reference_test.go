package iam_test

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/property"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"dbtier/policy/iam"
	"dbtier/policy/internal/iamactions"
	"dbtier/policy/rule"
	"dbtier/policy/types"
)

// violates reports whether a policy that grants actions on every resource violates a rule.
func violates(t *testing.T, name string, actions ...string) bool {
	t.Helper()
	text, err := json.Marshal(map[string]any{
		"Statement": map[string]any{"Effect": "Allow", "Action": actions, "Resource": "*"},
	})
	require.NoError(t, err)
	rules := iam.Rules()
	at := slices.IndexFunc(rules, func(r *rule.Rule) bool { return r.Name == name })
	require.GreaterOrEqual(t, at, 0, name)
	return len(rules[at].Judge(rule.Run{}, &rule.Resource{
		Type:       types.IAMPolicy,
		Properties: property.NewMap(map[string]property.Value{"policy": property.New(string(text))}),
	})) > 0
}

// TestTheStarIsRefusedForActionsThatTakeAResource asks for every action of AWS.
func TestTheStarIsRefusedForActionsThatTakeAResource(t *testing.T) {
	t.Parallel()
	var unscoped []string
	for action := range iamactions.Matching("*") {
		if action.Types == "" {
			unscoped = append(unscoped, action.Name)
		} else if !violates(t, "iam-no-star-resource", action.Name) {
			t.Errorf("%s on * is not found", action.Name)
		}
	}
	assert.False(t, violates(t, "iam-no-star-resource", unscoped...), "they accept * only")
}

// TestTheLevelOfAnActionDecides asks for every action that a statement can grant on named resources.
func TestTheLevelOfAnActionDecides(t *testing.T) {
	t.Parallel()
	for action := range iamactions.Matching("*") {
		if action.Types == "" {
			continue
		}
		for name, level := range map[string]iamactions.Level{
			"iam-no-permissions-management": iamactions.Permissions, "iam-no-unconstrained-write": iamactions.Write,
		} {
			if violates(t, name, action.Name) != (action.Level == level) {
				t.Errorf("%s: %s has the level %c", name, action.Name, action.Level)
			}
		}
	}
}
