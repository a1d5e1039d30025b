package state_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"dbtier/policy/registry"
	"dbtier/policy/state"
)

// judgedPublic returns the findings about instances with a public address.
func judgedPublic(t *testing.T, instances ...string) *state.Report {
	t.Helper()
	var resources []map[string]any
	for _, name := range instances {
		resources = append(resources,
			resource("aws:rds/instance:Instance", name, map[string]any{"publiclyAccessible": true}))
	}
	report, err := state.Judge(registry.Pack(), export(t, resources...), state.Options{
		Config: []byte(`{"all": "disabled", "rds-not-public": "mandatory"}`),
	})
	require.NoError(t, err)
	return report
}

func TestAKnownFindingDoesNotStopAndANewOneDoes(t *testing.T) {
	t.Parallel()
	text := state.Text(judgedPublic(t, "a", "b").Known())
	known, err := state.Baseline(text)
	require.NoError(t, err)
	require.Len(t, known, 2)
	assert.Equal(t, "publiclyAccessible", known[0].Path)

	same := judgedPublic(t, "b", "a")
	assert.Equal(t, known, same.Accept(known))
	assert.Zero(t, same.Mandatory)
	assert.Empty(t, same.Gone)
	require.Len(t, same.Findings, 2, "known findings are still told")
	assert.True(t, same.Findings[0].Known)

	other := judgedPublic(t, "a", "c")
	assert.Equal(t, known[:1], other.Accept(known))
	assert.Equal(t, 1, other.Mandatory)
	assert.Equal(t, known[1:], other.Gone)
	assert.False(t, other.Findings[1].Known)
}

func TestABaselineCountsFindingsAtTheSamePath(t *testing.T) {
	t.Parallel()
	finding := state.Finding{Rule: "a", Level: "mandatory", URN: "urn:a"}
	report := &state.Report{Mandatory: 2, Findings: []state.Finding{finding, finding}}
	known := []state.Known{{Rule: "a", URN: "urn:a"}}
	assert.Equal(t, known, report.Accept(known))
	assert.Equal(t, 1, report.Mandatory, "a second violation is new")
}

func TestAFaultyBaselineIsRefused(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                             "want a file that --write-baseline has written",
		`{"finding": []}`:              `unknown field "finding"`,
		`{"findings": [{}, {}]}`:       "is missing: want the name of a rule\nfindings[1].rule: is missing",
		`{"findings": [{"rule": 1}]}`:  "want a file",
		`{"findings": [{"rle": "a"}]}`: `unknown field "rle"`,
	} {
		_, err := state.Baseline([]byte(text))
		require.ErrorContains(t, err, want)
	}
}
