package awsprovider

import (
	"slices"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/plugin"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
)

// changed lists the inputs that differ, in order. It asks nobody: whether the world still matches the state is the
// business of a refresh.
func (t *resourceType) changed(oldState, oldInputs, news resource.PropertyMap) []string {
	var names []string
	for name, p := range t.properties {
		key := resource.PropertyKey(name)
		before, had := oldInputs[key]
		after, has := news[key]
		if !had && has && p.computed {
			// AWS chose a value and the program now says one: a change only if they differ.
			before, had = oldState[key]
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
		// What AWS may choose, AWS keeps.
		return p.computed || before.ContainsUnknowns() || isZero(plain(before))
	case after.ContainsUnknowns() || before.ContainsUnknowns():
		return false
	case !had:
		return !p.computed && isZero(plain(after))
	default:
		return p.same(plain(before), plain(after))
	}
}

// diff answers the engine's question what an update would do.
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

// nameIsTaken tells whether a replacement would carry the name of what it replaces. AWS refuses a second resource of
// that name, so the old one must go first. An auto-name gives way instead.
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

// detail writes where a property differs. Sets are reported whole: an index into one means nothing.
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

// unwrapAll takes the secret wrappings off a map and its values, so that making a tag secret is no change by itself.
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
