package config_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"dbtier/config"
)

func TestDrillsNeedAnImageAndTheApplicationsOwnRole(t *testing.T) {
	t.Parallel()
	stack, err := load(t, least)
	require.NoError(t, err)
	assert.False(t, stack.Drills.Enabled)
	assert.Len(t, stack.PoolClients(), 1, "without drills only the service's pods reach the pool")

	stack, err = load(t, least+"  dbtier:drills: {enabled: true, image: registry.example/load:1}\n")
	require.NoError(t, err)
	assert.Equal(t, 24, stack.Drills.Connections)
	require.Len(t, stack.PoolClients(), 2)
	assert.Equal(t, "my-shop-drill", stack.PoolClients()[1].Labels["app.kubernetes.io/name"])

	_, err = load(t, least+"  dbtier:drills: {enabled: true, connections: 5}\n  dbtier:role: {poolUser: master}\n")
	for _, fault := range []string{
		"drills.image: is missing: the image of the load",
		"dbtier:drills.connections: 5: want 6 to 1000",
		"dbtier:drills.enabled: true: needs the application's own role, and role.poolUser is master",
	} {
		require.ErrorContains(t, err, fault)
	}
	_, err = load(t, least+"  dbtier:drills: {connections: 5}\n")
	require.NoError(t, err, "settings of drills that are not enabled have no effect")
	assert.Equal(t, "drillImage", config.OutputDrillImage)
}

func TestTheLoadsConnectionsFitIntoThePool(t *testing.T) {
	t.Parallel()
	const wide = least + "  dbtier:pool: {maxClientConn: 320}\n  dbtier:drills: " +
		"{enabled: true, image: registry.example/load:1, connections: "
	_, err := load(t, wide+"20}\n")
	require.NoError(t, err)
	_, err = load(t, wide+"21}\n")
	require.ErrorContains(t, err, "dbtier:pool.maxClientConn: 320: is too few: 3 pods × consumer.connections 50 × 2 "+
		"(old and new pods of an update) + drills.connections 21 = 321, and the pool accepts 320")
}
