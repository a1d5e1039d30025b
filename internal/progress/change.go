package progress

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"

	"github.com/aymanbagabas/go-udiff"
)

// Change is what a step changes in one property. It has Was and Is, or for a long text its Diff.
type Change struct {
	// Path of the property, for example data["pgbouncer.ini"].
	Path string `json:"path"`
	// Was and Is are the values before and after, on one line each. A value that does not exist is empty.
	Was string `json:"was,omitempty"`
	Is  string `json:"is,omitempty"`
	// Diff are the lines of a text that differ, in the unified format: - before the old ones and + before the new ones.
	Diff []string `json:"diff,omitempty"`
}

// longestValue is the length up to which a value is shown as a whole, in characters.
const longestValue = 120

// Changes are the changes of a step's properties, with placeholders for secret and unknown values, and
// without credentials. A property that has the same text before and after is left out. Replace is applied to each text;
// it may be nil.
func (s *Step) Changes(replace func(string) string) []Change {
	if len(s.Changed) == 0 || s.Before == nil || s.After == nil {
		return nil
	}
	before, after := s.visible(s.Before), s.visible(s.After)
	changes := make([]Change, 0, len(s.Changed))
	for _, path := range s.Changed {
		was, is := textAt(before, path), textAt(after, path)
		if was == is && !strings.Contains(was, Secret) && !strings.Contains(was, Computed) {
			continue
		}
		if replace != nil {
			was, is = replace(was), replace(is)
		}
		changes = append(changes, changeOf(path, was, is))
	}
	if len(changes) == 0 {
		return nil
	}
	return changes
}

// AsDeclared reports whether a refresh has found a property with the value that the last update wanted and got, so that
// there is nothing to put back. It is false for a secret, which the engine has masked.
func (s *Step) AsDeclared(path string) bool {
	found, ok := At(s.Found, path)
	text := textAt(Sanitize(s.Found), path)
	if !ok || strings.Contains(text, Secret) || strings.Contains(text, Computed) {
		return false
	}
	for _, properties := range []map[string]any{s.Last.Inputs, s.Last.Outputs, s.Inputs} {
		if value, has := At(properties, path); !has || !reflect.DeepEqual(value, found) {
			return false
		}
	}
	return true
}

// visible are the properties as they are shown. An output of the stack is never secret, also one that has the name of a
// credential because it names the object that holds it.
func (s *Step) visible(properties map[string]any) any {
	if s.Type == stackType {
		return Sanitize(properties)
	}
	return Visible(properties)
}

// changeOf compares two texts. A property that appears or disappears as a whole is not compared by lines.
func changeOf(path, was, is string) Change {
	c := Change{Path: path, Was: was, Is: is}
	if isShort(was) && isShort(is) || was == "" || is == "" || was == is {
		c.Was, c.Is = oneLine(was), oneLine(is)
		return c
	}
	before, after := lines(was), lines(is)
	diff, err := udiff.ToUnified("was", "is", before, udiff.Lines(before, after), 1)
	if err != nil || diff == "" {
		c.Was, c.Is = oneLine(was), oneLine(is)
		return c
	}
	c.Was, c.Is = "", ""
	for _, line := range strings.Split(strings.TrimRight(diff, "\n"), "\n")[2:] {
		c.Diff = append(c.Diff, shorten(line, 2*longestValue))
	}
	return c
}

// String is the change on one line.
func (c Change) String() string {
	if c.Diff != nil {
		return c.Path + ":"
	}
	return fmt.Sprintf("%s: %s → %s", c.Path, orNothing(c.Was), orNothing(c.Is))
}

func orNothing(value string) string {
	if value == "" {
		return "nothing"
	}
	return value
}

// textAt is the value at a path: a text as it is, anything else as JSON, and nothing as the empty text.
func textAt(state any, path string) string {
	found, ok := At(state, path)
	if !ok || found == nil {
		return ""
	}
	if text, isText := found.(string); isText {
		return text
	}
	encoded, err := json.Marshal(found)
	if err != nil {
		return "?"
	}
	return string(encoded)
}

// lines puts a text into lines that can be compared: a JSON document, such as a policy, is indented first.
func lines(text string) string {
	var indented bytes.Buffer
	if json.Indent(&indented, []byte(text), "", "  ") == nil {
		text = indented.String()
	}
	return strings.TrimRight(text, "\n") + "\n"
}

func isShort(text string) bool {
	return !strings.Contains(text, "\n") && len([]rune(text)) <= longestValue
}

func oneLine(text string) string {
	return shorten(strings.Join(strings.Fields(text), " "), longestValue)
}

func shorten(text string, longest int) string {
	if runes := []rune(text); len(runes) > longest {
		return fmt.Sprintf("%s… (%d characters)", string(runes[:longest]), len(runes))
	}
	return text
}
