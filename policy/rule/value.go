package rule

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/property"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi/policyx"
)

// Secret stands for a secret value in messages. The engine's `policy analyze` puts the other text in the place of
// secrets that it cannot decrypt.
const (
	Secret   = "(secret)"
	redacted = "[secret]"
)

// Subject is a resource that a rule looks at.
type Subject struct {
	run      *run
	resource *policyx.AnalyzerResource
	// tainted says that the rule has read a secret.
	tainted bool
}

// URN of the resource.
func (s *Subject) URN() string { return s.resource.URN }

// Type token of the resource.
func (s *Subject) Type() string { return s.resource.Type }

// Name is the resource's logical name.
func (s *Subject) Name() string { return s.resource.Name }

// Parent is the URN of the resource's parent, or empty.
func (s *Subject) Parent() string { return s.resource.Parent }

// Dependencies are the URNs that the resource depends on; only stack rules are told.
func (s *Subject) Dependencies() []string { return s.resource.Dependencies }

// DependenciesOf are the URNs that a property depends on; only stack rules are told.
func (s *Subject) DependenciesOf(key string) []string { return s.resource.PropertyDependencies[key] }

// Protected tells whether the resource is protected from deletion.
func (s *Subject) Protected() bool { return s.resource.Options.Protect }

// Properties are all that is known of the resource, for remedies.
func (s *Subject) Properties() property.Map { return s.resource.Properties }

// DryRun tells a preview from an update.
func (s *Subject) DryRun() bool { return s.run.dryRun }

// Number is a knob of the rule.
func (s *Subject) Number(knob string) float64 { return s.run.number(knob) }

// Text is a knob of the rule.
func (s *Subject) Text(knob string) string { return s.run.text(knob) }

// Texts are a knob of the rule.
func (s *Subject) Texts(knob string) []string { return s.run.texts(knob) }

// Flag is a knob of the rule.
func (s *Subject) Flag(knob string) bool { flag, _ := s.run.knob(knob).(bool); return flag }

// Provider is a property of the resource's provider; none where the rule is not told.
func (s *Subject) Provider(key string) Value {
	return Value{subject: s, value: property.New(s.resource.Provider.Properties), found: true}.Get(key)
}

// Undeclared hears of a rule that reads a property which its Needs do not name: the server does not decode that one, so
// the rule would take it for missing. Tests set it; nil is silence.
var Undeclared func(r *Rule, key string)

// Get is the value under a path of keys.
func (s *Subject) Get(keys ...string) Value {
	if r := s.run.rule; Undeclared != nil && len(keys) > 0 && len(r.Needs) > 0 && !slices.Contains(r.Needs, keys[0]) {
		Undeclared(r, keys[0])
	}
	value := Value{subject: s, value: property.New(s.resource.Properties), found: true}
	for _, key := range keys {
		value = value.Get(key)
	}
	return value
}

// Fail reports a violation of the resource as a whole. What varies goes into args: they are left out when the rule has
// read a secret.
func (s *Subject) Fail(format string, args ...any) { s.fail("", format, args) }

func (s *Subject) fail(prefix, format string, args []any) {
	if s.tainted {
		args = slices.Clone(args)
		for i := range args {
			args[i] = hidden{}
		}
	}
	s.run.report(prefix+fmt.Sprintf(format, args...), s.resource)
}

// hidden prints as [Secret], whatever the verb.
type hidden struct{}

// Format implements fmt.Formatter.
func (hidden) Format(state fmt.State, _ rune) { fmt.Fprint(state, Secret) }

// Pending notes that something about the resource is not known before the update.
func (s *Subject) Pending(what string) { s.run.pending(what, s.resource.URN) }

// Value is a value of a resource, or the place of one that is missing.
type Value struct {
	subject *Subject
	value   property.Value
	path    string
	found   bool
	secret  bool
}

// Path leads to the value.
func (v Value) Path() string { return v.path }

// Subject is the resource that the value is of.
func (v Value) Subject() *Subject { return v.subject }

// Get is the member of an object. The members of an unknown object are unknown.
func (v Value) Get(key string) Value {
	path := key
	if v.path != "" {
		path = v.path + "." + key
	}
	return v.step(path, func() (property.Value, bool) {
		if !v.value.IsMap() {
			return property.Value{}, false
		}
		return v.value.AsMap().GetOk(key)
	})
}

func (v Value) step(path string, find func() (property.Value, bool)) Value {
	next := Value{subject: v.subject, path: path, secret: v.secret || v.value.Secret()}
	if v.unknown() {
		next.value, next.found = property.New(property.Computed), true
		return next
	}
	next.value, next.found = find()
	return next
}

// Items are the elements of a list. It notes an unknown list.
func (v Value) Items() []Value {
	if !v.Known() || !v.value.IsArray() {
		return nil
	}
	list := v.value.AsArray()
	items := make([]Value, list.Len())
	for i := range items {
		items[i] = v.step(fmt.Sprintf("%s[%d]", v.path, i), func() (property.Value, bool) { return list.Get(i), true })
	}
	return items
}

// Members are the members of an object in the order of their keys. It notes an unknown object.
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

// Member of an object.
type Member struct {
	Key   string
	Value Value
}

func (v Value) unknown() bool {
	if v.value.IsComputed() {
		return true
	}
	return v.value.IsString() && v.value.AsString() == redacted && (v.secret || v.value.Secret())
}

// Known is false, and the rule pending, when the value is not known yet. A missing value is known to be missing.
func (v Value) Known() bool {
	if v.unknown() {
		v.subject.run.pending(v.path, v.subject.resource.URN)
		return false
	}
	if v.found && (v.secret || v.value.Secret()) {
		v.subject.tainted = true
	}
	return true
}

// Given tells that there is a value, null aside. It notes an unknown one, of which that cannot be said.
func (v Value) Given() bool { return v.Known() && !v.Missing() }

// Missing tells that there is no value, or null. It notes nothing: an unknown value is not missing.
func (v Value) Missing() bool { return !v.unknown() && (!v.found || v.value.IsNull()) }

// Empty tells that there is no value, or one that is false, zero, or has nothing in it. It notes an unknown one, which
// is not empty.
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

// Filled tells that there is a value with something in it. It notes an unknown one, of which that cannot be said.
func (v Value) Filled() bool { return v.Known() && !v.Empty() }

// IsList tells lists from other known values.
func (v Value) IsList() bool { return v.value.IsArray() }

// IsObject tells objects from other known values.
func (v Value) IsObject() bool { return v.value.IsMap() }

// Bool is the value, or otherwise when it is missing. It is not ok, and noted, when it is unknown.
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

// Number is the value, or otherwise when it is missing. It is not ok when it is unknown, which is noted, or no number.
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

// Text is the value, or otherwise when it is missing. It is not ok, and noted, when it is unknown.
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

// Texts are the known texts of a list; unknown elements are noted.
func (v Value) Texts() []string {
	var texts []string
	for _, item := range v.Items() {
		if text, ok := item.Text(""); ok && text != "" {
			texts = append(texts, text)
		}
	}
	return texts
}

// JSON is the value decoded where it is JSON text, as policy documents are. It is not ok when it is unknown, which is
// noted, or missing, or no JSON.
func (v Value) JSON(into any) (ok bool) {
	text, known := v.Text("")
	return known && text != "" && json.Unmarshal([]byte(text), into) == nil
}

// Fail reports a violation with the path and the value. What varies goes into args: they are left out when the rule has
// read a secret.
func (v Value) Fail(format string, args ...any) {
	parts := []string{v.path}
	if shown := v.show(); shown != "" {
		parts = append(parts, shown)
	}
	if v.path == "" {
		parts = nil
	}
	prefix := strings.Join(parts, ": ")
	if prefix != "" {
		prefix += ": "
	}
	v.subject.fail(prefix, format, args)
}

// FailUnseen is [Value.Fail] without the value: for one that may be a credential, whether it is marked as secret or
// not.
func (v Value) FailUnseen(format string, args ...any) { v.subject.fail(v.path+": ", format, args) }

const longest = 60

// show is a short value for a message.
func (v Value) show() string {
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
