package config

import (
	"maps"
	"reflect"
	"slices"
	"strings"

	"dbtier/components/fault"
)

// blame moves a fault of a default to the written setting that led to it. That is the setting without which, or with
// another value of which, the fault ends and no other begins. A fault of a default that only repeats the fault of the
// setting it follows from is dropped. judge returns the faults of a tree.
func blame(tree map[string]any, faults []fault.Fault, judge func(map[string]any) []fault.Fault) []fault.Fault {
	leaves := map[string]any{}
	collect(leaves, "", tree)
	written := func(f fault.Fault) bool {
		for leaf := range leaves {
			if isPart(leaf, f.Path) || isPart(f.Path, leaf) {
				return true
			}
		}
		return f.Path == ""
	}
	open := map[string]int{}
	before := map[string]bool{}
	for _, f := range faults {
		before[f.String()] = true
	}
	faults = withoutEchoes(tree, leaves, faults, written, judge)
	for i, f := range faults {
		if !written(f) {
			open[f.String()] = i
		}
	}
	for _, leaf := range slices.Sorted(maps.Keys(leaves)) {
		if len(open) == 0 {
			break
		}
		// What a reference reads is as good as written.
		if strings.Contains(leaf, ".stackReference.") {
			continue
		}
		for _, changed := range alternatives(tree, leaf, leaves[leaf]) {
			after := map[string]bool{}
			for _, f := range judge(changed) {
				after[f.String()] = true
			}
			if slices.ContainsFunc(slices.Collect(maps.Keys(after)), func(text string) bool { return !before[text] }) {
				continue
			}
			for text, i := range open {
				if !after[text] {
					faults[i] = moved(faults[i], leaf, leaves[leaf])
					delete(open, text)
				}
			}
		}
	}
	return faults
}

// validName has the form of every name in the config.
const validName = "x"

// withoutEchoes drops the faults of defaults that end when a name with a fault of its own becomes valid: one wrong name
// is one fault, whatever other names are made from it.
func withoutEchoes(tree, leaves map[string]any, faults []fault.Fault, written func(fault.Fault) bool,
	judge func(map[string]any) []fault.Fault,
) []fault.Fault {
	kept := slices.Clone(faults)
	for _, leaf := range slices.Sorted(maps.Keys(leaves)) {
		isOwn := func(f fault.Fault) bool { return f.Path == leaf }
		if _, text := leaves[leaf].(string); !text || !slices.ContainsFunc(kept, isOwn) || !slices.ContainsFunc(kept,
			func(f fault.Fault) bool { return !written(f) }) {
			continue
		}
		left := map[string]bool{}
		mended := judge(replaced(tree, leaf, validName))
		if slices.ContainsFunc(mended, isOwn) {
			continue
		}
		for _, f := range mended {
			left[f.String()] = true
		}
		kept = slices.DeleteFunc(kept, func(f fault.Fault) bool { return !written(f) && !left[f.String()] })
	}
	return kept
}

// moved is the fault at the setting that led to it.
func moved(f fault.Fault, leaf string, value any) fault.Fault {
	reason := f.Reason
	if isSetting(f.Path) {
		reason = "conflicts with a default: " + f.String()
	}
	switch value.(type) {
	case map[string]any, []any:
		value = nil
	}
	return fault.Fault{Path: leaf, Value: value, Reason: reason}
}

// collect adds the scalars and lists of a tree by their paths.
func collect(leaves map[string]any, path string, value any) {
	keys, ok := value.(map[string]any)
	if !ok || path != "" && len(keys) == 0 {
		leaves[path] = value
		return
	}
	for key, part := range keys {
		collect(leaves, join(path, key), part)
	}
}

// alternatives are trees without the leaf, and with another text in its place, for a setting without a default.
func alternatives(tree map[string]any, leaf string, value any) []map[string]any {
	trees := []map[string]any{replaced(tree, leaf, nil)}
	if text, ok := value.(string); ok {
		trees = append(trees, replaced(tree, leaf, text+"x"))
	}
	return trees
}

// replaced returns a copy of a tree with another value at a path, or without the path if the value is nil.
func replaced(tree map[string]any, path string, value any) map[string]any {
	changed := maps.Clone(tree)
	for key, part := range tree {
		rest, inside := strings.CutPrefix(path, key)
		switch {
		case !inside:
		case rest == "" && value == nil:
			delete(changed, key)
		case rest == "":
			changed[key] = value
		case rest[0] == '.':
			if keys, ok := part.(map[string]any); ok {
				changed[key] = replaced(keys, rest[1:], value)
			}
		}
	}
	return changed
}

// isSetting reports whether a path leads to a setting. Not every argument of a component is a setting.
func isSetting(path string) bool {
	of := reflect.TypeFor[Stack]()
	for key := range strings.SplitSeq(path, ".") {
		key, _, _ = strings.Cut(key, "[")
		switch of.Kind() {
		case reflect.Struct:
			field, ok := fieldsOf(reflect.New(of).Elem())[key]
			if !ok {
				return false
			}
			of = field.Type()
		case reflect.Map:
			of = of.Elem()
		default:
			return true
		}
		if of.Kind() == reflect.Slice {
			of = of.Elem()
		}
	}
	return true
}

// once wraps an [OutputsOf] so that it reads each stack once.
func once(outputsOf OutputsOf) OutputsOf {
	type answer struct {
		outputs Outputs
		err     error
	}
	known := map[string]answer{}
	return func(stack string) (Outputs, error) {
		if a, read := known[stack]; read {
			return a.outputs, a.err
		}
		outputs, err := outputsOf(stack)
		known[stack] = answer{outputs, err}
		return outputs, err
	}
}
