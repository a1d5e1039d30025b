package catalogue_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"dbtier/policy/catalogue"
	"dbtier/policy/kubernetes"
	"dbtier/policy/registry"
)

//go:generate env UPDATE_POLICIES=1 go test -vet=off -count=1 -run ^TestTheDocumentIsThatOfTheRules$ .

const (
	document = "../../docs/policies.md"
	// update is the variable with which the test writes the document instead of comparing. `make generate` sets it.
	update = "UPDATE_POLICIES"
)

func TestEveryRowHasARuleOrAReason(t *testing.T) {
	t.Parallel()
	all, err := catalogue.All()
	require.NoError(t, err)
	assert.Empty(t, catalogue.Faults(all, proved(t)))
}

// TestTheStandardIsOfTheVersionThatRulesFollow keeps the document right when the version is raised.
func TestTheStandardIsOfTheVersionThatRulesFollow(t *testing.T) {
	t.Parallel()
	all, err := catalogue.All()
	require.NoError(t, err)
	at := slices.IndexFunc(all, func(c catalogue.Catalogue) bool { return c.Name == "Pod Security Standards" })
	require.GreaterOrEqual(t, at, 0)
	assert.True(t, strings.HasSuffix(all[at].Source, ", "+kubernetes.PodSecurityVersion), all[at].Source)
}

func TestARowThatIsNeitherIsFound(t *testing.T) {
	t.Parallel()
	claims := catalogue.Claims{"A": {"a"}, "C": {"a"}, "X": {"a"}, "tier:own": {"a"}}
	rows := []catalogue.Row{
		{ID: "A", Meaning: "a"},
		{ID: "B", Meaning: "b"},
		{ID: "C", Meaning: "c", Reason: "why"},
		{ID: "D", Meaning: "d", Reason: "why"},
		{ID: "A", Meaning: "a"},
		{ID: "E"},
	}
	assert.Equal(t, []string{
		"A: is listed twice", "B: has neither a rule nor a reason for having none",
		"C: has a rule and a reason for having none", "E: has no meaning", "X: is not in a catalogue",
	}, catalogue.Faults([]catalogue.Catalogue{{Name: "list", Rows: rows}}, claims))
}

func TestTheDocumentIsThatOfTheRules(t *testing.T) {
	t.Parallel()
	all, err := catalogue.All()
	require.NoError(t, err)
	have, err := os.ReadFile(document)
	require.NoError(t, err)
	want, err := catalogue.Replace(string(have), catalogue.Markdown(all, registry.All(), proved(t)))
	require.NoError(t, err)
	if os.Getenv(update) != "" {
		require.NoError(t, os.WriteFile(document, []byte(want), 0o600))
		return
	}
	assert.Equal(t, want, string(have), "docs/policies.md is out of date: run `make generate`")
}

func TestADocumentWithoutMarksIsRefused(t *testing.T) {
	t.Parallel()
	_, err := catalogue.Replace("# Policies", "rules")
	assert.Error(t, err)
}
