package wire

import (
	"net/url"
	"sort"
	"strconv"
	"strings"
)

// Params are the parameters of a query request. Each read marks a parameter as known, so that what nobody read can be
// refused by name: a parameter that is accepted and ignored would be a lie about what happened.
type Params struct {
	action string
	values url.Values
	read   map[string]bool
	faults []string
}

// NewParams takes the form of a request.
func NewParams(values url.Values) *Params {
	return &Params{action: values.Get("Action"), values: values, read: map[string]bool{"Action": true, "Version": true}}
}

// Action is the action's name.
func (p *Params) Action() string { return p.action }

// Has reports whether the parameter is given.
func (p *Params) Has(name string) bool {
	p.read[name] = true
	return p.values.Has(name)
}

// String is a parameter's value, "" when it is not given.
func (p *Params) String(name string) string {
	p.read[name] = true
	return p.values.Get(name)
}

// Required is a parameter's value; it is a fault not to give one.
func (p *Params) Required(name string) string {
	v := p.String(name)
	if v == "" {
		p.faults = append(p.faults, "the request must contain the parameter "+name)
	}
	return v
}

// Int is a parameter's value, or def.
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

// Bool is a parameter's value, or nil when it is not given.
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

// Strings is a list, for example Strings("VpcSecurityGroupIds.VpcSecurityGroupId") or Strings("PolicyArns.member").
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

// Count is how many numbered members a list of structures has, for example Count("Filters.Filter").
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

// Check is the refusal of wrong and of unread parameters, or nil. Call it when all parameters have been read, before
// anything is done.
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
