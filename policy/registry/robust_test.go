package registry_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"dbtier/policy/registry"
	"dbtier/policy/rule"
	"dbtier/policy/ruletest"
)

// paths returns the paths of every value in a tree, down to a depth.
func paths(value any, depth int) [][]any {
	var found [][]any
	below := func(step, inner any) {
		found = append(found, path{step})
		if depth > 1 {
			for _, p := range paths(inner, depth-1) {
				found = append(found, append(path{step}, p...))
			}
		}
	}
	switch value := value.(type) {
	case map[string]any:
		for key, inner := range value {
			below(key, inner)
		}
	case []any:
		for i, inner := range value {
			below(i, inner)
		}
	}
	return found
}

// TestOddValuesBreakNoRule sets values of wrong types everywhere in every resource. Programs in other languages can
// contain them, and a rule that panics ends the engine's run.
func TestOddValuesBreakNoRule(t *testing.T) {
	t.Parallel()
	golden := ruletest.Golden(t, goldenProd)
	server, _ := ruletest.Server(t, ruletest.Setup{Profile: rule.Production}, registry.All()...)
	for _, r := range golden {
		for _, at := range paths(r.Inputs, 12) {
			for _, odd := range []any{
				"x", 7.5, true,
				[]any{},
				[]any{nil, "x"},
				map[string]any{"x": nil},
				ruletest.Unknown{},
				ruletest.Secret{Value: "x"},
				nil,
			} {
				_, err := server.Analyze(t.Context(), ruletest.Request(t, ruletest.Set(odd, at...).On(r)))
				require.NoError(t, err)
			}
		}
	}
	for i, r := range golden {
		for _, at := range paths(r.Inputs, 3) {
			for _, odd := range []any{"x", []any{nil, "x"}} {
				stack := slices.Clone(golden)
				stack[i] = ruletest.Set(odd, at...).On(r)
				// A few resources are enough to compare with the odd one.
				_, err := server.AnalyzeStack(t.Context(), ruletest.StackRequest(t, around(stack, i)))
				require.NoError(t, err)
			}
		}
	}
}

// around returns a resource, and one resource of each other type.
func around(stack []*ruletest.Resource, i int) []*ruletest.Resource {
	seen := map[string]bool{stack[i].Type: true}
	found := []*ruletest.Resource{stack[i]}
	for _, r := range stack {
		if !seen[r.Type] {
			seen[r.Type] = true
			found = append(found, r)
		}
	}
	return found
}
