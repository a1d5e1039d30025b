package awsprovider

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
)

// defaultsKey is the input that lists the properties that Check filled in. The real plugin keeps the same list under
// the same key. It distinguishes an auto-name from a name that the program chose.
const defaultsKey = "__defaults"

// kind is the shape of a property's value.
type kind int

const (
	kindString kind = iota
	kindBool
	kindInt
	kindNumber
	kindStringList
	kindStringSet
	kindStringMap
	kindObject
	kindObjectSet
	// kindPolicy is a JSON document: a string, or an object that Check encodes as a string.
	kindPolicy
)

func (k kind) String() string {
	switch k {
	case kindString:
		return "a string"
	case kindBool:
		return "a boolean"
	case kindInt:
		return "a whole number"
	case kindNumber:
		return "a number"
	case kindStringList, kindStringSet:
		return "a list of strings"
	case kindStringMap:
		return "a map of strings"
	case kindObject:
		return "an object"
	case kindObjectSet:
		return "a list of objects"
	case kindPolicy:
		return "a JSON policy document"
	default:
		return fmt.Sprintf("kind %d", int(k))
	}
}

// property describes one input.
type property struct {
	kind kind
	// required inputs must be present.
	required bool
	// forceNew inputs cannot be changed on an existing resource.
	forceNew bool
	// computed inputs are chosen by AWS if the program gives none (Terraform's Optional+Computed). The preview of a
	// creation leaves them unknown, and removing one from the program changes nothing.
	computed bool
	// reported inputs are compared with what AWS reports (the state), as Terraform does, and not with what was given: a
	// value that AWS reports in another way than it was given is then a change at each update.
	reported bool
	// secret inputs are always secret in inputs and outputs, even if the program does not mark them.
	secret bool
	// writeOnly inputs control the provider and AWS never returns them, so a refresh keeps the recorded value.
	writeOnly bool
	// defaultValue is filled in by Check if the program gives no value.
	defaultValue any
	// notLocal properties exist on AWS, but the local cloud does not model them. Only offline previews accept them. A
	// zero value (false, empty) is always accepted: it stays in the state and is not sent to the stand-in.
	notLocal bool
	// validate returns the fault of a known value, or "".
	validate func(any) string
	// normalize converts a known plain value to the form in which values are compared.
	normalize func(any) any
	// covers reports whether an answer satisfies what the program asked for, although the values differ. State and
	// refresh then keep the program's value.
	covers func(asked, answered any) bool
	// growsTo is the input with the limit up to which AWS itself may raise this one. As in the real plugin, a larger
	// value than the program asked for is then no difference.
	growsTo string
	// fields are the properties of an object, or of the elements of a list of objects.
	fields map[string]property
}

// autoname describes how a resource without a name gets one.
type autoname struct {
	property  string
	maxLength int
	transform func(string) string
}

// resourceType describes a resource.
type resourceType struct {
	properties map[string]property
	// outputs are the properties that only AWS sets.
	outputs []string
	// touches lists, for an input, the outputs that change with it. The preview of such an update leaves them unknown.
	touches  map[string][]string
	autoname *autoname
	// conflicts are pairs of inputs of which only one may be given.
	conflicts [][2]string
}

// tagged reports whether the resource type has tags.
func (t *resourceType) tagged() bool {
	_, ok := t.properties["tags"]
	return ok
}

// isOutput reports whether the state may have a property of that name.
func (t *resourceType) isOutput(name string) bool {
	_, input := t.properties[name]
	return input || slices.Contains(t.outputs, name)
}

// request returns the part of inputs or a state that is sent to the stand-in: known values of the properties that it
// models.
func (t *resourceType) request(m resource.PropertyMap) map[string]any {
	out := plainMap(m)
	for name, p := range t.properties {
		if p.notLocal {
			delete(out, name)
		}
	}
	return out
}

// unwrap removes the secret and output wrappings around a value. It does not change values inside it.
func unwrap(v resource.PropertyValue) resource.PropertyValue {
	for {
		switch {
		case v.IsSecret():
			v = v.SecretValue().Element
		case v.IsOutput() && v.OutputValue().Known:
			v = v.OutputValue().Element
		default:
			return v
		}
	}
}

// isUnknown reports whether a value is unknown as a whole. A known value with unknown parts does not count.
func isUnknown(v resource.PropertyValue) bool {
	v = unwrap(v)
	return v.IsComputed() || v.IsOutput()
}

// unknown returns the value of a property that is known only after the resource was created.
func unknown() resource.PropertyValue {
	return resource.MakeComputed(resource.NewProperty(""))
}

// plain turns a known value into what encoding/json would decode. It unwraps secrets, so its result must not get into a
// response. It is sent to the stand-in or compared.
func plain(v resource.PropertyValue) any {
	v = unwrap(v)
	switch {
	case v.IsNull():
		return nil
	case v.IsBool():
		return v.BoolValue()
	case v.IsNumber():
		return v.NumberValue()
	case v.IsString():
		return v.StringValue()
	case v.IsArray():
		list := make([]any, 0, len(v.ArrayValue()))
		for _, e := range v.ArrayValue() {
			list = append(list, plain(e))
		}
		return list
	case v.IsObject():
		return plainMap(v.ObjectValue())
	default:
		return nil
	}
}

// plainMap is plain for a map. It leaves out internal properties, whose names begin with two underscores.
func plainMap(m resource.PropertyMap) map[string]any {
	out := make(map[string]any, len(m))
	for k, v := range m {
		if strings.HasPrefix(string(k), "__") {
			continue
		}
		out[string(k)] = plain(v)
	}
	return out
}

// comparable converts a plain value to a form in which equal values have equal JSON: sets are sorted, policy documents
// are parsed, and object fields with zero or default values are left out.
func (p property) comparable(v any) any {
	if p.normalize != nil {
		v = p.normalize(v)
	}
	switch p.kind {
	case kindStringSet:
		list, ok := v.([]any)
		if !ok {
			return v
		}
		return sorted(list)
	case kindObject:
		object, ok := v.(map[string]any)
		if !ok {
			return v
		}
		return p.comparableObject(object)
	case kindObjectSet:
		list, ok := v.([]any)
		if !ok {
			return v
		}
		out := make([]any, 0, len(list))
		for _, e := range list {
			if object, ok := e.(map[string]any); ok {
				e = p.comparableObject(object)
			}
			out = append(out, e)
		}
		return sorted(out)
	case kindPolicy:
		return comparablePolicy(v)
	default:
		return v
	}
}

func (p property) comparableObject(object map[string]any) map[string]any {
	out := map[string]any{}
	for k, v := range object {
		field := p.fields[k]
		v = field.comparable(v)
		if isZero(v) || field.defaultValue != nil && v == field.defaultValue {
			continue
		}
		out[k] = v
	}
	return out
}

// same reports whether two known plain values mean the same to AWS.
func (p property) same(a, b any) bool {
	return encode(p.comparable(a)) == encode(p.comparable(b))
}

// answers reports whether the stand-in's value is the one that the program asked for.
func (p property) answers(asked, answered any) bool {
	return p.same(asked, answered) || p.covers != nil && p.covers(asked, answered)
}

// grown reports whether AWS has raised a value within the limit that the program gives.
func (p property) grown(inputs resource.PropertyMap, asked, answered any) bool {
	size, ok := asked.(float64)
	larger, grew := answered.(float64)
	most, limited := plain(inputs[resource.PropertyKey(p.growsTo)]).(float64)
	return ok && grew && limited && larger > size && most > size
}

// isZero reports whether a value means the same as a missing value.
func isZero(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case bool:
		return !v
	case string:
		return v == ""
	case float64:
		return v == 0
	case int:
		return v == 0
	case []any:
		return len(v) == 0
	case map[string]any:
		return len(v) == 0
	default:
		return false
	}
}

func sorted(list []any) []any {
	list = slices.Clone(list)
	slices.SortFunc(list, func(a, b any) int { return strings.Compare(encode(a), encode(b)) })
	return list
}

// encode returns a plain value as JSON with sorted keys.
func encode(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		// Not reached: plain values come from property values or decoded JSON, and both can be encoded.
		return fmt.Sprintf("%v", v)
	}
	return string(b)
}

// comparablePolicy makes two documents equal if IAM and KMS treat them as the same: the order of keys and lists does
// not matter, and a list with one element equals the element.
func comparablePolicy(v any) any {
	if s, ok := v.(string); ok {
		var doc any
		if err := json.Unmarshal([]byte(s), &doc); err != nil {
			return s
		}
		v = doc
	}
	return unorder(v)
}

func unorder(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, e := range v {
			out[k] = unorder(e)
		}
		return out
	case []any:
		list := make([]any, 0, len(v))
		for _, e := range v {
			list = append(list, unorder(e))
		}
		if len(list) == 1 {
			return list[0]
		}
		return sorted(list)
	default:
		return v
	}
}

// isInt reports whether a plain value is a whole number.
func isInt(v any) bool {
	f, ok := v.(float64)
	return ok && f == math.Trunc(f)
}
