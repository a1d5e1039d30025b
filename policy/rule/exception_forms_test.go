package rule_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"dbtier/policy/rule"
)

// YAML reads a date without quotes as a time. Pulumi passes it on as one of these texts.
func TestTheDateOfAnExceptionHasSeveralForms(t *testing.T) {
	for _, day := range []string{"2999-03-31", "2999-03-31T00:00:00Z", "2999-03-31 00:00:00 +0000 UTC"} {
		exceptions := rule.ExceptionsOf(map[string]any{"exceptions": []any{map[string]any{
			"resource": "database-instance", "owner": "team", "reason": "test", "expires": day,
		}}})
		assert.Len(t, exceptions, 1, day)
	}
}
