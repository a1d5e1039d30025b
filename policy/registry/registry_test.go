package registry_test

import (
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"

	"dbtier/policy/registry"
	"dbtier/policy/rule"
)

func TestEveryRuleIsDescribed(t *testing.T) {
	t.Parallel()
	names := map[string]bool{}
	form := regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)+$`)
	families := []string{"rds", "secrets", "kms", "iam", "network", "kubernetes", "pool", "migration", "stackwide"}
	for _, r := range registry.All() {
		assert.Regexp(t, form, r.Name)
		assert.False(t, names[r.Name], "%s occurs twice", r.Name)
		names[r.Name] = true
		assert.Contains(t, families, r.Family, r.Name)
		assert.True(t, strings.HasSuffix(r.Summary, "."), "%s: the summary is not a sentence: %s", r.Name, r.Summary)
		for _, text := range []string{r.Summary, r.Why, r.Fix} {
			assert.NotEmpty(t, text, r.Name)
		}
		assert.GreaterOrEqual(t, r.Severity, rule.Low, r.Name)
		assert.NotEmpty(t, r.IDs, "%s covers nothing", r.Name)
		assert.NotEqual(t, r.Resource == nil, r.Stack == nil, "%s must judge either a resource or a stack", r.Name)
		assert.True(t, r.IsStack() || len(r.Types) > 0, "%s has no types", r.Name)
		assert.Len(t, slices.Compact(slices.Sorted(slices.Values(r.Types))), len(r.Types), "%s: a type occurs twice",
			r.Name)
	}
	for _, family := range families {
		assert.True(t, slices.ContainsFunc(registry.All(), func(r *rule.Rule) bool { return r.Family == family }),
			family)
	}
}

func TestThePackIsNamedAsItsProjectFileSays(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../PulumiPolicy.yaml")
	require.NoError(t, err)
	var file struct{ Name, Version, Description string }
	require.NoError(t, yaml.Unmarshal(text, &file))
	pack := registry.Pack()
	assert.Equal(t, []string{file.Name, file.Version, file.Description},
		[]string{pack.Name, pack.Version, pack.Description})
}

// TestThePackKnowsNothingOfThisProgram checks the packages in the binary: it must work for every program, and start
// fast.
func TestThePackKnowsNothingOfThisProgram(t *testing.T) {
	t.Parallel()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", "dbtier/policy").Output()
	require.NoError(t, err)
	for _, name := range strings.Fields(string(out)) {
		if own, ok := strings.CutPrefix(name, "dbtier/"); ok {
			assert.True(t, strings.HasPrefix(own, "policy") || own == "budget" ||
				strings.HasPrefix(own, "validation"), "the pack contains %s", name)
		}
		assert.NotContains(t, name, "pulumi-aws")
		assert.NotContains(t, name, "pulumi-kubernetes")
		assert.NotContains(t, name, "policyx")
	}
}
