package findings_test

import (
	"encoding/json"
	"encoding/xml"
	"os"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"dbtier/internal/findings"
	"dbtier/policy/registry"
	"dbtier/policy/rule"
)

const file = `# the stack
config:
  dbtier:database:
    instanceClass: db.t4g.micro
    multiAz: false
    events:
      topicArn: arn
  dbtier:pool:
    logins:
      - name: reports
        poolSize: 5
  dbtier:profile: production
`

func set() findings.Set {
	const urn = "urn:pulumi:prod::dbtier::dbtier:index:RdsPostgres$aws:rds/instance:Instance::database-instance"
	return findings.Set{
		Version: "v1.2.3", Suite: "stack prod", File: "Pulumi.prod.yaml", Text: file,
		Rules: []*rule.Rule{
			registry.Find("rds-multi-az"), registry.Find("rds-events-subscribed"), registry.Find("k8s-labels"),
		},
		Findings: []findings.Finding{
			{
				Rule: "rds-multi-az", Stops: true, URN: urn, Settings: []string{"database.multiAz"},
				Message: "A standby in another zone takes over.\nmultiAz: <false> & \"no\"",
			},
			{Rule: "rds-events-subscribed", Message: "Events are sent.\nno subscription"},
			{Rule: "rds-multi-az", Known: true, Message: "known", URN: urn + "-2"},
			{Rule: "of-another-pack", Stops: true, Message: "m", URN: urn},
		},
	}
}

func TestSARIFIsWhatItsSchemaWantsAndNamesFileLineAndResource(t *testing.T) {
	t.Parallel()
	schema, err := os.ReadFile("testdata/sarif-2.1.0.json")
	require.NoError(t, err)
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat = true
	require.NoError(t, compiler.AddResource("sarif.json", strings.NewReader(string(schema))))
	compiled, err := compiler.Compile("sarif.json")
	require.NoError(t, err)
	validate := func(text []byte) error {
		var value any
		require.NoError(t, json.Unmarshal(text, &value))
		return compiled.Validate(value)
	}
	require.Error(t, validate([]byte(`{"version":"2.1.0","runs":[{}]}`)), "the schema finds a fault")

	failed := findings.Set{Suite: "stack dev", Faults: []string{"Pulumi.dev.yaml: config: wrong"}}
	for name, sets := range map[string][]findings.Set{
		"nothing": nil, "findings": {set()}, "a failed run": {failed}, "several": {set(), failed},
	} {
		text, err := findings.SARIF(sets...)
		require.NoError(t, err)
		require.NoError(t, validate(text), name)
	}
	text, err := findings.SARIF(set())
	require.NoError(t, err)
	var log struct {
		Runs []struct {
			Results []struct {
				RuleID, Level, BaselineState string
				Locations                    []struct {
					PhysicalLocation struct {
						ArtifactLocation struct{ URI string }
						Region           struct{ StartLine int }
					}
					LogicalLocations []struct{ Name, FullyQualifiedName string }
				}
			}
		}
	}
	require.NoError(t, json.Unmarshal(text, &log))
	results := log.Runs[0].Results
	require.Len(t, results, 4)
	at := results[0].Locations[0]
	assert.Equal(t, []any{"rds-multi-az", "error", "Pulumi.prod.yaml", 5, "database-instance"}, []any{
		results[0].RuleID, results[0].Level, at.PhysicalLocation.ArtifactLocation.URI,
		at.PhysicalLocation.Region.StartLine, at.LogicalLocations[0].Name,
	})
	assert.Equal(t, "warning", results[1].Level)
	assert.Equal(t, "stack", results[1].Locations[0].LogicalLocations[0].Name)
	assert.Equal(t, []string{"note", "unchanged"}, []string{results[2].Level, results[2].BaselineState})
}

func TestJUnitHasATestForEachRuleAndAFailureForEachFindingThatStops(t *testing.T) {
	t.Parallel()
	text, err := findings.JUnit(set(), findings.Set{Suite: "stack dev", Faults: []string{"first", "second"}})
	require.NoError(t, err)
	var read struct {
		Tests    int `xml:"tests,attr"`
		Failures int `xml:"failures,attr"`
		Suites   []struct {
			Name  string `xml:"name,attr"`
			Cases []struct {
				Name    string  `xml:"name,attr"`
				Failure *string `xml:"failure"`
				Output  string  `xml:"system-out"`
			} `xml:"testcase"`
		} `xml:"testsuite"`
	}
	require.NoError(t, xml.Unmarshal(text, &read))
	assert.Equal(t, []int{6, 3}, []int{read.Tests, read.Failures})
	names := map[string]bool{}
	for _, c := range read.Suites[0].Cases {
		names[c.Name] = c.Failure != nil
	}
	assert.Equal(t, map[string]bool{
		"rds-multi-az: database-instance": true, "rds-multi-az": false, "rds-events-subscribed": false,
		"k8s-labels": false, "of-another-pack: database-instance": true,
	}, names)
	assert.Contains(t, *read.Suites[0].Cases[0].Failure, `multiAz: <false> & "no"`)
	assert.Contains(t, *read.Suites[1].Cases[0].Failure, "first\nsecond")
}
