package guard_test

import (
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"dbtier/internal/guard"
	"dbtier/internal/progress"
)

// deleting is a step that deletes an object of a component.
func deleting(component, apiVersion, kind, id string) progress.Step {
	step := creating(component, apiVersion, kind, id)
	step.Op, step.ID = apitype.OpDelete, id
	return step
}

func TestAnOperatorThatOthersNeedIsAnObstacle(t *testing.T) {
	const version, secret = "external-secrets.io/v1", "ExternalSecret"
	own := []progress.Step{
		deleting(chart, "apps/v1", "Deployment", "external-secrets/external-secrets"),
		deleting("dbtier:components:Consumer$", version, secret, "shared/mine"),
		deleting(ofService, "v1", "Namespace", "myshop"),
	}
	cluster := []guard.Object{
		there(version, secret, "shared/mine"), there(version, secret, "myshop/a"), there(version, secret, "myshop/b"),
	}
	assert.True(t, guard.DeletesOperator(own))
	assert.Empty(t, guard.OperatorInUse(own, cluster), "what the stack deletes itself")
	assert.Empty(t, guard.OperatorInUse(own, nil))
	assert.False(t, guard.DeletesOperator(own[1:]))
	assert.Empty(t, guard.OperatorInUse(own[1:], append(cluster, there(version, secret, "orders/a"))))

	cluster = append(cluster, there(version, secret, "orders/a"), there(version, secret, "billing/a"),
		there(version, secret, "orders/b"), there(version, secret, "shared/theirs"))
	found := guard.OperatorInUse(own, cluster)
	require.Len(t, found, 1)
	assert.Contains(t, found[0].String(), "Deployment it is the operator of ExternalSecrets that stay")
	assert.Contains(t, found[0].Reason, ": 1 in namespace billing, 2 in namespace orders, 1 in namespace shared")
	assert.Contains(t, found[0].Fix, "destroy the stacks that they belong to first")

	own[2].Retained = true
	assert.Contains(t, guard.OperatorInUse(own, cluster)[0].Reason, "2 in namespace myshop", "a namespace that stays")
}
