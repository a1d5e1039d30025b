package catalogue_test

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"

	"dbtier/policy/catalogue"
	"dbtier/policy/registry"
	"dbtier/policy/rule"
	"dbtier/policy/ruletest"
)

// claim is an entry of testdata/claims.yaml.
type claim struct {
	IDs        []string `yaml:"ids"`
	Rule       string
	Type, Kind string
	// Config is the rule's settings in the policy config.
	Config    map[string]any
	Bad, Good map[string]any
	With      []companion
}

// companion is another resource of the stack.
type companion struct {
	Type   string
	Inputs map[string]any
	// Refers is the property that names the judged resource.
	Refers string
	// Only is the case with the resource: bad or good. Empty means both.
	Only string
}

func claims(t *testing.T) []claim {
	t.Helper()
	file, err := os.Open("testdata/claims.yaml")
	require.NoError(t, err)
	defer file.Close()
	decoder := yaml.NewDecoder(file)
	decoder.KnownFields(true)
	var all []claim
	require.NoError(t, decoder.Decode(&all))
	return all
}

// stack returns the resources of a case.
func (c claim) stack(t *testing.T, name string) []*ruletest.Resource {
	t.Helper()
	inputs := map[string]map[string]any{"bad": c.Bad, "good": c.Good}[name]
	require.NotNil(t, inputs, "%v of %s: the case %s is missing", c.IDs, c.Rule, name)
	kind := c.Type
	if c.Kind != "" {
		kind = "kubernetes:" + c.Kind
	}
	judged := &ruletest.Resource{Type: kind, Name: "judged", Inputs: documents(t, inputs)}
	all := []*ruletest.Resource{judged}
	for i, other := range c.With {
		if other.Only != "" && other.Only != name {
			continue
		}
		r := &ruletest.Resource{Type: other.Type, Name: fmt.Sprint("other-", i), Inputs: documents(t, other.Inputs)}
		if other.Refers != "" {
			r.Dependencies = []string{judged.URN()}
			r.PropertyDependencies = map[string][]string{other.Refers: {judged.URN()}}
		}
		all = append(all, r)
	}
	return all
}

// documents returns inputs in which policy documents are JSON. In the file, a document is its statement.
func documents(t *testing.T, inputs map[string]any) map[string]any {
	t.Helper()
	encoded := map[string]any{}
	for key, value := range inputs {
		if strings.HasSuffix(strings.ToLower(key), "policy") {
			text, err := json.Marshal(map[string]any{"Version": "2012-10-17", "Statement": value})
			require.NoError(t, err)
			value = string(text)
		}
		encoded[key] = value
	}
	return encoded
}

// proved judges the cases of all claims, and returns the claims whose bad case violates the rule and whose good case
// does not. Requirements of this tier and gaps are proved by the cases of the rule itself, in package registry.
func proved(t *testing.T) catalogue.Claims {
	t.Helper()
	found := catalogue.Claims{}
	add := func(id, name string) {
		if !slices.Contains(found[id], name) {
			found[id] = append(found[id], name)
		}
	}
	for _, c := range claims(t) {
		r := registry.Find(c.Rule)
		if !assert.NotNil(t, r, "there is no rule %s", c.Rule) {
			continue
		}
		settings := map[string]any{"enforcementLevel": "mandatory"}
		for key, value := range c.Config {
			if number, ok := value.(int); ok {
				value = float64(number)
			}
			settings[key] = value
		}
		setup := ruletest.Setup{
			Profile: rule.Production, Update: true, Config: map[string]map[string]any{c.Rule: settings},
		}
		judge := func(name string) []string {
			return ruletest.Judge(t, setup, []*rule.Rule{r}, c.stack(t, name)...).Violations(c.Rule)
		}
		bad, good := judge("bad"), judge("good")
		if assert.NotEmpty(t, bad, "%v: %s does not find the bad case", c.IDs, c.Rule) &&
			assert.Empty(t, good, "%v: %s finds the good case", c.IDs, c.Rule) {
			for _, id := range c.IDs {
				assert.Contains(t, r.IDs, id, "%s does not claim it", c.Rule)
				add(id, c.Rule)
			}
		}
	}
	for _, r := range registry.All() {
		for _, id := range r.IDs {
			if own(id) {
				add(id, r.Name)
			}
		}
	}
	return found
}

func own(id string) bool {
	return strings.HasPrefix(id, catalogue.Own) || strings.HasPrefix(id, "gap:")
}

// TestEveryClaimIsProved fails for an id of a rule without a case of its own.
func TestEveryClaimIsProved(t *testing.T) {
	t.Parallel()
	claims := proved(t)
	for _, r := range registry.All() {
		for _, id := range r.IDs {
			assert.Contains(t, claims[id], r.Name, "testdata/claims.yaml has no case for %s of %s", id, r.Name)
		}
	}
}
