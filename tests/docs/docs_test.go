// Package docs tests the Markdown files of the repository: their links and the length of their lines.
package docs

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	root = "../.."
	// maxLine is the length of a line in characters, as in .editorconfig.
	maxLine = 120
)

var (
	linkForm    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	headingForm = regexp.MustCompile(`^#{1,6} (.+)$`)
	codeForm    = regexp.MustCompile("`[^`]*`")
)

// documents are the Markdown files, relative to the root.
func documents(t *testing.T) []string {
	t.Helper()
	var found []string
	require.NoError(t, filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && path != root && (strings.HasPrefix(entry.Name(), ".") || entry.Name() == "bin" ||
			entry.Name() == "testdata"):
			return filepath.SkipDir
		case filepath.Ext(path) == ".md":
			name, err := filepath.Rel(root, path)
			found = append(found, name)
			return err
		default:
			return nil
		}
	}))
	require.Greater(t, len(found), 30, "the documents were not found")
	return found
}

// prose calls visit for each line outside of code blocks.
func prose(t *testing.T, document string, visit func(number int, line string)) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, document))
	require.NoError(t, err)
	fenced := false
	for i, line := range strings.Split(string(text), "\n") {
		if strings.HasPrefix(strings.TrimSpace(line), "```") {
			fenced = !fenced
		} else if !fenced {
			visit(i+1, line)
		}
	}
	assert.False(t, fenced, "%s: a code block is not closed", document)
}

// anchor is the fragment that GitHub gives to a heading.
func anchor(heading string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == ' ':
			return '-'
		case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r):
			return unicode.ToLower(r)
		default:
			return -1
		}
	}, heading)
}

func anchors(t *testing.T, document string) map[string]bool {
	t.Helper()
	found := map[string]bool{}
	prose(t, document, func(_ int, line string) {
		if heading := headingForm.FindStringSubmatch(line); heading != nil {
			found[anchor(heading[1])] = true
		}
	})
	return found
}

func TestEveryLinkLeadsToAFileAndAHeading(t *testing.T) {
	t.Parallel()
	checked := 0
	for _, document := range documents(t) {
		prose(t, document, func(number int, line string) {
			for _, link := range linkForm.FindAllStringSubmatch(codeForm.ReplaceAllString(line, "``"), -1) {
				if strings.Contains(link[1], "://") {
					continue
				}
				checked++
				path, fragment, _ := strings.Cut(link[1], "#")
				target := document
				if path != "" {
					target = filepath.Join(filepath.Dir(document), filepath.FromSlash(path))
				}
				if _, err := os.Stat(filepath.Join(root, target)); err != nil {
					t.Errorf("%s:%d: %s: there is no %s", document, number, link[1], target)
				} else if fragment != "" && filepath.Ext(target) == ".md" && !anchors(t, target)[fragment] {
					t.Errorf("%s:%d: %s: there is no such heading", document, number, link[1])
				}
			}
		})
	}
	assert.Greater(t, checked, 100)
}

func TestLinesEndAtTheLimit(t *testing.T) {
	t.Parallel()
	for _, document := range documents(t) {
		prose(t, document, func(number int, line string) {
			// Tables cannot be wrapped, and neither can a single word.
			text := strings.TrimSpace(line)
			if strings.HasPrefix(text, "|") || !strings.Contains(text, " ") {
				return
			}
			if length := utf8.RuneCountInString(line); length > maxLine {
				t.Errorf("%s:%d: the line has %d characters, want %d at most", document, number, length, maxLine)
			}
		})
	}
}
