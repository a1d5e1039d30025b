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
// the same key; it tells an auto-name from a name the program chose.
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
	// kindPolicy is a JSON document: a string, or an object that Check turns into one.
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
	// required inputs must be given.
	required bool
	// forceNew inputs cannot be changed on a living resource.
	forceNew bool
	// computed inputs are chosen by AWS when they are not given: unknown in a preview of a creation, and taking one
	// out of the program changes nothing (Terraform's Optional+Computed).
	computed bool
	// secret inputs are secret in inputs and outputs whether the program says so or not.
	secret bool
	// writeOnly inputs steer the provider and never come back from AWS, so a refresh keeps what the state says.
	writeOnly bool
	// defaultValue is filled in by Check when the input is not given.
	defaultValue any
	// notLocal says that the property is AWS's but the local cloud does not model it. Only offline previews take it,
	// unless it says nothing (false, empty): then it stays in the state and the stand-in hears nothing of it.
	notLocal bool
	// validate returns what is wrong with a known value, or "".
	validate func(any) string
	// normalize brings a known plain value to the form in which values are compared.
	normalize func(any) any
	// covers tells whether an answer is what was asked for in other words, beyond being the same. State and refresh
	// then keep the program's words.
	covers func(asked, answered any) bool
	// fields are the properties of an object's or a list of objects' elements.
	fields map[string]property
}

// autoname says how a resource that was given no name gets one.
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
	// touches lists, for an input, the outputs that change with it. A preview of such an update leaves them unknown.
	touches  map[string][]string
	autoname *autoname
	// conflicts are pairs of inputs of which one may be given.
	conflicts [][2]string
}

// tagged tells whether the resource carries tags.
func (t *resourceType) tagged() bool {
	_, ok := t.properties["tags"]
	return ok
}

// isOutput tells whether a name may stand in the state of the resource.
func (t *resourceType) isOutput(name string) bool {
	_, input := t.properties[name]
	return input || slices.Contains(t.outputs, name)
}

// request is what the stand-in is told of inputs or a state: known values without what it does not model.
func (t *resourceType) request(m resource.PropertyMap) map[string]any {
	out := plainMap(m)
	for name, p := range t.properties {
		if p.notLocal {
			delete(out, name)
		}
	}
	return out
}

// unwrap takes the secret and output wrappings off the top of a value.
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

// isUnknown tells whether a value itself, not only a part of it, is unknown.
func isUnknown(v resource.PropertyValue) bool {
	v = unwrap(v)
	return v.IsComputed() || v.IsOutput()
}

// unknown is the value of a property that is known only once the resource is made.
func unknown() resource.PropertyValue {
	return resource.MakeComputed(resource.NewProperty(""))
}

// plain turns a known value into what encoding/json would decode. Secrets are unwrapped: the result goes to the
// stand-in, or is compared, and never into a response.
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

// plainMap is plain for a map. Internal properties (two underscores) stay behind.
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

// comparable brings a plain value to a form in which equal values are equal JSON: sets in one order, policy documents
// parsed, the parts of an object that say nothing left out.
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

// same tells whether two known plain values mean the same to AWS.
func (p property) same(a, b any) bool {
	return encode(p.comparable(a)) == encode(p.comparable(b))
}

// answers tells whether what the stand-in says is what the program asked for.
func (p property) answers(asked, answered any) bool {
	return p.same(asked, answered) || p.covers != nil && p.covers(asked, answered)
}

// isZero tells whether a value says no more than its absence does.
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

// encode writes a plain value as JSON with sorted keys.
func encode(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		// Plain values come from property values or decoded JSON; both encode.
		return fmt.Sprintf("%v", v)
	}
	return string(b)
}

// comparablePolicy makes two documents equal that IAM and KMS hold to be the same: the order of keys and of lists does
// not matter, and a list of one is its element.
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

// isInt tells whether a plain value is a whole number.
func isInt(v any) bool {
	f, ok := v.(float64)
	return ok && f == math.Trunc(f)
}
