package aws

import (
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"dbtier/localcloud/internal/aws/wire"
	"dbtier/validation/rdsrules"
)

// What the rules of the config refuse is what the stand-in refuses for a group of any family, whatever value and method.
func TestAGroupTakesAParameterWhereverTheRulesDo(t *testing.T) {
	for _, major := range rdsrules.Majors() {
		family := rdsrules.Family(strconv.Itoa(major))
		for _, name := range rdsrules.ParameterNames(family) {
			for _, method := range []string{"", rdsrules.Immediate, rdsrules.PendingReboot, "later"} {
				for _, value := range []string{"0", "1", "on", "4MB", "{DBInstanceClassMemory/1024}"} {
					f := &faults{}
					g := &parameterGroup{Family: family}
					parameterGroupInputs{Parameters: []parameterInputs{{name, value, method}}}.merge(g, f)
					refused := f.code != "" && f.code != wire.CodeNotModelled
					assert.Equal(t, len(rdsrules.CheckParameter(family, name, value, method)) > 0, refused,
						"%s %s = %q, %q: %v", family, name, value, method, f.err())
				}
			}
		}
	}
}

func TestParametersForTheEngineAreComputedAndLeaveOutMemorySizes(t *testing.T) {
	out, err := forEngine("db.t4g.medium", map[string]string{
		"max_connections": "10", "shared_buffers": "{DBInstanceClassMemory/32768}", "log_statement": "ddl",
		"work_mem": "{DBInstanceClassMemory/1048576}",
	})
	require.NoError(t, err)
	assert.Equal(t, map[string]string{"rds.force_ssl": "1", "log_statement": "ddl", "work_mem": "3768"}, out)
}

func TestVersionsOfTheStandIn(t *testing.T) {
	for _, version := range []string{"16", "", engineVersion} {
		actual, _, err := resolveVersion(version, rdsrules.ExtendedSupportDisabled)
		require.NoError(t, err, version)
		assert.Equal(t, engineVersion, actual)
	}
	for version, notModelled := range map[string]bool{
		"16.3": false, "16.8": false, "16.99": false, "9.6": false, "x": false, "16.": false, "17.1": false, "13": false,
		"16.9": true, "16.13": true, "15": true, "17.5": true,
	} {
		_, limit, err := resolveVersion(version, rdsrules.ExtendedSupportDisabled)
		require.Error(t, err, version)
		assert.Equal(t, notModelled, limit, version)
	}
}

func TestAGroupReportsApplyMethodsAsRDSDoes(t *testing.T) {
	g := &parameterGroup{Family: "postgres16", Origin: &origin{}, Parameters: map[string]parameter{
		"rds.force_ssl": {"1", rdsrules.Immediate}, "log_lock_waits": {"1", rdsrules.Immediate},
		"max_connections": {"100", rdsrules.PendingReboot},
	}}
	found := map[string]any{}
	for _, p := range g.resource().Outputs["parameters"].([]any) {
		found[p.(map[string]any)["name"].(string)] = p.(map[string]any)["applyMethod"]
	}
	assert.Equal(t, map[string]any{
		"rds.force_ssl": "pending-reboot", "log_lock_waits": "immediate", "max_connections": "pending-reboot",
	}, found)
}
