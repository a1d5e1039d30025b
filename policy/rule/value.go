package rule

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/property"
)

// Redacted is the text that the engine's `policy analyze` sends for a secret that it cannot decrypt. Rules treat such a
// secret as unknown.
const Redacted = "[secret]"

// Value is a value of a resource, or the place of a missing one.
type Value struct {
	subject *Subject
	value   property.Value
	// members are those of the resource itself, which has no value.
	members Properties
	path    string
	found   bool
	secret  bool
	// partial says that the object may have members that the resource does not set: the resource is a patch.
	partial bool
	// absent says that a patch does not set the value.
	absent bool
}

// Path returns the path of the value in its resource.
func (v Value) Path() string { return v.path }

// Subject returns the resource of the value.
func (v Value) Subject() *Subject { return v.subject }

// Get returns the value at a path of keys below an object. The members of an unknown object are unknown.
func (v Value) Get(keys ...string) Value {
	for _, key := range keys {
		path := key
		if v.path != "" {
			path = v.path + "." + key
		}
		var value property.Value
		var found bool
		switch {
		case v.members != nil:
			value, found = v.members.GetOk(key)
		case v.value.IsMap():
			value, found = v.value.AsMap().GetOk(key)
		}
		v = v.child(path, value, found)
	}
	return v
}

func (v Value) child(path string, value property.Value, found bool) Value {
	child := Value{
		subject: v.subject, path: path, value: value, found: found, secret: v.secret || v.value.Secret(),
		partial: v.partial,
	}
	child.absent = v.absent || v.partial && !v.unknown() && (!found || value.IsNull())
	if v.unknown() || child.absent {
		child.value, child.found = property.New(property.Computed), true
	}
	return child
}

// Whole returns the value of a patch as a complete object, whose missing members are missing.
func (v Value) Whole() Value {
	v.partial = false
	return v
}

// Items returns the elements of a list.
func (v Value) Items() []Value {
	if !v.Known() || !v.value.IsArray() {
		return nil
	}
	list := v.value.AsArray()
	items := make([]Value, list.Len())
	for i := range items {
		items[i] = v.child(fmt.Sprintf("%s[%d]", v.path, i), list.Get(i), true)
	}
	return items
}

// Member is a member of an object.
type Member struct {
	Key   string
	Value Value
}

// Members returns the members of an object in the order of their keys.
func (v Value) Members() []Member {
	if !v.Known() || !v.value.IsMap() {
		return nil
	}
	members := make([]Member, 0, v.value.AsMap().Len())
	for key := range v.value.AsMap().AllStable {
		members = append(members, Member{key, v.Get(key)})
	}
	return members
}

func (v Value) unknown() bool {
	if v.value.IsComputed() {
		return true
	}
	return v.value.IsString() && v.value.AsString() == Redacted && (v.secret || v.value.Secret())
}

// Known reports whether the value is known, and adds an [Unknown] finding if it is not. A missing value is known,
// except in a patch: the object that the patch changes has it, and no finding is added. All methods below that read the
// value do the same, except Missing, Unset, IsList and IsObject.
func (v Value) Known() bool {
	if v.unknown() {
		if !v.absent {
			v.subject.unknown(v.path, v.subject.resource.URN)
		}
		return false
	}
	if v.found && (v.secret || v.value.Secret()) {
		v.subject.tainted = true
	}
	return true
}

// Missing reports whether there is no value, or null. An unknown value is not missing.
func (v Value) Missing() bool { return !v.unknown() && (!v.found || v.value.IsNull()) }

// Unset reports whether the resource does not set the value: the value is missing, or a patch leaves it as it is.
func (v Value) Unset() bool { return v.absent || v.Missing() }

// Given reports whether there is a known value other than null.
func (v Value) Given() bool { return v.Known() && !v.Missing() }

// Empty reports whether the value is known and missing, false, zero, or without content.
func (v Value) Empty() bool {
	if !v.Known() {
		return false
	}
	switch {
	case v.Missing():
		return true
	case v.value.IsString():
		return v.value.AsString() == ""
	case v.value.IsArray():
		return v.value.AsArray().Len() == 0
	case v.value.IsMap():
		return v.value.AsMap().Len() == 0
	case v.value.IsBool():
		return !v.value.AsBool()
	case v.value.IsNumber():
		return v.value.AsNumber() == 0
	}
	return false
}

// Filled reports whether the value is known and not [Value.Empty].
func (v Value) Filled() bool { return v.Known() && !v.Empty() }

// IsList reports whether the value is a known list.
func (v Value) IsList() bool { return v.value.IsArray() }

// IsObject reports whether the value is a known object.
func (v Value) IsObject() bool { return v.value.IsMap() }

// Bool returns the value, or otherwise if it is missing. It is not ok if the value is unknown, or a string that is not
// a bool.
func (v Value) Bool(otherwise bool) (is, ok bool) {
	switch {
	case !v.Known():
		return false, false
	case v.value.IsBool():
		return v.value.AsBool(), true
	case v.value.IsString():
		parsed, err := strconv.ParseBool(v.value.AsString())
		return parsed, err == nil
	default:
		return otherwise, true
	}
}

// Number returns the value, or otherwise if it is missing. It is not ok if the value is unknown, or a string that is
// not a number.
func (v Value) Number(otherwise float64) (number float64, ok bool) {
	switch {
	case !v.Known():
		return 0, false
	case v.value.IsNumber():
		return v.value.AsNumber(), true
	case v.value.IsString():
		parsed, err := strconv.ParseFloat(v.value.AsString(), 64)
		return parsed, err == nil
	default:
		return otherwise, true
	}
}

// Text returns the value as a string, or otherwise if it is missing. It is not ok if the value is unknown.
func (v Value) Text(otherwise string) (text string, ok bool) {
	switch {
	case !v.Known():
		return "", false
	case v.value.IsString():
		return v.value.AsString(), true
	case v.value.IsBool():
		return strconv.FormatBool(v.value.AsBool()), true
	case v.value.IsNumber():
		return strconv.FormatFloat(v.value.AsNumber(), 'f', -1, 64), true
	default:
		return otherwise, true
	}
}

// Texts returns the known strings of a list.
func (v Value) Texts() []string {
	var texts []string
	for _, item := range v.Items() {
		if text, ok := item.Text(""); ok && text != "" {
			texts = append(texts, text)
		}
	}
	return texts
}

// Contains reports whether a text is among the known strings of a list.
func (v Value) Contains(text string) bool { return slices.Contains(v.Texts(), text) }

// JSON decodes a string that is JSON, such as a policy document. It is not ok if the value is unknown, missing or not
// JSON.
func (v Value) JSON(into any) (ok bool) {
	text, known := v.Text("")
	return known && text != "" && json.Unmarshal([]byte(text), into) == nil
}

// Fail reports a violation with the path and the value. Put other values into args: after the rule has read a secret,
// the message shows [Secret] instead of them.
func (v Value) Fail(format string, args ...any) {
	prefix := ""
	if v.path != "" {
		prefix = v.path + ": "
		if shown := v.show(); shown != "" {
			prefix += shown + ": "
		}
	}
	v.subject.fail(v.path, prefix, format, args)
}

// FailUnseen is [Value.Fail] without the value. Use it for a value that may be a credential although it is not marked
// as secret.
func (v Value) FailUnseen(format string, args ...any) {
	v.subject.fail(v.path, v.path+": ", format, args)
}

// show returns a short form of the value for a message.
func (v Value) show() string {
	const longest = 60
	switch {
	case v.Missing() || v.unknown():
		return ""
	case v.secret || v.value.HasSecrets():
		return Secret
	case v.value.IsString():
		text := v.value.AsString()
		if len(text) > longest || strings.ContainsAny(text, "\n{") {
			return ""
		}
		return strconv.Quote(text)
	case v.value.IsBool():
		return strconv.FormatBool(v.value.AsBool())
	case v.value.IsNumber():
		return strconv.FormatFloat(v.value.AsNumber(), 'f', -1, 64)
	}
	return ""
}
