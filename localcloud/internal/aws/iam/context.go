package iam

import (
	"maps"
	"strings"
)

// Context holds the condition keys of one request and their values. As in IAM, the case of key names does not matter,
// and a missing key differs from a key without values.
type Context struct{ values map[string][]string }

// NewContext returns an empty context.
func NewContext() Context { return Context{values: map[string][]string{}} }

// Set sets the values of a key and replaces earlier ones.
func (c Context) Set(key string, values ...string) { c.values[strings.ToLower(key)] = values }

// SetTags sets one key for each tag, for example aws:ResourceTag/team for the prefix aws:ResourceTag.
func (c Context) SetTags(prefix string, tags map[string]string) {
	for k, v := range tags {
		c.Set(prefix+"/"+k, v)
	}
}

// Get returns the values of a key, and whether the request carries the key.
func (c Context) Get(key string) ([]string, bool) {
	v, ok := c.values[strings.ToLower(key)]
	return v, ok
}

// Clone returns an independent copy, to which the caller can add keys for one evaluation.
func (c Context) Clone() Context {
	out := NewContext()
	maps.Copy(out.values, c.values)
	return out
}

// expand turns a policy string into a pattern and replaces policy variables by the request's values. A wildcard inside
// such a value matches only itself. ok is false if a variable has neither a single value in the request nor a default.
// In that case the text matches nothing.
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

// cutDefault splits ${key, 'default'} into the key and its default.
func cutDefault(name string) (key, def string, has bool) {
	key, rest, found := strings.Cut(name, ",")
	key = strings.TrimSpace(key)
	rest = strings.TrimSpace(rest)
	if !found || len(rest) < 2 || rest[0] != '\'' || rest[len(rest)-1] != '\'' {
		return key, "", false
	}
	return key, rest[1 : len(rest)-1], true
}
