package stackfile

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"

	"dbtier/config"
)

// Line returns the line of a setting, such as database.multiAz, in the text of a stack's file, or that of the nearest
// part above it that the file has. A setting that the file does not have keeps its default. It returns 0 if the file
// has no part of it.
func Line(text, setting string) int {
	var document yaml.Node
	if oddBreaks(text) || yaml.Unmarshal([]byte(text), &document) != nil || len(document.Content) == 0 {
		return 0
	}
	section, path, _ := strings.Cut(strings.NewReplacer("[]", "").Replace(setting), ".")
	_, values := member(document.Content[0], "config")
	key, at := member(values, config.Namespace+":"+section)
	if key == nil {
		return 0
	}
	for part := range strings.SplitSeq(path, ".") {
		// The setting of a list is in each of its elements; the first one that has it is as good as another.
		if at != nil && at.Kind == yaml.SequenceNode && len(at.Content) > 0 {
			at = at.Content[0]
		}
		next, value := member(at, part)
		if next == nil {
			break
		}
		key, at = next, value
	}
	return key.Line
}

// Set gives a setting that the file has another value, which is YAML on one line. A text that YAML would read as
// something else gets quotes. Set returns the new text and the value that the setting had.
func Set(text, setting, value string) (changed, was string, err error) {
	value = strings.TrimSpace(value)
	if oddBreaks(text) {
		return "", "", errors.New("the file has line breaks that editors do not count: save it with ordinary ones")
	}
	var want any
	if err := yaml.Unmarshal([]byte(value), &want); err != nil || strings.ContainsAny(value, "\r\n") {
		return "", "", errors.New("want a YAML value on one line")
	}
	if config.IsMeantAsText(setting, want) {
		want, value = value, strconv.Quote(value)
	} else if hasComment(value) {
		return "", "", errors.New("the value ends in a comment: leave it out, or put the value in quotes if # is " +
			"part of it")
	}
	at := find(text, setting)
	switch {
	case at == nil:
		return "", "", missing(text, setting, value)
	case at.Kind != yaml.ScalarNode || at.Style&(yaml.LiteralStyle|yaml.FoldedStyle|yaml.TaggedStyle) != 0,
		at.Anchor != "":
		return "", "", errors.New("is more than one value on one line: change it in the file")
	}
	lines := strings.SplitAfter(text, "\n")
	line := lines[at.Line-1]
	start := offset(line, at.Column)
	end := start + length(line[start:], at)
	lines[at.Line-1] = line[:start] + value + line[end:]
	changed = strings.Join(lines, "")
	var got any
	if now := find(changed, setting); now == nil || now.Decode(&got) != nil || !reflect.DeepEqual(got, want) {
		return "", "", fmt.Errorf("the value cannot stand in the place of %s: put it in quotes", line[start:end])
	}
	return changed, line[start:end], nil
}

// hasComment reports whether YAML takes a part of a value for a comment.
func hasComment(value string) bool {
	var read yaml.Node
	if yaml.Unmarshal([]byte(value), &read) != nil {
		return false
	}
	var within func(*yaml.Node) bool
	within = func(n *yaml.Node) bool {
		return n.HeadComment+n.LineComment+n.FootComment != "" || slices.ContainsFunc(n.Content, within)
	}
	return within(&read)
}

// MissingError is a setting that the file does not have.
type MissingError struct {
	// Text is the file with the lines.
	Text   string
	reason string
	lines  []string
}

// Error is the reason, and below it the lines to paste into the file, which must keep their indentation.
func (e *MissingError) Error() string {
	return strings.Join(append([]string{e.reason}, e.lines...), "\n")
}

// missing says where in the file a setting belongs, and what to write there.
func missing(text, setting, value string) error {
	if err := config.CheckKey(config.Namespace + ":" + setting); err != nil {
		return err //nolint:wrapcheck // The caller names the setting.
	}
	var document yaml.Node
	if err := yaml.Unmarshal([]byte(text), &document); err != nil || len(document.Content) == 0 {
		return errors.New("is not in the file")
	}
	// Parts are the keys that are missing below key, whose value is at.
	section, path, nested := strings.Cut(setting, ".")
	parts := []string{config.Namespace + ":" + section}
	if nested {
		parts = append(parts, strings.Split(path, ".")...)
	}
	key, at := member(document.Content[0], "config")
	for next, below := member(at, parts[0]); next != nil && len(parts) > 1; next, below = member(at, parts[0]) {
		key, at, parts = next, below, parts[1:]
	}
	switch {
	case key == nil:
		return errors.New("is not in the file, which has no config")
	case at.Kind == yaml.MappingNode && at.Style&yaml.FlowStyle != 0:
		return fmt.Errorf("is not in the file: write `%s: %s%s` into the braces of %s in line %d",
			strings.Join(parts, ": {"), value, strings.Repeat("}", len(parts)-1), key.Value, key.Line)
	case at.Kind != yaml.MappingNode && at.Tag != "!!null":
		return fmt.Errorf("is not in the file, where %s in line %d has no keys below it: change it there", key.Value,
			key.Line)
	}
	indent := key.Column + 1
	if len(at.Content) > 0 {
		indent = at.Content[0].Column - 1
	}
	e := &MissingError{reason: fmt.Sprintf("is not in the file: write it there once, below %s in line %d:", key.Value,
		key.Line)}
	for i, part := range parts {
		line := strings.Repeat(" ", indent+2*i) + part + ":"
		if i == len(parts)-1 {
			line += " " + value
		}
		e.lines = append(e.lines, line)
	}
	before := strings.SplitAfter(text, "\n")
	above := strings.TrimSuffix(strings.Join(before[:key.Line], ""), "\n")
	e.Text = strings.Join(append([]string{above}, e.lines...), "\n") + "\n" + strings.Join(before[key.Line:], "")
	return e
}

// oddBreaks reports whether the text has line breaks that YAML counts and that are not the end of a line elsewhere.
func oddBreaks(text string) bool {
	return strings.ContainsAny(strings.ReplaceAll(text, "\r\n", "\n"), "\r\u0085\u2028\u2029")
}

// find returns the value of a setting, nil if the file does not have it.
func find(text, setting string) *yaml.Node {
	var document yaml.Node
	if yaml.Unmarshal([]byte(text), &document) != nil || len(document.Content) == 0 {
		return nil
	}
	section, path, nested := strings.Cut(setting, ".")
	_, values := member(document.Content[0], "config")
	_, at := member(values, config.Namespace+":"+section)
	if nested {
		for part := range strings.SplitSeq(path, ".") {
			_, at = member(at, part)
		}
	}
	return at
}

// offset returns the index of a column, which counts characters from 1.
func offset(line string, column int) int {
	at := 0
	for ; column > 1 && at < len(line); column-- {
		_, size := utf8.DecodeRuneInString(line[at:])
		at += size
	}
	return at
}

// length returns the length of the scalar at the beginning of the text.
func length(text string, scalar *yaml.Node) int {
	switch {
	case scalar.Style&yaml.SingleQuotedStyle != 0:
		for at := 1; at < len(text); at++ {
			if text[at] != '\'' {
				continue
			}
			if at+1 < len(text) && text[at+1] == '\'' { // An escaped quote.
				at++
				continue
			}
			return at + 1
		}
	case scalar.Style&yaml.DoubleQuotedStyle != 0:
		for at := 1; at < len(text); at++ {
			switch text[at] {
			case '\\':
				at++
			case '"':
				return at + 1
			}
		}
	}
	return min(len(scalar.Value), len(text))
}

// member returns the key and the value of a member of a map. Both are nil if the map does not have it.
func member(of *yaml.Node, name string) (key, value *yaml.Node) {
	if of == nil || of.Kind != yaml.MappingNode {
		return nil, nil
	}
	for i := 0; i+1 < len(of.Content); i += 2 {
		if of.Content[i].Value == name {
			return of.Content[i], of.Content[i+1]
		}
	}
	return nil, nil
}
