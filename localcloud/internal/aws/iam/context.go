package iam

import (
	"maps"
	"strings"
)

// Context holds the condition keys of one request with their values. Key names do not depend on case, as in IAM; a key
// that is absent differs from a key with no value.
type Context struct{ values map[string][]string }

// NewContext makes an empty context.
func NewContext() Context { return Context{values: map[string][]string{}} }

// Set gives a key its values, replacing any it had.
func (c Context) Set(key string, values ...string) { c.values[strings.ToLower(key)] = values }

// SetTags sets one key a tag, for example aws:ResourceTag/team for the prefix aws:ResourceTag.
func (c Context) SetTags(prefix string, tags map[string]string) {
	for k, v := range tags {
		c.Set(prefix+"/"+k, v)
	}
}

// Get is the values of a key and whether the request carries it.
func (c Context) Get(key string) ([]string, bool) {
	v, ok := c.values[strings.ToLower(key)]
	return v, ok
}

// Clone is an independent copy, for adding keys of one evaluation.
func (c Context) Clone() Context {
	out := NewContext()
	maps.Copy(out.values, c.values)
	return out
}

// expand turns a policy string into a pattern, putting the request's values in place of policy variables. A wildcard
// inside such a value stands for itself. ok is false when a variable has neither a single value in the request nor a
// default: IAM then does not apply the statement.
func (c Context) expand(text, version string) (pattern []element, ok bool) {
	if version != Version2012 || !strings.Contains(text, "${") {
		return elementsOf(text), true
	}
	for text != "" {
		before, rest, found := strings.Cut(text, "${")
		pattern = append(pattern, elementsOf(before)...)
		if !found {
			break
		}
		name, after, closed := strings.Cut(rest, "}")
		if !closed {
			return append(pattern, literalElements("${"+rest)...), true
		}
		text = after
		value, has := c.variable(name)
		if !has {
			return nil, false
		}
		pattern = append(pattern, literalElements(value)...)
	}
	return pattern, true
}

func (c Context) variable(name string) (string, bool) {
	switch name {
	case "*", "?", "$":
		return name, true
	}
	name, def, hasDefault := cutDefault(name)
	if v, ok := c.Get(name); ok && len(v) == 1 {
		return v[0], true
	}
	return def, hasDefault
}

// cutDefault splits ${key, 'default'}.
func cutDefault(name string) (key, def string, has bool) {
	key, rest, found := strings.Cut(name, ",")
	key = strings.TrimSpace(key)
	rest = strings.TrimSpace(rest)
	if !found || len(rest) < 2 || rest[0] != '\'' || rest[len(rest)-1] != '\'' {
		return key, "", false
	}
	return key, rest[1 : len(rest)-1], true
}
