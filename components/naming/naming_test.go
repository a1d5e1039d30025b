package naming_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"dbtier/components/naming"
	"dbtier/validation"
)

func TestLongNamesAreCutAndStayApart(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("service-", 10)
	first, second := naming.Join(63, long, "a"), naming.Join(63, long, "b")
	assert.LessOrEqual(t, len(first), 63)
	assert.NotEqual(t, first, second)
	assert.Equal(t, first, naming.Join(63, long, "a"), "the same input gives the same name")
}

func TestHashFollowsContent(t *testing.T) {
	t.Parallel()
	first, err := naming.Hash(map[string]string{"image": "api:1", "tool": "x"})
	require.NoError(t, err)
	same, err := naming.Hash(map[string]string{"tool": "x", "image": "api:1"})
	require.NoError(t, err)
	other, err := naming.Hash(map[string]string{"image": "api:2", "tool": "x"})
	require.NoError(t, err)
	assert.Equal(t, first, same)
	assert.NotEqual(t, first, other)
	_, err = naming.Hash(func() {})
	assert.Error(t, err)
}

func FuzzJoinedLabelsAreLabels(f *testing.F) {
	f.Add("myshop-api", "db")
	f.Add(strings.Repeat("a", 54)+"-", "direct")
	f.Fuzz(func(t *testing.T, a, b string) {
		if !validation.Label.Matches(a) || !validation.Label.Matches(b) {
			return
		}
		if got := naming.Join(naming.LabelLimit, a, b); !validation.Label.Matches(got) {
			t.Errorf("Join(%q, %q) = %q, which is no DNS label", a, b, got)
		}
	})
}

func ExampleJoin() {
	fmt.Println(naming.Join(naming.LabelLimit, "myshop-api", "db", "direct"))
	// Output: myshop-api-db-direct
}
