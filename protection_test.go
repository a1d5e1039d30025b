package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"dbtier/components/componenttest"
)

// protected returns the names of the resources that a recording protects.
func protected(recorded *componenttest.Recording) []string {
	var names []string
	for _, resource := range recorded.Each() {
		if resource.Protect {
			names = append(names, resource.Name)
		}
	}
	slices.Sort(names)
	return names
}

func TestDeletionProtectionCoversWhatTheServiceRunsOn(t *testing.T) {
	t.Parallel()
	everything := []string{
		"consumer-deployment", "consumer-service", "database-instance", "namespace-namespace", "pool-deployment",
		"pool-service",
	}
	assert.Equal(t, everything, protected(run(t, "prod")))
	assert.Empty(t, protected(run(t, "dev")))
	assert.Empty(t, protected(run(t, "local")))
	for value, want := range map[string][]string{"true": everything, "false": nil} {
		_, options := projectWith(t, "prod", func(text string) string {
			return text + "  dbtier:database: {deletionProtection: " + value + "}\n"
		})
		assert.Equal(t, want, protected(componenttest.Run(t, deploy, options...)), value)
	}
}

func TestAChangeOfTheIdentifierIsAReplacement(t *testing.T) {
	t.Parallel()
	for _, stack := range stacks {
		instance := run(t, stack).One(t, "aws:rds/instance:Instance")
		assert.Equal(t, []string{"identifier"}, instance.ReplaceOnChanges, stack)
	}
}

func TestAParameterGroupThatMayBeInUseStays(t *testing.T) {
	t.Parallel()
	const group = "aws:rds/parameterGroup:ParameterGroup"
	assert.True(t, run(t, "prod").One(t, group).RetainOnDelete, "a major upgrade waits for the window")
	assert.False(t, run(t, "dev").One(t, group).RetainOnDelete)
}

func TestAddressesOfBothKindsNeedRangesOfBothKinds(t *testing.T) {
	t.Parallel()
	with := func(cidrs string) error {
		_, options := projectWith(t, "prod", func(text string) string {
			before, after, _ := strings.Cut(text, "databaseCidrs: [")
			_, after, _ = strings.Cut(after, "]")
			return before + "databaseCidrs: [" + cidrs + "]" + after + "  dbtier:database: {networkType: DUAL}\n"
		})
		_, err := componenttest.Try(deploy, options...)
		return err
	}
	require.ErrorContains(t, with("10.0.192.0/20"),
		`network.databaseCidrs: ["10.0.192.0/20"]: has no IPv6 range, but database.networkType is DUAL`)
	require.ErrorContains(t, with(`"fd00::/64"`), "has no IPv4 range")
	require.NoError(t, with(`10.0.192.0/20, "fd00::/64"`))
}
