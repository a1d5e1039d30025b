package await

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestParseWaitFor(t *testing.T) {
	const obj = `
apiVersion: x.io/v1
kind: Thing
metadata: {name: a, generation: 3}
status:
  observedGeneration: 3
  phase: Up
  count: 2
  conditions:
  - {type: Ready, status: "True", observedGeneration: 3}
  - {type: Stale, status: "True", observedGeneration: 2}
  - {type: Broken, status: "False"}`
	for expression, want := range map[string]bool{
		"condition=Ready":                                                true,
		"condition=Ready=true":                                           true,
		"condition=Ready=False":                                          false,
		"condition=Broken":                                               false,
		"condition=Broken=False":                                         true,
		"condition=Stale":                                                false,
		"condition=Missing":                                              false,
		"jsonpath={.status.phase}":                                       true,
		"jsonpath={.status.phase}=Up":                                    true,
		"jsonpath={ .status.phase }=Down":                                false,
		"jsonpath={.status.count}=2":                                     true,
		"jsonpath={.status.none}":                                        false,
		`jsonpath={$.status.phase}=Up`:                                   true,
		`["condition=Ready", "condition=Broken"]`:                        false,
		`["condition=Ready", "jsonpath={.status}"]`:                      true,
		`jsonpath={.status.conditions[?(@.type=="Ready")].status}=True`:  true,
		`jsonpath={.status.conditions[?(@.type=="Broken")].status}=True`: false,
	} {
		t.Run(expression, func(t *testing.T) {
			conditions, err := ParseWaitFor(expression)
			require.NoError(t, err)
			assert.Equal(t, want, allOf(conditions)(parse(t, obj)).done)
		})
	}
}

func TestParseWaitForFaults(t *testing.T) {
	for expression, want := range map[string]string{
		"":                        `"": must begin with "condition=" or "jsonpath="`,
		"Ready":                   `"Ready": must begin with`,
		"condition=":              "names no condition type",
		"[]":                      "the array is empty",
		`["condition=Ready"`:      "is not a JSON array of strings",
		`["a", "b"]`:              "\"a\": must begin with \"condition=\" or \"jsonpath=\"\n\"b\": must begin",
		"jsonpath=.status.phase":  "the path must be in braces",
		"jsonpath='{.status}'=Up": "remove the quotes",
		"jsonpath={.status}=":     "a value is missing after the last =",
		"jsonpath={.status[}":     "jsonpath",
	} {
		t.Run(expression, func(t *testing.T) {
			_, err := ParseWaitFor(expression)
			assert.ErrorContains(t, err, want)
		})
	}
}
