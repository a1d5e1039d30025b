package iam

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"

	"dbtier/validation"
)

// Versions of the policy language. Only the newer version has policy variables.
const (
	Version2012 = "2012-10-17"
	Version2008 = "2008-10-17"
)

// Kind is where a policy is attached. It decides which elements the policy must and may have.
type Kind int

// The kinds of policies that the stand-in stores.
const (
	Identity Kind = iota // a role's or user's inline or managed policy, permissions boundary or session policy
	Trust                // a role's AssumeRolePolicyDocument
	Key                  // a KMS key policy
)

// The effects of a statement.
const (
	Allow = "Allow"
	Deny  = "Deny"
)

// Policy is a parsed policy document.
type Policy struct {
	Version    string
	ID         string
	Statements []Statement
}

// Statement is one statement of a policy. Exactly one of Actions and NotActions is set. Exactly one of Resources and
// NotResources is set too, except in trust policies, which have neither.
type Statement struct {
	Sid          string
	Effect       string
	Principals   []PrincipalPattern
	Actions      []string
	NotActions   []string
	Resources    []string
	NotResources []string
	Conditions   []Condition
}

// PrincipalPattern is one entry of a Principal element.
type PrincipalPattern struct {
	Type  string // AWS, Federated or Service. The short form "*" has the type AWS.
	Value string
}

// MalformedError lists all faults of a policy document. The API returns its message as MalformedPolicyDocument.
type MalformedError struct{ Faults []string }

func (e *MalformedError) Error() string { return strings.Join(e.Faults, "; ") }

// Parse reads a policy document. Its error is a *MalformedError with all faults of the document.
func Parse(document string, kind Kind) (*Policy, error) {
	p := &parser{kind: kind}
	policy := p.document(document)
	if len(p.faults) > 0 {
		return nil, &MalformedError{Faults: p.faults}
	}
	return policy, nil
}

type parser struct {
	kind   Kind
	faults []string
}

func (p *parser) fault(format string, args ...any) {
	p.faults = append(p.faults, fmt.Sprintf(format, args...))
}

// object decodes a JSON object. It reports elements that are not allowed and elements that occur twice, which
// encoding/json would merge without an error.
func (p *parser) object(where string, raw []byte, allowed ...string) map[string]json.RawMessage {
	out := map[string]json.RawMessage{}
	dec := json.NewDecoder(bytes.NewReader(raw))
	tok, err := dec.Token()
	if d, ok := tok.(json.Delim); err != nil || !ok || d != '{' {
		p.fault("%s: want a JSON object", where)
		return nil
	}
	for dec.More() {
		tok, err := dec.Token()
		key, ok := tok.(string)
		if err != nil || !ok {
			p.fault("%s: syntax error in the policy", where)
			return nil
		}
		var v json.RawMessage
		if err := dec.Decode(&v); err != nil {
			p.fault("%s: syntax error in the policy", where)
			return nil
		}
		if _, twice := out[key]; twice {
			p.fault("%s.%s: occurs twice", where, key)
		}
		out[key] = v
		if allowed != nil && !slices.Contains(allowed, key) {
			p.fault("%s.%s: no such element", where, key)
		}
	}
	if _, err := dec.Token(); err != nil {
		p.fault("%s: syntax error in the policy", where)
		return nil
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		p.fault("%s: text after the JSON object", where)
		return nil
	}
	return out
}

func (p *parser) str(where string, raw json.RawMessage) (string, bool) {
	var s string
	if err := json.Unmarshal(raw, &s); err != nil || bytes.Equal(bytes.TrimSpace(raw), []byte("null")) {
		p.fault("%s: want a string", where)
		return "", false
	}
	return s, true
}

// strings reads a string or a list of strings. With scalars, it also accepts numbers and booleans, as conditions do.
func (p *parser) strings(where string, raw json.RawMessage, scalars bool) []string {
	var list []json.RawMessage
	if err := json.Unmarshal(raw, &list); err != nil {
		list = []json.RawMessage{raw}
	} else if len(list) == 0 && !bytes.Equal(bytes.TrimSpace(raw), []byte("null")) {
		p.fault("%s: must not be empty", where)
		return nil
	}
	if len(list) == 0 {
		p.fault("%s: must not be empty", where)
	}
	out := make([]string, 0, len(list))
	for _, item := range list {
		text := bytes.TrimSpace(item)
		if scalars && len(text) > 0 && text[0] != '"' && text[0] != '{' && text[0] != '[' &&
			!bytes.Equal(text, []byte("null")) {
			out = append(out, string(text))
			continue
		}
		if s, ok := p.str(where, item); ok {
			out = append(out, s)
		}
	}
	return out
}

func (p *parser) document(text string) *Policy {
	if !json.Valid([]byte(text)) {
		p.fault("policy: this policy contains invalid JSON")
		return nil
	}
	o := p.object("policy", []byte(text), "Version", "Id", "Statement")
	if o == nil {
		return nil
	}
	out := &Policy{Version: Version2008}
	if raw, ok := o["Version"]; ok {
		if v, ok := p.str("Version", raw); ok && v != Version2008 && v != Version2012 {
			p.fault("Version: %q: want %s or %s", v, Version2012, Version2008)
		} else {
			out.Version = v
		}
	}
	if raw, ok := o["Id"]; ok {
		out.ID, _ = p.str("Id", raw)
	}
	raw, ok := o["Statement"]
	if !ok {
		p.fault("Statement: missing")
		return nil
	}
	var list []json.RawMessage
	if err := json.Unmarshal(raw, &list); err != nil {
		list = []json.RawMessage{raw}
	}
	if len(list) == 0 {
		p.fault("Statement: must not be empty")
	}
	sids := map[string]bool{}
	for i, s := range list {
		st := p.statement(fmt.Sprintf("Statement[%d]", i), s, out.Version)
		if st.Sid != "" && sids[st.Sid] {
			p.fault("Statement[%d].Sid: %q: statement IDs (SID) in a single policy must be unique", i, st.Sid)
		}
		sids[st.Sid] = true
		out.Statements = append(out.Statements, st)
	}
	return out
}

var alphanumericSid = regexp.MustCompile(`^[A-Za-z0-9]*$`)

func (p *parser) statement(where string, raw json.RawMessage, version string) Statement {
	var s Statement
	o := p.object(where, raw, "Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource",
		"NotResource", "Condition")
	if o == nil {
		return s
	}
	if raw, ok := o["Sid"]; ok {
		s.Sid, _ = p.str(where+".Sid", raw)
		if p.kind != Key && !alphanumericSid.MatchString(s.Sid) {
			p.fault("%s.Sid: %q: statement IDs (SID) must be alpha-numeric", where, s.Sid)
		}
	}
	if raw, ok := o["Effect"]; !ok {
		p.fault("%s.Effect: missing", where)
	} else if s.Effect, ok = p.str(where+".Effect", raw); ok && s.Effect != Allow && s.Effect != Deny {
		p.fault("%s.Effect: %q: want Allow or Deny", where, s.Effect)
	}
	p.principal(where, o, &s)
	p.actions(where, o, &s)
	p.resources(where, o, &s, version)
	if raw, ok := o["Condition"]; ok {
		s.Conditions = p.conditions(where+".Condition", raw, version)
	}
	return s
}

func (p *parser) principal(where string, o map[string]json.RawMessage, s *Statement) {
	raw, has := o["Principal"]
	_, hasNot := o["NotPrincipal"]
	switch {
	case p.kind == Identity && (has || hasNot):
		p.fault("%s.Principal: policy document should not specify a principal", where)
		return
	case hasNot:
		p.fault("%s.NotPrincipal: the local AWS stand-in does not model NotPrincipal; name the principals, or deny "+
			"with a condition on aws:PrincipalArn", where)
		return
	case p.kind == Identity:
		return
	case !has:
		p.fault("%s.Principal: missing required field Principal", where)
		return
	}
	where += ".Principal"
	if text := bytes.TrimSpace(raw); len(text) > 0 && text[0] == '"' {
		v, _ := p.str(where, raw)
		if v != "*" {
			p.fault("%s: %q: invalid principal in policy", where, v)
		}
		s.Principals = []PrincipalPattern{{Type: "AWS", Value: "*"}}
		return
	}
	types := p.object(where, raw)
	if types != nil && len(types) == 0 {
		p.fault("%s: must not be empty", where)
	}
	for _, typ := range sortedKeys(types) {
		for _, v := range p.strings(where+"."+typ, types[typ], false) {
			if why := badPrincipal(typ, v); why != "" {
				p.fault("%s: invalid principal in policy: %q:%q%s", where, typ, v, why)
			}
			s.Principals = append(s.Principals, PrincipalPattern{Type: typ, Value: v})
		}
	}
}

var (
	awsPrincipal = regexp.MustCompile(
		`^arn:aws:(iam::\d{12}:(root|(user|role)/[\w+=,.@/-]+)|sts::\d{12}:assumed-role/[\w+=,.@-]+/[\w+=,.@-]+)$`,
	)
	federatedARN = regexp.MustCompile(
		`^arn:aws:iam::[0-9]{12}:oidc-provider/[A-Za-z0-9.-]+(:[0-9]+)?(/[A-Za-z0-9._~/-]*)?$`,
	)
	servicePattern  = regexp.MustCompile(`^[a-z0-9.-]+\.amazonaws\.com$`)
	uniqueIDPattern = regexp.MustCompile(`^A(IDA|ROA)[A-Z0-9]{8,}$`)
)

func badPrincipal(typ, value string) string {
	var ok bool
	switch typ {
	case "AWS":
		ok = value == "*" || validation.AccountID.Matches(value) || awsPrincipal.MatchString(value) ||
			uniqueIDPattern.MatchString(value)
	case "Federated":
		ok = federatedARN.MatchString(value)
		if !ok {
			return " (the local AWS stand-in models federation by IAM OIDC providers, " +
				"arn:aws:iam::<account>:oidc-provider/<issuer>, only)"
		}
	case "Service":
		ok = servicePattern.MatchString(value)
	default:
		return " (the local AWS stand-in models the principal types AWS, Federated and Service)"
	}
	if !ok {
		return " (the value has the wrong form for this type)"
	}
	return ""
}

var actionPattern = regexp.MustCompile(`^[A-Za-z0-9-]+:[A-Za-z0-9*?]+$`)

// trustActions are the actions of STS that take a role as their resource.
var trustActions = []string{
	"sts:AssumeRole", "sts:AssumeRoleWithSAML", "sts:AssumeRoleWithWebIdentity", "sts:SetContext",
	"sts:SetSourceIdentity", "sts:TagSession",
}

func (p *parser) actions(where string, o map[string]json.RawMessage, s *Statement) {
	a, hasA := o["Action"]
	n, hasN := o["NotAction"]
	switch {
	case hasA && hasN:
		p.fault("%s: must not have both Action and NotAction", where)
	case !hasA && !hasN:
		p.fault("%s: policy statement must contain actions", where)
	case hasA:
		s.Actions = p.strings(where+".Action", a, false)
	default:
		s.NotActions = p.strings(where+".NotAction", n, false)
	}
	for _, action := range slices.Concat(s.Actions, s.NotActions) {
		switch {
		case action == "*" && p.kind != Trust:
		case !actionPattern.MatchString(action):
			p.fault("%s: action %q: want <service>:<action>, with wildcards in the action only", where, action)
		case p.kind == Trust && !slices.ContainsFunc(trustActions, func(a string) bool { return MatchFold(action, a) }):
			p.fault("%s: action %q: AssumeRole policy may only specify STS AssumeRole actions", where, action)
		}
	}
}

func (p *parser) resources(where string, o map[string]json.RawMessage, s *Statement, version string) {
	r, hasR := o["Resource"]
	n, hasN := o["NotResource"]
	switch {
	case p.kind == Trust:
		if hasR || hasN {
			p.fault("%s.Resource: has prohibited field Resource", where)
		}
		return
	case hasR && hasN:
		p.fault("%s: must not have both Resource and NotResource", where)
	case !hasR && !hasN:
		p.fault("%s: policy statement must contain resources", where)
	case hasR:
		s.Resources = p.strings(where+".Resource", r, false)
	default:
		s.NotResources = p.strings(where+".NotResource", n, false)
	}
	for _, list := range [][]string{s.Resources, s.NotResources} {
		for i, res := range list {
			list[i] = p.resource(where, res, version)
			p.checkVariables(where+".Resource", res, version)
		}
	}
}

// partition is the AWS partition that the stand-in stands for.
const partition = "aws"

var servicePart = regexp.MustCompile(`^[a-z0-9-]+$`)

// resource checks a pattern of Resource or NotResource and returns it complete: identity policies may leave out the
// last segments of an ARN, which IAM takes as *.
func (p *parser) resource(where, pattern, version string) string {
	if pattern == "*" {
		return pattern
	}
	segments := splitARN(pattern, version)
	switch {
	case segments[0] != "arn" || len(segments) < 3 || slices.Contains(segments[1:3], "") ||
		segments[len(segments)-1] == "" && len(segments) == arnSegments:
		p.fault("%s: resource %q must be in ARN format or \"*\"", where, pattern)
	case segments[1] != partition:
		p.fault("%s: partition %q is not valid for resource %q: want %s, without wildcards", where, segments[1],
			pattern, partition)
	case !servicePart.MatchString(segments[2]):
		p.fault("%s: vendor %q is not valid for resource %q: want the name of one service, without wildcards", where,
			segments[2], pattern)
	case len(segments) < arnSegments && p.kind != Identity:
		p.fault("%s: resource %q has %d segments: want %d, only identity policies may leave out the last ones", where,
			pattern, len(segments), arnSegments)
	}
	return pattern + strings.Repeat(":*", arnSegments-len(segments))
}

// splitARN splits a pattern at its first five colons. Those within policy variables do not count.
func splitARN(pattern, version string) []string {
	var out []string
	start := 0
	for i := 0; i < len(pattern) && len(out) < arnSegments-1; i++ {
		switch {
		case version == Version2012 && strings.HasPrefix(pattern[i:], "${"):
			if end := strings.IndexByte(pattern[i:], '}'); end > 0 {
				i += end
			}
		case pattern[i] == ':':
			out = append(out, pattern[start:i])
			start = i + 1
		}
	}
	return append(out, pattern[start:])
}

// checkVariables reports variables that no request carries. They are refused for the same reason as unknown condition
// keys.
func (p *parser) checkVariables(where, text, version string) {
	if version != Version2012 {
		return
	}
	for {
		_, rest, found := strings.Cut(text, "${")
		if !found {
			return
		}
		name, after, closed := strings.Cut(rest, "}")
		if !closed {
			p.fault("%s: %q: policy variable without closing brace", where, text)
			return
		}
		text = after
		key, _, _ := cutDefault(name)
		switch {
		case key == "*" || key == "?" || key == "$":
		case !KnownConditionKey(key):
			p.fault("%s: policy variable ${%s}: the local AWS stand-in does not model this key", where, name)
		case multivalued(key):
			p.fault("%s: policy variable ${%s}: the key has several values, so it cannot be a variable", where, name)
		}
	}
}

func (p *parser) conditions(where string, raw json.RawMessage, version string) []Condition {
	var out []Condition
	ops := p.object(where, raw)
	p.distinct(where, ops)
	for _, written := range sortedKeys(ops) {
		op, ifExists, set, err := parseOperator(written)
		if err != nil {
			p.fault("%s: %v", where, err)
			continue
		}
		keys := p.object(where+"."+written, ops[written])
		p.distinct(where+"."+written, keys)
		for _, key := range sortedKeys(keys) {
			at := where + "." + written + "." + key
			c := Condition{Operator: written, Key: key, base: op, ifExists: ifExists, set: set}
			c.Values = p.strings(at, keys[key], true)
			switch {
			case !KnownConditionKey(key):
				p.fault("%s: the local AWS stand-in does not model this condition key", at)
			case multivalued(key) && set == single && op.name != "Null":
				p.fault("%s: the key has several values: want ForAnyValue:%s or ForAllValues:%s", at, written, written)
			}
			for _, v := range c.Values {
				if op.check != nil {
					if err := op.check(v); err != nil {
						p.fault("%s: %q: %v", at, v, err)
					}
				}
				if op.variables {
					p.checkVariables(at, v, version)
				}
			}
			out = append(out, c)
		}
	}
	return out
}

// distinct reports names that differ only in case. Neither operators nor keys of conditions have case, so the same one
// would stand there twice.
func (p *parser) distinct(where string, members map[string]json.RawMessage) {
	seen := map[string]string{}
	for _, name := range sortedKeys(members) {
		if other, twice := seen[strings.ToLower(name)]; twice {
			p.fault("%s.%s: occurs twice, the other time as %s: the case of the name does not matter", where, name,
				other)
		}
		seen[strings.ToLower(name)] = name
	}
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
