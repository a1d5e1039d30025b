package suggest_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"dbtier/internal/suggest"
)

func TestTheNearestNameIsSuggestedUnlessAllAreFarOff(t *testing.T) {
	known := []string{"replicas", "image", "resources"}
	for name, want := range map[string]string{
		"replica": "replicas", "Replicsa": "replicas", "imgae": "image", "x": "", "connections": "",
	} {
		assert.Equal(t, want, suggest.Nearest(name, known), name)
	}
	assert.Empty(t, suggest.Nearest("image", nil))
}
