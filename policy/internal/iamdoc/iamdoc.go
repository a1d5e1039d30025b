package iamdoc

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Document is a policy.
type Document struct {
	Statements Statements `json:"Statement"`
}

// Statements may be written as one.
type Statements []Statement

// UnmarshalJSON takes a list or one.
func (s *Statements) UnmarshalJSON(text []byte) error {
	var list []Statement
	if err := json.Unmarshal(text, &list); err == nil {
		*s = list
		return nil
	}
	var one Statement
	if err := json.Unmarshal(text, &one); err != nil {
		return fmt.Errorf("a statement: %w", err)
	}
	*s = Statements{one}
	return nil
}

// Statement of a policy.
type Statement struct {
	Sid, Effect  string
	Principal    Principal
	NotPrincipal *Principal
	Action       Texts
	NotAction    Texts
	Resource     Texts
	NotResource  Texts
	// Condition by operator and key.
	Condition map[string]map[string]Texts
}

// Texts may be written as one text.
type Texts []string

// UnmarshalJSON takes a list or one value; numbers and booleans become text.
func (t *Texts) UnmarshalJSON(text []byte) error {
	var list []any
	if err := json.Unmarshal(text, &list); err != nil {
		var one any
		if err := json.Unmarshal(text, &one); err != nil {
			return fmt.Errorf("a text or list of texts: %w", err)
		}
		list = []any{one}
	}
	*t = make(Texts, len(list))
	for i, item := range list {
		(*t)[i] = fmt.Sprint(item)
	}
	return nil
}

// Principal by kind: AWS, Service, Federated, CanonicalUser. Everybody is {"*": ["*"]}.
type Principal map[string]Texts

// UnmarshalJSON takes an object, or the text *.
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

// Everybody tells whether the principal is anybody at all.
func (p Principal) Everybody() bool {
	return slices.Contains(p["*"], "*") || slices.Contains(p["AWS"], "*")
}

// Parse reads a document.
func Parse(text string) (Document, error) {
	var document Document
	if err := json.Unmarshal([]byte(text), &document); err != nil {
		return Document{}, fmt.Errorf("a policy document: %w", err)
	}
	return document, nil
}

// Allows tells statements that give rights from those that take them.
func (s *Statement) Allows() bool { return !strings.EqualFold(s.Effect, "Deny") }

// Gives tells whether the statement's actions include one, by name or pattern. NotAction gives everything else.
func (s *Statement) Gives(action string) bool {
	if !s.Allows() {
		return false
	}
	if len(s.NotAction) > 0 {
		return !slices.ContainsFunc(s.NotAction, func(p string) bool { return Match(p, action) })
	}
	return slices.ContainsFunc(s.Action, func(p string) bool { return Match(p, action) })
}

// GivesAny is the first of the actions that the statement gives.
func (s *Statement) GivesAny(actions []string) (action string, gives bool) {
	for _, action := range actions {
		if s.Gives(action) {
			return action, true
		}
	}
	return "", false
}

// Everywhere tells whether the statement is about every resource.
func (s *Statement) Everywhere() bool {
	return len(s.NotResource) > 0 || slices.Contains(s.Resource, "*") || slices.Contains(s.Resource, "arn:aws:*") ||
		len(s.Resource) == 0 && len(s.Action)+len(s.NotAction) > 0 && len(s.Principal) == 0
}

// Conditioned tells whether a condition narrows the statement.
func (s *Statement) Conditioned() bool { return len(s.Condition) > 0 }

// Values are those that a condition demands of a key, by the operators that compare for equality or by pattern; keys
// are compared without case, as IAM does.
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
				// IfExists lets requests without the key through.
				exact = exact && !like && !strings.HasSuffix(name, "IfExists")
				values = append(values, texts...)
			}
		}
	}
	return values, exact && found, found
}

// Name names the statement for people.
func (s *Statement) Name(index int) string {
	if s.Sid != "" {
		return "statement " + s.Sid
	}
	return fmt.Sprintf("statement %d", index+1)
}

// Match compares a pattern of IAM, in which * is any text and ? any character, without case, as IAM compares actions.
func Match(pattern, text string) bool {
	return match(strings.ToLower(pattern), strings.ToLower(text))
}

func match(pattern, text string) bool {
	// The last * can be tried again further on: no other needs to.
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
