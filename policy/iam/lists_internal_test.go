package iam

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"

	"dbtier/policy/internal/iamactions"
)

// TestListedActionsExist fails for an action that AWS does not have, or that accepts * only: a rule that requires named
// resources would never find it.
func TestListedActionsExist(t *testing.T) {
	t.Parallel()
	for _, name := range slices.Concat(escalating, exposing, reading) {
		found := slices.Collect(iamactions.Matching(name))
		if assert.Len(t, found, 1, name) {
			assert.Equal(t, name, found[0].Name, "written as AWS does")
			assert.NotEmpty(t, found[0].Types, "%s accepts * only", name)
		}
	}
}
