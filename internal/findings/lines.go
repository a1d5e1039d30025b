package findings

import (
	"strings"

	"gopkg.in/yaml.v3"

	"dbtier/config"
)

// Line returns the line of a setting, such as database.multiAz, in the text of a stack's file, or that of the nearest
// part above it that the file has. A setting that the file does not have keeps its default. It returns 0 if the file
// has no part of it.
func Line(text, setting string) int {
	var document yaml.Node
	if yaml.Unmarshal([]byte(text), &document) != nil || len(document.Content) == 0 {
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
