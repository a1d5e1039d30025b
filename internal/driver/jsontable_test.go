package driver

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The other direction, that every nested field is mentioned, is in TestEveryFieldOfTheAnswerAndEveryExitCodeIsDocumented.
func TestTheTableOfTheAnswerHasARowForEachFieldAndNoOther(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "driver.md"))
	require.NoError(t, err)
	_, section, found := strings.Cut(string(text), "\n## JSON\n")
	require.True(t, found, "docs/driver.md has no section JSON")
	section, _, _ = strings.Cut(section, "\n## ")
	var documented []string
	for _, row := range regexp.MustCompile("(?m)^\\| ([^|]*) \\|").FindAllStringSubmatch(section, -1) {
		for _, name := range regexp.MustCompile("`(\\w+)`").FindAllStringSubmatch(row[1], -1) {
			documented = append(documented, name[1])
		}
	}
	var fields []string
	answer := reflect.TypeFor[report]()
	for i := range answer.NumField() {
		if name, _, _ := strings.Cut(answer.Field(i).Tag.Get("json"), ","); name != "" && name != "-" {
			fields = append(fields, name)
		}
	}
	assert.ElementsMatch(t, fields, documented)
}
