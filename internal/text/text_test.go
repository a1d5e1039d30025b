package text_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"dbtier/internal/text"
)

func TestLinesOfATextAreFound(t *testing.T) {
	assert.Equal(t, "a", text.FirstLine("a\nb\n"))
	assert.Empty(t, text.FirstLine(""))
	assert.Equal(t, "b", text.LastLine("a\n  b \n\n"))
	assert.Empty(t, text.LastLine("\n"))
	assert.Equal(t, "no", text.FirstError("warning: x\nerror: no \nerror: other\n"))
	assert.Empty(t, text.FirstError("all is well"))
	assert.Equal(t, "faults:\n  one\n  two", text.FirstError("error: faults:\n    one\n  two\nnext\n"))
	assert.Equal(t, "1 check", text.Count(1, "check", "checks"))
	assert.Equal(t, "0 checks", text.Count(0, "check", "checks"))
}
