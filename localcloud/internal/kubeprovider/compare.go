package kubeprovider

import (
	"reflect"
	"slices"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
)

// change is one difference between two versions of an object.
type change struct {
	path resource.PropertyPath
	kind pulumirpc.PropertyDiff_Kind // ADD, DELETE or UPDATE
	old  any
	new  any
}

// compare returns the differences between two versions of an object, ordered by path. A null counts as absent, as in
// the API server. An unknown value differs from everything.
func compare(old, updated map[string]any) []change {
	return compareMaps(nil, old, updated)
}

func compareMaps(path resource.PropertyPath, old, updated map[string]any) []change {
	keys := make([]string, 0, len(old)+len(updated))
	for key := range old {
		keys = append(keys, key)
	}
	for key := range updated {
		if _, both := old[key]; !both {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	var changes []change
	for _, key := range keys {
		changes = append(changes, compareValues(append(path[:len(path):len(path)], underscored(key)), old[key],
			updated[key])...)
	}
	return changes
}

func compareValues(path resource.PropertyPath, old, updated any) []change {
	switch {
	case old == nil && updated == nil:
		return nil
	case old == nil:
		return []change{{path: path, kind: pulumirpc.PropertyDiff_ADD, new: updated}}
	case updated == nil:
		return []change{{path: path, kind: pulumirpc.PropertyDiff_DELETE, old: old}}
	}
	oldMap, wasMap := old.(map[string]any)
	newMap, isMap := updated.(map[string]any)
	if wasMap && isMap {
		return compareMaps(path, oldMap, newMap)
	}
	oldList, wasList := old.([]any)
	newList, isList := updated.([]any)
	if wasList && isList {
		return compareLists(path, oldList, newList)
	}
	if _, computed := updated.(unknown); !computed && equalScalars(old, updated) {
		return nil
	}
	return []change{{path: path, kind: pulumirpc.PropertyDiff_UPDATE, old: old, new: updated}}
}

func compareLists(path resource.PropertyPath, old, updated []any) []change {
	var changes []change
	for i := range max(len(old), len(updated)) {
		at := slices.Concat(path, resource.PropertyPath{i})
		switch {
		case i >= len(old):
			changes = append(changes, change{path: at, kind: pulumirpc.PropertyDiff_ADD, new: updated[i]})
		case i >= len(updated):
			changes = append(changes, change{path: at, kind: pulumirpc.PropertyDiff_DELETE, old: old[i]})
		default:
			changes = append(changes, compareValues(at, old[i], updated[i])...)
		}
	}
	return changes
}

func equalScalars(old, updated any) bool {
	if reflect.DeepEqual(old, updated) {
		return true
	}
	x, isNumber := number(old)
	y, areNumbers := number(updated)
	return isNumber && areNumbers && x == y
}

func number(value any) (float64, bool) {
	switch number := value.(type) {
	case int64:
		return float64(number), true
	case float64:
		return number, true
	}
	return 0, false
}

// at follows a path into an object's content.
func at(content any, path resource.PropertyPath) (any, bool) {
	for _, step := range path {
		switch key := step.(type) {
		case string:
			fields, ok := content.(map[string]any)
			if !ok {
				return nil, false
			}
			next, ok := fields[key]
			if spelling := dashed[key]; !ok && spelling != "" {
				next, ok = fields[spelling]
			}
			if !ok {
				return nil, false
			}
			content = next
		case int:
			items, ok := content.([]any)
			if !ok || key >= len(items) {
				return nil, false
			}
			content = items[key]
		}
	}
	return content, true
}
