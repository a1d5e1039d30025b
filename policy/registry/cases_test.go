package registry_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"dbtier/policy/registry"
	"dbtier/policy/rule"
	"dbtier/policy/ruletest"
	"dbtier/policy/types"
)

// example is a resource that satisfies a rule, and changes that violate the rule.
type example struct {
	rule string
	// of is the name of a resource in the golden file of the stack prod.
	of string
	// literal is a resource that no component creates. It is used if of is empty.
	literal *ruletest.Resource
	// breaks are changes that each violate the rule.
	breaks []ruletest.Change
	// keeps are changes that each satisfy the rule.
	keeps []ruletest.Change
	// unknown are paths. An unknown value at each of them makes the rule wait.
	unknown [][]any
	config  map[string]any
}

type path = []any

var (
	set  = ruletest.Set
	drop = ruletest.Drop
)

func made(resourceType string, inputs map[string]any) *ruletest.Resource {
	return &ruletest.Resource{Type: resourceType, Name: "made", Inputs: inputs}
}

const goldenProd = "../../tests/golden/prod.yaml"

func (e example) resource(t *testing.T, golden []*ruletest.Resource) *ruletest.Resource {
	t.Helper()
	if e.literal != nil {
		return e.literal
	}
	return ruletest.Named(t, golden, e.of)
}

func examples() []example {
	return slices.Concat(rdsExamples(), secretsExamples(), kmsExamples(), iamExamples(), networkExamples(),
		podSecurityExamples(),
		podQualityExamples(), kubernetesExamples(), poolExamples(), migrationExamples())
}

// TestEveryRuleBreaksHoldsAndWaits judges a resource by every resource rule: changed so that it violates the rule,
// changed so that it does not, and with unknown values, which are neither a violation nor a pass.
func TestEveryRuleBreaksHoldsAndWaits(t *testing.T) {
	t.Parallel()
	golden := ruletest.Golden(t, goldenProd)
	broken, held, waited := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for i, e := range examples() {
		r := registry.Find(e.rule)
		require.NotNil(t, r, "rule %s", e.rule)
		base := e.resource(t, golden)
		known, _ := types.Known(base.Type)
		require.Contains(t, r.Types, known, e.rule)
		setup := ruletest.Setup{
			Profile: rule.Production,
			Config:  map[string]map[string]any{e.rule: {"enforcementLevel": "mandatory"}},
		}
		for key, value := range e.config {
			setup.Config[e.rule][key] = value
		}
		judge := func(t *testing.T, resource *ruletest.Resource) *ruletest.Answer {
			t.Helper()
			return ruletest.Judge(t, setup, []*rule.Rule{r}, resource)
		}
		broken[e.rule] = broken[e.rule] || len(e.breaks) > 0
		waited[e.rule] = waited[e.rule] || len(e.unknown) > 0
		held[e.rule] = true
		t.Run(fmt.Sprintf("%s/%d", e.rule, i), func(t *testing.T) {
			t.Parallel()
			answer := judge(t, base)
			assert.Empty(t, answer.Violations(e.rule), "unchanged")
			assert.Empty(t, answer.Pending, "unchanged")
			for _, change := range e.keeps {
				assert.Empty(t, judge(t, change.On(base)).Violations(e.rule), "%v", change)
			}
			for _, change := range e.breaks {
				changed := change.On(base)
				found := judge(t, changed).Violations(e.rule)
				if !assert.NotEmpty(t, found, "%v", change) {
					continue
				}
				for _, message := range found {
					assert.True(t, strings.HasPrefix(message, r.Summary+"\n"), message)
					assert.Contains(t, message, r.Fix)
				}
				noSecrets(t, judge, r, changed)
			}
			for _, at := range e.unknown {
				answer := judge(t, ruletest.Set(ruletest.Unknown{}, at...).On(base))
				assert.Empty(t, answer.Violations(e.rule), "%v is unknown", at)
				assert.Equal(t, []string{e.rule}, answer.Pending, "%v is unknown", at)
				assert.Contains(t, answer.Said, e.rule)
			}
		})
	}
	for _, r := range registry.All() {
		if r.IsStack() {
			continue
		}
		assert.True(t, broken[r.Name], "%s: an example that breaks it is missing", r.Name)
		assert.True(t, held[r.Name], "%s: an example that keeps it is missing", r.Name)
		assert.True(t, waited[r.Name], "%s: an example that makes it wait is missing", r.Name)
	}
}

// sentinel is a text that messages must not contain.
const sentinel = "hunter22"

// noSecrets makes every text of a resource secret, unchanged and with the sentinel, and looks for the texts in the
// rule's messages. It does not look for short texts, because a rule can use them itself, such as default.
func noSecrets(
	t *testing.T, judge func(*testing.T, *ruletest.Resource) *ruletest.Answer, r *rule.Rule,
	resource *ruletest.Resource,
) {
	t.Helper()
	for _, suffix := range []string{"", "-" + sentinel} {
		hidden := resource.Clone()
		texts := []string{sentinel}
		var hide func(value any) any
		hide = func(value any) any {
			switch value := value.(type) {
			case map[string]any:
				for key, inner := range value {
					value[key] = hide(inner)
				}
			case []any:
				for i, inner := range value {
					value[i] = hide(inner)
				}
			case string:
				if len(value) > 30 {
					texts = append(texts, value)
				}
				return ruletest.Secret{Value: value + suffix}
			}
			return value
		}
		hide(hidden.Inputs)
		for _, message := range judge(t, hidden).Violations(r.Name) {
			said := strings.NewReplacer(r.Summary, "", r.Fix, "").Replace(message)
			for _, text := range texts {
				assert.NotContains(t, said, text, "%s shows a secret", r.Name)
			}
		}
	}
}
