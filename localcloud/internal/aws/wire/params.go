package wire

import (
	"net/url"
	"sort"
	"strconv"
	"strings"
)

// Params are the parameters of a query request. Reading a parameter marks it as known. Check refuses the parameters
// that nothing has read, because to accept and ignore them would mislead the caller.
type Params struct {
	action string
	values url.Values
	read   map[string]bool
	faults []string
}

// NewParams returns the parameters of a request's form.
func NewParams(values url.Values) *Params {
	return &Params{action: values.Get("Action"), values: values, read: map[string]bool{"Action": true, "Version": true}}
}

// Action returns the action's name.
func (p *Params) Action() string { return p.action }

// Has reports whether the parameter is given.
func (p *Params) Has(name string) bool {
	p.read[name] = true
	return p.values.Has(name)
}

// String returns a parameter's value, or "" if it is missing.
func (p *Params) String(name string) string {
	p.read[name] = true
	return p.values.Get(name)
}

// Required returns a parameter's value. Check fails if it is missing.
func (p *Params) Required(name string) string {
	v := p.String(name)
	if v == "" {
		p.faults = append(p.faults, "the request must contain the parameter "+name)
	}
	return v
}

// Int returns a parameter's value, or def if it is missing.
func (p *Params) Int(name string, def int) int {
	text := p.String(name)
	if text == "" {
		return def
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		p.faults = append(p.faults, "the parameter "+name+" must be a whole number")
		return def
	}
	return n
}

// Bool returns a parameter's value, or nil if it is missing.
func (p *Params) Bool(name string) *bool {
	text := p.String(name)
	if text == "" {
		return nil
	}
	b := strings.EqualFold(text, "true")
	if !b && !strings.EqualFold(text, "false") {
		p.faults = append(p.faults, "the parameter "+name+" must be true or false")
	}
	return &b
}

// Strings returns a list, for example Strings("VpcSecurityGroupIds.VpcSecurityGroupId") or
// Strings("PolicyArns.member").
func (p *Params) Strings(prefix string) []string {
	var out []string
	for i := 1; ; i++ {
		name := prefix + "." + strconv.Itoa(i)
		if !p.Has(name) {
			return out
		}
		out = append(out, p.values.Get(name))
	}
}

// Count returns the number of members in a list of structures, for example Count("Filters.Filter").
func (p *Params) Count(prefix string) int {
	n := 0
	for {
		at := prefix + "." + strconv.Itoa(n+1) + "."
		found := false
		for k := range p.values {
			found = found || strings.HasPrefix(k, at)
		}
		if !found {
			return n
		}
		n++
	}
}

// Check returns an error if a parameter is invalid or was never read, and nil otherwise. Call it after all parameters
// have been read and before anything is changed.
func (p *Params) Check() *Error {
	var unread []string
	for k := range p.values {
		if !p.read[k] && !strings.HasPrefix(k, "X-Amz-") {
			unread = append(unread, k)
		}
	}
	sort.Strings(unread)
	switch {
	case len(unread) > 0:
		return NotModelled("the parameter %s of %s", strings.Join(unread, ", "), p.action)
	case len(p.faults) > 0:
		return Errorf("ValidationError", "%s", strings.Join(p.faults, "; "))
	}
	return nil
}
