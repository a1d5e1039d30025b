package awsprovider

import (
	"slices"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/plugin"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
)

// changed returns the names of the inputs that differ, sorted. It compares recorded values only and calls no service; a
// refresh compares the state with the stand-in.
func (t *resourceType) changed(oldState, oldInputs, news resource.PropertyMap) []string {
	var names []string
	for name, p := range t.properties {
		key := resource.PropertyKey(name)
		before, had := oldInputs[key]
		after, has := news[key]
		if !had && has && p.computed {
			// AWS chose the old value and the program now gives one. This is a change only if the two differ.
			before, had = oldState[key]
		}
		if state, known := oldState[key]; known && had && p.reported {
			before = state
		}
		if !p.unchanged(before, had, after, has) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func (p property) unchanged(before resource.PropertyValue, had bool, after resource.PropertyValue, has bool) bool {
	switch {
	case !had && !has:
		return true
	case had && !has:
		// AWS keeps a value that it may choose itself.
		return p.computed || before.ContainsUnknowns() || isZero(plain(before))
	case after.ContainsUnknowns() || before.ContainsUnknowns():
		return false
	case !had:
		return !p.computed && isZero(plain(after))
	default:
		return p.same(plain(before), plain(after))
	}
}

// diff answers the engine's question of what an update would change.
func (t *resourceType) diff(oldState, oldInputs, news resource.PropertyMap) *pulumirpc.DiffResponse {
	resp := &pulumirpc.DiffResponse{
		Changes:         pulumirpc.DiffResponse_DIFF_NONE,
		HasDetailedDiff: true,
		DetailedDiff:    map[string]*pulumirpc.PropertyDiff{},
	}
	for _, name := range t.changed(oldState, oldInputs, news) {
		p := t.properties[name]
		resp.Changes = pulumirpc.DiffResponse_DIFF_SOME
		resp.Diffs = append(resp.Diffs, name)
		if p.forceNew {
			resp.Replaces = append(resp.Replaces, name)
		}
		p.detail(resp.DetailedDiff, resource.PropertyKey(name), oldInputs, news)
	}
	resp.DeleteBeforeReplace = len(resp.Replaces) > 0 && t.nameIsTaken(oldInputs, news)
	return resp
}

// nameIsTaken reports whether a replacement has the same name as the resource that it replaces. AWS refuses a second
// resource with that name, so the old one must be deleted first. Auto-names are unique and need no such order.
func (t *resourceType) nameIsTaken(oldInputs, news resource.PropertyMap) bool {
	if t.autoname == nil {
		return false
	}
	key := resource.PropertyKey(t.autoname.property)
	before, had := oldInputs[key]
	after, has := news[key]
	return had && has && !isDefault(news, t.autoname.property) &&
		!after.ContainsUnknowns() && t.properties[t.autoname.property].same(plain(before), plain(after))
}

// detail records where a property differs. Sets are reported as a whole, because their order has no meaning.
func (p property) detail(
	into map[string]*pulumirpc.PropertyDiff, key resource.PropertyKey, olds, news resource.PropertyMap,
) {
	before, had := olds[key]
	after, has := news[key]
	var found map[string]plugin.PropertyDiff
	if had && has && (p.kind == kindStringMap || p.kind == kindObject) {
		found = plugin.NewDetailedDiffFromObjectDiff(
			resource.PropertyMap{key: unwrapAll(before)}.Diff(resource.PropertyMap{key: unwrapAll(after)}), true)
	}
	if len(found) == 0 {
		kind := plugin.DiffUpdate
		switch {
		case !had:
			kind = plugin.DiffAdd
		case !has:
			kind = plugin.DiffDelete
		}
		found = map[string]plugin.PropertyDiff{string(key): {Kind: kind, InputDiff: true}}
	}
	for path, d := range found {
		kind := d.Kind
		if p.forceNew {
			kind = kind.AsReplace()
		}
		into[path] = &pulumirpc.PropertyDiff{Kind: rpcKind(kind), InputDiff: true}
	}
}

// unwrapAll removes the secret wrappings from a map and its values. Making a tag secret is then not a change.
func unwrapAll(v resource.PropertyValue) resource.PropertyValue {
	v = unwrap(v)
	if !v.IsObject() {
		return v
	}
	out := resource.PropertyMap{}
	for k, e := range v.ObjectValue() {
		out[k] = unwrap(e)
	}
	return resource.NewProperty(out)
}

func rpcKind(kind plugin.DiffKind) pulumirpc.PropertyDiff_Kind {
	switch kind {
	case plugin.DiffAdd:
		return pulumirpc.PropertyDiff_ADD
	case plugin.DiffAddReplace:
		return pulumirpc.PropertyDiff_ADD_REPLACE
	case plugin.DiffDelete:
		return pulumirpc.PropertyDiff_DELETE
	case plugin.DiffDeleteReplace:
		return pulumirpc.PropertyDiff_DELETE_REPLACE
	case plugin.DiffUpdateReplace:
		return pulumirpc.PropertyDiff_UPDATE_REPLACE
	default:
		return pulumirpc.PropertyDiff_UPDATE
	}
}
