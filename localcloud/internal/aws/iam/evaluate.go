package iam

import (
	"fmt"
	"slices"
	"strings"
)

// PrincipalKind is the kind of identity that makes a request.
type PrincipalKind int

// The kinds of principals.
const (
	Root PrincipalKind = iota
	User
	RoleSession
	Federated // a web identity that has not assumed a role yet
	Service   // an AWS service acting on its own behalf
)

// Principal is the identity that makes a request, with the policies that apply to it.
type Principal struct {
	Kind     PrincipalKind
	ARN      string // ARN of the user, session or OIDC provider, or the service's name
	RoleARN  string // ARN of the session's role
	RoleID   string
	Account  string
	ID       string // aws:userid
	Identity []*Policy
	Boundary *Policy // nil if there is none
	Session  *Policy // nil if there is none
}

// Request is one action on one resource.
type Request struct {
	Action   string // service:Name
	Resource string // ARN, or "*" for actions without resource-level permissions
	Context  Context
}

// ResourcePolicy is a policy attached to the resource.
type ResourcePolicy struct {
	Policy  *Policy
	Account string // account of the resource
	// Required is set for KMS keys and role trust: nothing is allowed without an allow in this policy. Otherwise both
	// this policy and identity policies can grant access.
	Required bool
}

// Reason is the rule that decided a request.
type Reason string

// Reasons of decisions, in the words of AWS's access-denied messages.
const (
	Granted         Reason = "granted"
	DeniedIdentity  Reason = "with an explicit deny in an identity-based policy"
	DeniedResource  Reason = "with an explicit deny in a resource-based policy"
	DeniedBoundary  Reason = "with an explicit deny in a permissions boundary"
	DeniedSession   Reason = "with an explicit deny in a session policy"
	MissingIdentity Reason = "because no identity-based policy allows the %s action"
	MissingResource Reason = "because no resource-based policy allows the %s action"
	MissingBoundary Reason = "because no permissions boundary allows the %s action"
	MissingSession  Reason = "because no session policy allows the %s action"
)

// Decision is the result for one request.
type Decision struct {
	Allowed bool
	Reason  Reason
}

// Explicit reports whether a statement denied the request. It is false if the request was denied because nothing
// allowed it.
func (d Decision) Explicit() bool {
	switch d.Reason {
	case DeniedIdentity, DeniedResource, DeniedBoundary, DeniedSession:
		return true
	default:
		return false
	}
}

// Explain returns the message that AWS sends to a denied caller.
func (d Decision) Explain(p Principal, r Request) string {
	reason := string(d.Reason)
	if strings.Contains(reason, "%s") {
		reason = fmt.Sprintf(reason, r.Action)
	}
	return fmt.Sprintf("User: %s is not authorized to perform: %s on resource: %s %s", p.ARN, r.Action, r.Resource,
		reason)
}

// grant is how directly a resource policy names the principal, in rising order.
type grant int

const (
	notNamed  grant = iota
	byAccount       // delegates to the account, so identity policies decide
	byRole          // names the role, so the boundary and the session policy still limit it
	direct          // names the user or session itself, or everyone: neither boundary nor session policy limits it
)

// Evaluate decides a request. resource is nil if the resource has no policy. It then belongs to the principal's
// account.
func Evaluate(p Principal, r Request, resource *ResourcePolicy) Decision {
	identity := apply(p.Identity, r)
	boundary := apply(list(p.Boundary), r)
	session := apply(list(p.Session), r)
	named := notNamed
	if resource != nil {
		var denied bool
		named, denied = applyResource(resource, p, r)
		if denied {
			return Decision{Reason: DeniedResource}
		}
	}
	switch {
	case identity.denied:
		return Decision{Reason: DeniedIdentity}
	case boundary.denied:
		return Decision{Reason: DeniedBoundary}
	case session.denied:
		return Decision{Reason: DeniedSession}
	}
	if p.Kind == Federated || p.Kind == Service {
		if named == direct {
			return Decision{Allowed: true, Reason: Granted}
		}
		return Decision{Reason: MissingResource}
	}
	// A principal of another account needs an allow of both sides.
	required := resource != nil && (resource.Required || resource.Account != p.Account)
	if required && named == notNamed {
		return Decision{Reason: MissingResource}
	}
	if named == direct {
		return Decision{Allowed: true, Reason: Granted}
	}
	if named != byRole && p.Kind != Root && !identity.allowed {
		return Decision{Reason: MissingIdentity}
	}
	if p.Boundary != nil && !boundary.allowed {
		return Decision{Reason: MissingBoundary}
	}
	if p.Session != nil && !session.allowed {
		return Decision{Reason: MissingSession}
	}
	return Decision{Allowed: true, Reason: Granted}
}

func list(p *Policy) []*Policy {
	if p == nil {
		return nil
	}
	return []*Policy{p}
}

type outcome struct{ allowed, denied bool }

func apply(policies []*Policy, r Request) outcome {
	var o outcome
	for _, p := range policies {
		for _, s := range p.Statements {
			if s.appliesTo(r, p.Version) {
				o.allowed = o.allowed || s.Effect == Allow
				o.denied = o.denied || s.Effect == Deny
			}
		}
	}
	return o
}

func applyResource(rp *ResourcePolicy, p Principal, r Request) (best grant, denied bool) {
	for _, s := range rp.Policy.Statements {
		if !s.appliesTo(r, rp.Policy.Version) {
			continue
		}
		g := s.names(p, rp.Account)
		switch {
		case g == notNamed:
		case s.Effect == Deny:
			return notNamed, true
		default:
			best = max(best, g)
		}
	}
	return best, false
}

// names returns how directly the statement's Principal element names a principal.
func (s Statement) names(p Principal, resourceAccount string) grant {
	best := notNamed
	for _, pattern := range s.Principals {
		g := notNamed
		v := pattern.Value
		switch pattern.Type {
		case "Federated":
			if p.Kind == Federated && p.ARN == v {
				g = direct
			}
		case "Service":
			if p.Kind == Service && p.ARN == v {
				g = direct
			}
		default:
			switch {
			case v == "*":
				// A trust policy allows a web identity only if it names the provider. A deny for "*" does apply to it.
				if p.Kind == Federated && s.Effect == Allow {
					break
				}
				g = direct
			case p.Kind == Federated || p.Kind == Service:
			case v == p.Account || v == "arn:aws:iam::"+p.Account+":root":
				g = byAccount
				if p.Kind == Root {
					g = direct
				}
			case v == p.ARN || v == p.ID:
				g = direct
			case p.RoleARN != "" && v == p.RoleARN || p.RoleID != "" && v == p.RoleID:
				g = byRole
			}
			// A principal of another account always needs an allow by its identity policies too.
			if g > byAccount && p.Account != resourceAccount {
				g = byAccount
			}
		}
		best = max(best, g)
	}
	return best
}

func (s Statement) appliesTo(r Request, version string) bool {
	matchAction := func(pattern string) bool { return MatchFold(pattern, r.Action) }
	if len(s.Actions) > 0 && !slices.ContainsFunc(s.Actions, matchAction) {
		return false
	}
	if len(s.NotActions) > 0 && slices.ContainsFunc(s.NotActions, matchAction) {
		return false
	}
	if len(s.Resources) > 0 && !matchResources(s.Resources, r, version) {
		return false
	}
	if len(s.NotResources) > 0 && matchResources(s.NotResources, r, version) {
		return false
	}
	for _, c := range s.Conditions {
		if !c.holds(r.Context, version) {
			return false
		}
	}
	return true
}

// matchResources reports whether one of the patterns matches the resource. A pattern with a variable that has no value
// matches nothing, in NotResource too, where the rest of the statement still applies.
func matchResources(patterns []string, r Request, version string) bool {
	return slices.ContainsFunc(patterns, func(text string) bool {
		// An action without resource-level permissions has the resource "*". Only the pattern "*" matches it.
		if r.Resource == "*" || text == "*" {
			return text == "*"
		}
		pattern, ok := r.Context.expand(text, version)
		return ok && matchResourceElements(pattern, r.Resource)
	})
}

// NonWhitespace returns how many characters of a document count against IAM's size quotas.
func NonWhitespace(document string) int {
	n := 0
	for _, r := range document {
		switch r {
		case ' ', '\t', '\n', '\r':
		default:
			n++
		}
	}
	return n
}
