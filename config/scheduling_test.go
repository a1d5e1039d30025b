package config_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"dbtier/components/workload"
)

func TestSchedulingIsOnceForTheStackAndOverriddenForSome(t *testing.T) {
	t.Parallel()
	stack, err := load(t, least+`  dbtier:scheduling:
    tolerations: [{key: dedicated, value: database, effect: NoSchedule}]
    priorityClassName: high
    affinity: {nodeAffinity: {preferredDuringSchedulingIgnoredDuringExecution: [{weight: 10, preference: {}}]}}
    jobs: {priorityClassName: low}
    service: {tolerations: [{operator: Exists}]}
`)
	require.NoError(t, err)
	s := &stack.Scheduling
	assert.Equal(t, "high", s.OfPool().PriorityClassName)
	assert.Equal(t, "high", s.OfOperator().PriorityClassName)
	assert.Equal(t, "low", s.OfJobs().PriorityClassName)
	assert.Equal(t, s.Tolerations, s.OfJobs().Tolerations)
	assert.NotEmpty(t, s.OfJobs().Affinity)
	assert.Equal(t, []workload.Toleration{{Operator: "Exists"}}, s.OfService().Tolerations)

	_, err = load(t, least+`  dbtier:scheduling:
    affinity: {nodeAffinity: {preferredDuringSchedulingIgnoredDuringExecution: [{weight: 0}]}}
    pool: {tolerations: [{key: a b}]}
    jobs: {nodeSelector: {x: "a b"}}
    nodeselector: {}
`)
	for _, fault := range []string{
		"dbtier:scheduling.nodeselector: is not a setting; did you mean nodeSelector?",
		`dbtier:scheduling.affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].weight: 0: want 1 to 100`,
		`dbtier:scheduling.pool.tolerations[0].key: "a b": want`,
		`dbtier:scheduling.jobs.nodeSelector: "x=a b": want a label of nodes`,
	} {
		require.ErrorContains(t, err, fault)
	}
}

func TestThePoolsNameFollowsFromTheNamespace(t *testing.T) {
	t.Parallel()
	const existing = "  dbtier:service: {name: my-shop, existingNamespace: true}\n"
	own := strings.NewReplacer("  dbtier:service: {name: my-shop}\n", existing)
	for text, want := range map[string]string{
		least:              "pgbouncer",
		own.Replace(least): "my-shop-pgbouncer",
		own.Replace(least) + "  dbtier:pool: {name: pgbouncer}\n":                  "pgbouncer",
		strings.Replace(own.Replace(least), "{image:", "{name: orders, image:", 1): "orders-pgbouncer",
	} {
		stack, err := load(t, text)
		require.NoError(t, err, text)
		assert.Equal(t, want, stack.Pool.Name, text)
	}
}
