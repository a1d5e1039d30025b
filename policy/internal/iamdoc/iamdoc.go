// Package iamdoc reads policy documents of IAM, as far as rules need them.
package iamdoc

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"dbtier/policy/internal/cidr"
	"dbtier/policy/rule"
)

// Statements returns the statements of the policy document that a value contains. It returns none if the value is
// unknown or missing, and reports a violation if the value is not a policy document.
func Statements(value rule.Value) []*Statement {
	text, ok := value.Text("")
	if !ok || text == "" {
		return nil
	}
	statements, err := Parse(text)
	if err != nil {
		value.Fail("is not a policy document")
	}
	return statements
}

// Parse returns the statements of a policy document.
func Parse(text string) ([]*Statement, error) {
	var document struct{ Statement oneOrMany[*Statement] }
	if err := json.Unmarshal([]byte(text), &document); err != nil {
		return nil, fmt.Errorf("a policy document: %w", err)
	}
	for i, statement := range document.Statement {
		if statement == nil {
			statement = &Statement{}
			document.Statement[i] = statement
		}
		if statement.Name = fmt.Sprintf("statement %d", i+1); statement.Sid != "" {
			statement.Name = "statement " + statement.Sid
		}
	}
	return document.Statement, nil
}

// oneOrMany is a list. IAM accepts a single element without brackets.
type oneOrMany[T any] []T

// UnmarshalJSON accepts a list or a single element.
func (l *oneOrMany[T]) UnmarshalJSON(text []byte) error {
	var list []T
	if err := json.Unmarshal(text, &list); err == nil {
		*l = list
		return nil
	}
	var one T
	if err := json.Unmarshal(text, &one); err != nil {
		return err
	}
	*l = []T{one}
	return nil
}

// Statement is a statement of a policy document.
type Statement struct {
	// Name is the Sid, or the position, for messages.
	Name         string `json:"-"`
	Sid, Effect  string
	Principal    Principal
	NotPrincipal *Principal
	Action       Texts
	NotAction    Texts
	Resource     Texts
	NotResource  Texts
	// Condition has the wanted values by operator and key.
	Condition map[string]map[string]Texts
}

// Texts is a list of strings.
type Texts []string

// UnmarshalJSON accepts a list or a single value. Numbers and booleans become strings.
func (t *Texts) UnmarshalJSON(text []byte) error {
	var list oneOrMany[any]
	if err := json.Unmarshal(text, &list); err != nil {
		return fmt.Errorf("a string or a list of strings: %w", err)
	}
	*t = make(Texts, len(list))
	for i, item := range list {
		(*t)[i] = fmt.Sprint(item)
	}
	return nil
}

// Principal has names by kind: AWS, Service, Federated or CanonicalUser. The text * becomes {"*": ["*"]}.
type Principal map[string]Texts

// UnmarshalJSON accepts an object or the text *.
func (p *Principal) UnmarshalJSON(text []byte) error {
	var all string
	if err := json.Unmarshal(text, &all); err == nil {
		*p = Principal{"*": {all}}
		return nil
	}
	var kinds map[string]Texts
	if err := json.Unmarshal(text, &kinds); err != nil {
		return fmt.Errorf("a principal: %w", err)
	}
	*p = kinds
	return nil
}

// Everyone reports whether the principal includes everyone.
func (p Principal) Everyone() bool {
	return slices.Contains(p["*"], "*") || slices.Contains(p["AWS"], "*")
}

// Allows reports whether the statement grants rights. Otherwise it denies them.
func (s *Statement) Allows() bool { return !strings.EqualFold(s.Effect, "Deny") }

// Gives reports whether the statement grants an action, by name or pattern. NotAction grants all other actions.
func (s *Statement) Gives(action string) bool {
	if !s.Allows() {
		return false
	}
	if len(s.NotAction) > 0 {
		return !slices.ContainsFunc(s.NotAction, func(p string) bool { return Match(p, action) })
	}
	return slices.ContainsFunc(s.Action, func(p string) bool { return Match(p, action) })
}

// GivesAny returns the first of the actions that the statement grants.
func (s *Statement) GivesAny(actions []string) (action string, gives bool) {
	for _, action := range actions {
		if s.Gives(action) {
			return action, true
		}
	}
	return "", false
}

// Everywhere reports whether the statement applies to every resource.
func (s *Statement) Everywhere() bool {
	return len(s.NotResource) > 0 || slices.ContainsFunc(s.Resource, universal) ||
		len(s.Resource) == 0 && len(s.Action)+len(s.NotAction) > 0 && len(s.Principal) == 0
}

// universal reports whether a pattern matches every name, ARN or address: *, ?*, arn:aws:*, 0.0.0.0/0.
func universal(pattern string) bool {
	if cidr.Internet(pattern) {
		return true
	}
	rest := strings.ToLower(strings.TrimSpace(pattern))
	for _, prefix := range []string{"arn:aws-cn", "arn:aws-us-gov", "arn:aws", "arn"} {
		if after, found := strings.CutPrefix(rest, prefix); found && strings.HasPrefix(after+":", ":") {
			rest = after
			break
		}
	}
	return strings.Contains(rest, "*") && strings.Trim(rest, "*?:/") == ""
}

// BoundsRequests reports whether a condition limits what the statement grants to certain resources or requests. A
// condition on the principal does not: the policy is attached to it.
func (s *Statement) BoundsRequests() bool {
	return s.bounds(func(key string) bool {
		return !principalKey(key) && !slices.Contains([]string{
			"aws:securetransport", "aws:useragent", "aws:referer", "aws:multifactorauthpresent", "aws:sourceidentity",
			"s3:tlsversion", "s3:signatureversion", "s3:authtype", "s3:x-amz-content-sha256",
		}, key)
	})
}

// BoundsPrincipals reports whether a condition limits who the statement is for.
func (s *Statement) BoundsPrincipals() bool {
	return s.bounds(func(key string) bool {
		return principalKey(key) && key != "aws:principaltype" && key != "aws:principalisawsservice" ||
			slices.Contains([]string{
				"kms:calleraccount", "aws:sourceaccount", "aws:sourcearn", "aws:sourceorgid", "aws:sourceorgpaths",
				"aws:sourceip", "aws:sourcevpc", "aws:sourcevpce", "aws:vpcsourceip", "aws:sourcevpcarn",
				"sts:externalid", "aws:federatedprovider",
			}, key) || strings.HasSuffix(key, ":sub")
	})
}

func principalKey(key string) bool {
	return strings.HasPrefix(key, "aws:principal") || key == "aws:userid" || key == "aws:username"
}

// bounds reports whether a condition on one of the keys admits only some values. IAM requires all conditions of a
// statement, so one is enough. Conditions that exclude values, compare numbers or dates, or hold for requests without
// the key, admit almost everything.
func (s *Statement) bounds(counts func(key string) bool) bool {
	for operator, conditions := range s.Condition {
		set, name, qualified := strings.Cut(strings.ToLower(operator), ":")
		if !qualified {
			name = set
		} else if set == "forallvalues" {
			continue
		}
		switch name {
		case "stringequals", "stringequalsignorecase", "stringlike", "arnequals", "arnlike", "ipaddress":
		case "bool":
			// The other keys of this type are true for almost every request.
			for key, values := range conditions {
				if slices.Contains([]string{"kms:grantisforawsresource", "aws:viaawsservice"}, strings.ToLower(key)) &&
					!slices.Contains(values, "false") {
					return true
				}
			}
			continue
		default:
			continue
		}
		for key, values := range conditions {
			if counts(strings.ToLower(key)) && len(values) > 0 && !slices.ContainsFunc(values, universal) {
				return true
			}
		}
	}
	return false
}

// Values returns the values that conditions want for a key, by operators that compare for equality or with a pattern.
// It is exact if all of them compare for equality. As in IAM, the case of keys does not matter.
func (s *Statement) Values(key string) (values []string, exact, found bool) {
	exact = true
	for operator, conditions := range s.Condition {
		name := operator[strings.LastIndex(operator, ":")+1:]
		like := strings.HasPrefix(name, "StringLike") || strings.HasPrefix(name, "ArnLike") ||
			strings.HasPrefix(name, "ArnEquals")
		if !like && !strings.HasPrefix(name, "StringEquals") {
			continue
		}
		for at, texts := range conditions {
			if strings.EqualFold(at, key) {
				found = true
				// IfExists allows requests without the key.
				exact = exact && !like && !strings.HasSuffix(name, "IfExists")
				values = append(values, texts...)
			}
		}
	}
	return values, exact && found, found
}

// Match reports whether a text matches a pattern of IAM, in which * is any text and ? any character. As in IAM's
// actions, case does not matter.
func Match(pattern, text string) bool {
	pattern, text = strings.ToLower(pattern), strings.ToLower(text)
	// Only the last * has to be tried again at a later position.
	star, resume := -1, 0
	p, t := 0, 0
	for t < len(text) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, resume = p, t
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == text[t]):
			p++
			t++
		case star >= 0:
			resume++
			p, t = star+1, resume
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}
