package awsprovider

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
)

// randomLength is the number of hexadecimal digits at the end of an auto-name: seven, as in all bridged Pulumi
// providers.
const randomLength = 7

// naming is what the engine says about auto-names (the stack's `pulumi:autonaming`).
type naming struct {
	name    string
	seed    []byte
	options *pulumirpc.CheckRequest_AutonamingOptions
}

// checker validates and completes the inputs of one resource. It collects all faults.
type checker struct {
	offline  bool
	typ      *resourceType
	typeName string
	failures []*pulumirpc.CheckFailure
}

func (c *checker) fail(path, format string, args ...any) {
	c.failures = append(c.failures, &pulumirpc.CheckFailure{
		Property: path, Reason: path + ": " + fmt.Sprintf(format, args...),
	})
}

// check returns the inputs as they will be recorded in the state.
func (c *checker) check(olds, news resource.PropertyMap, defaultTags map[string]string, n naming) resource.PropertyMap {
	inputs := resource.PropertyMap{}
	c.object("", c.typ.properties, news, inputs)
	for _, pair := range c.typ.conflicts {
		a, b := inputs[resource.PropertyKey(pair[0])], inputs[resource.PropertyKey(pair[1])]
		// An input with a zero value, such as false, conflicts with nothing.
		if given(a) && given(b) {
			c.fail(pair[0], "conflicts with %s: set only one of the two", pair[1])
		}
	}
	defaults := []string{}
	if name := c.name(olds, news, inputs, n); name != "" {
		defaults = append(defaults, name)
	}
	for name, p := range c.typ.properties {
		if _, ok := inputs[resource.PropertyKey(name)]; !ok && p.defaultValue != nil {
			inputs[resource.PropertyKey(name)] = resource.NewPropertyValue(p.defaultValue)
			defaults = append(defaults, name)
		}
	}
	if c.typ.tagged() {
		mergeTags(inputs, defaultTags)
	}
	slices.Sort(defaults)
	inputs[defaultsKey] = resource.NewPropertyValue(defaults)
	slices.SortFunc(c.failures, func(a, b *pulumirpc.CheckFailure) int {
		return strings.Compare(a.GetProperty(), b.GetProperty())
	})
	return inputs
}

// given reports whether an input has a known value that is not the zero value. Unknown values count as not given,
// because they may turn out to be zero.
func given(v resource.PropertyValue) bool {
	return v.V != nil && !v.ContainsUnknowns() && !isZero(plain(v))
}

// object checks the properties of an object against a table and copies the valid ones.
func (c *checker) object(path string, table map[string]property, news, into resource.PropertyMap) {
	for key, v := range news {
		name := string(key)
		if strings.HasPrefix(name, "__") || unwrap(v).IsNull() {
			continue
		}
		where := join(path, name)
		p, ok := table[name]
		switch {
		case !ok:
			c.fail(where, "%s has no such property%s", c.typeName, suggestion(name, table))
			continue
		case p.notLocal && !c.offline && (v.ContainsUnknowns() || !isZero(plain(v))):
			c.fail(where, "the local cloud does not model this property of %s: leave it out on local stacks",
				c.typeName)
			continue
		}
		if checked, ok := c.value(where, p, v); ok {
			into[key] = checked
		}
	}
	for name, p := range table {
		if v, ok := news[resource.PropertyKey(name)]; p.required && (!ok || unwrap(v).IsNull()) {
			c.fail(join(path, name), "missing: %s requires it (%s)", c.typeName, p.kind)
		}
	}
}

// value checks one value. An unknown value is valid for every property.
func (c *checker) value(path string, p property, v resource.PropertyValue) (resource.PropertyValue, bool) {
	if p.secret && !v.IsSecret() {
		v = resource.MakeSecret(v)
	}
	if isUnknown(v) {
		return v, true
	}
	if v.IsSecret() {
		inner, ok := c.value(path, property{kind: p.kind, validate: hide(p.validate), fields: p.fields},
			v.SecretValue().Element)
		return resource.MakeSecret(inner), ok
	}
	v = unwrap(v)
	switch {
	case p.kind == kindPolicy:
		return c.policy(path, v)
	case !p.kind.fits(v):
		c.fail(path, "must be %s, not %s", p.kind, v.TypeString())
		return v, false
	case p.kind == kindStringMap:
		for key, e := range v.ObjectValue() {
			if e := unwrap(e); !e.IsString() && !isUnknown(e) {
				c.fail(join(path, string(key)), "must be a string, not %s", e.TypeString())
			}
		}
	case p.kind == kindStringList, p.kind == kindStringSet:
		for i, e := range v.ArrayValue() {
			if e := unwrap(e); !e.IsString() && !isUnknown(e) {
				c.fail(fmt.Sprintf("%s[%d]", path, i), "must be a string, not %s", e.TypeString())
			}
		}
	case p.kind == kindObject:
		into := resource.PropertyMap{}
		c.object(path, p.fields, v.ObjectValue(), into)
		return resource.NewProperty(into), true
	case p.kind == kindObjectSet:
		list := make([]resource.PropertyValue, 0, len(v.ArrayValue()))
		for i, e := range v.ArrayValue() {
			if checked, ok := c.value(fmt.Sprintf("%s[%d]", path, i), property{kind: kindObject, fields: p.fields},
				e); ok {
				list = append(list, checked)
			}
		}
		return resource.NewProperty(list), true
	}
	if p.validate != nil && !v.ContainsUnknowns() {
		known := plain(v)
		if reason := p.validate(known); reason != "" {
			c.fail(path, "%s", describe(known, reason))
			return v, false
		}
	}
	return v, true
}

// policy returns a policy document as JSON text.
func (c *checker) policy(path string, v resource.PropertyValue) (resource.PropertyValue, bool) {
	switch {
	case v.IsString():
		if !json.Valid([]byte(v.StringValue())) {
			c.fail(path, "must be a JSON policy document, but is not JSON: write it with encoding/json or as an object")
			return v, false
		}
		return v, true
	case v.IsObject() && v.ContainsUnknowns():
		return unknown(), true
	case v.IsObject():
		text := resource.NewProperty(encode(plainMap(v.ObjectValue())))
		if v.ContainsSecrets() {
			text = resource.MakeSecret(text)
		}
		return text, true
	default:
		c.fail(path, "must be %s (a string or an object), not %s", kindPolicy, v.TypeString())
		return v, false
	}
}

// name sets the resource's auto-name if the program gives no name. It returns the property that it set, or "".
func (c *checker) name(olds, news, inputs resource.PropertyMap, n naming) string {
	auto := c.typ.autoname
	if auto == nil {
		return ""
	}
	key := resource.PropertyKey(auto.property)
	prefixKey := resource.PropertyKey(auto.property + "Prefix")
	// An invalid name was given too; its fault has already been reported.
	if !unwrap(news[key]).IsNull() || !unwrap(news[prefixKey]).IsNull() {
		return ""
	}
	// Keep an auto-name for the life of the resource. Generate a new one only if the program used to give a name and no
	// longer does.
	if old, ok := olds[key]; ok && isDefault(olds, auto.property) {
		inputs[key] = old
		return auto.property
	}
	name, err := auto.generate(n)
	if err != nil {
		c.fail(auto.property, "%v", err)
		return ""
	}
	checked, ok := c.value(auto.property, c.typ.properties[auto.property], resource.NewProperty(name))
	if !ok {
		return ""
	}
	inputs[key] = checked
	return auto.property
}

func (a *autoname) generate(n naming) (string, error) {
	transform := a.transform
	if transform == nil {
		transform = func(s string) string { return s }
	}
	switch {
	case n.options == nil:
	case n.options.GetMode() == pulumirpc.CheckRequest_AutonamingOptions_DISABLE:
		return "", errors.New("missing, and auto-naming is switched off for this stack: give the resource a name")
	case n.options.GetMode() == pulumirpc.CheckRequest_AutonamingOptions_ENFORCE:
		return n.options.GetProposedName(), nil
	case n.options.GetProposedName() != "":
		return transform(n.options.GetProposedName()), nil
	}
	name, err := resource.NewUniqueName(n.seed, transform(n.name)+"-", randomLength, a.maxLength, nil)
	if err != nil {
		return "", fmt.Errorf("cannot derive a name from the resource's name: %w; give the resource a shorter name",
			err)
	}
	return name, nil
}

// isDefault reports whether Check filled in the property.
func isDefault(inputs resource.PropertyMap, name string) bool {
	list := unwrap(inputs[defaultsKey])
	if !list.IsArray() {
		return false
	}
	return slices.ContainsFunc(list.ArrayValue(), func(v resource.PropertyValue) bool {
		return v.IsString() && v.StringValue() == name
	})
}

// mergeTags adds the provider's default tags to the resource's tags, which take precedence, as in pulumi-aws.
func mergeTags(inputs resource.PropertyMap, defaultTags map[string]string) {
	if len(defaultTags) == 0 {
		return
	}
	tags := inputs["tags"]
	if tags.V != nil && isUnknown(tags) {
		return
	}
	merged := resource.PropertyMap{}
	for k, v := range defaultTags {
		merged[resource.PropertyKey(k)] = resource.NewProperty(v)
	}
	own := unwrap(tags)
	if own.IsObject() {
		for k, v := range own.ObjectValue() {
			merged[k] = v
		}
	}
	inputs["tags"] = resource.NewProperty(merged)
	if tags.IsSecret() {
		inputs["tags"] = resource.MakeSecret(inputs["tags"])
	}
}

// fits reports whether a known value has the kind's shape.
func (k kind) fits(v resource.PropertyValue) bool {
	switch k {
	case kindString:
		return v.IsString()
	case kindBool:
		return v.IsBool()
	case kindInt:
		return v.IsNumber() && isInt(v.NumberValue())
	case kindNumber:
		return v.IsNumber()
	case kindStringList, kindStringSet, kindObjectSet:
		return v.IsArray()
	case kindStringMap, kindObject:
		return v.IsObject()
	case kindPolicy:
		return v.IsString() || v.IsObject()
	default:
		return false
	}
}

// hide wraps validate so that its reason does not contain the value, for secrets.
func hide(validate func(any) string) func(any) string {
	if validate == nil {
		return nil
	}
	return func(v any) string {
		if validate(v) != "" {
			return "the secret value is not valid"
		}
		return ""
	}
}

// describe puts the value in front of the reason, where that reads as a sentence.
func describe(v any, reason string) string {
	switch v := v.(type) {
	case string:
		if strings.HasPrefix(reason, "must") && len(v) <= 300 {
			return fmt.Sprintf("%q %s", v, reason)
		}
	case float64:
		return fmt.Sprintf("%v %s", v, reason)
	}
	return reason
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// suggestion names the property that differs only in case or underscores, a common mistake in untyped resources.
func suggestion(name string, table map[string]property) string {
	flat := strings.ReplaceAll(strings.ToLower(name), "_", "")
	for known := range table {
		if strings.EqualFold(known, flat) {
			return fmt.Sprintf("; it is called %s", known)
		}
	}
	return ""
}
