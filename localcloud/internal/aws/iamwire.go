package aws

import (
	"net/http"
	"net/url"
	"slices"
	"time"

	"dbtier/localcloud/internal/aws/iam"
	"dbtier/localcloud/internal/aws/wire"
)

// iamActions are the actions for creating roles, for inspecting what roles may do, and for reading the OIDC provider.
var iamActions = map[string]func(*call, *wire.Params) (any, error){
	"CreateRole":                 (*call).iamCreateRole,
	"GetRole":                    (*call).iamGetRole,
	"ListRoles":                  (*call).iamListRoles,
	"DeleteRole":                 (*call).iamDeleteRole,
	"UpdateAssumeRolePolicy":     (*call).iamUpdateAssumeRolePolicy,
	"PutRolePolicy":              (*call).iamPutRolePolicy,
	"GetRolePolicy":              (*call).iamGetRolePolicy,
	"ListRolePolicies":           (*call).iamListRolePolicies,
	"DeleteRolePolicy":           (*call).iamDeleteRolePolicy,
	"AttachRolePolicy":           (*call).iamAttachRolePolicy,
	"DetachRolePolicy":           (*call).iamDetachRolePolicy,
	"ListAttachedRolePolicies":   (*call).iamListAttachedRolePolicies,
	"ListOpenIDConnectProviders": (*call).iamListOIDCProviders,
	"GetOpenIDConnectProvider":   (*call).iamGetOIDCProvider,
	"SimulateCustomPolicy":       (*call).iamSimulateCustomPolicy,
}

type xmlRole struct {
	Path                     string
	RoleName                 string
	RoleID                   string `xml:"RoleId"`
	Arn                      string
	CreateDate               string
	AssumeRolePolicyDocument string
	Description              string       `xml:",omitempty"`
	MaxSessionDuration       int          `xml:",omitempty"`
	PermissionsBoundary      *xmlBoundary `xml:",omitempty"`
	Tags                     []xmlTag     `xml:"Tags>member"`
}

type xmlBoundary struct{ PermissionsBoundaryType, PermissionsBoundaryArn string }

func (r *role) xml() xmlRole {
	out := xmlRole{
		Path: r.Path, RoleName: r.Name, RoleID: r.ID, Arn: r.arn(), CreateDate: r.Created.Format(time.RFC3339),
		Description:              r.Description,
		AssumeRolePolicyDocument: url.QueryEscape(r.Trust), MaxSessionDuration: r.MaxSession, Tags: xmlTags(r.Tags),
	}
	if r.Boundary != "" {
		out.PermissionsBoundary = &xmlBoundary{"PermissionsBoundaryPolicy", r.Boundary}
	}
	return out
}

// role finds a role and checks that the caller may perform the action on it.
func (k *call) role(action string, p *wire.Params) (*role, error) {
	name := p.Required("RoleName")
	if err := p.Check(); err != nil {
		return nil, err
	}
	r := k.st.findRole(name)
	arn := "arn:aws:iam::" + AccountID + ":role/" + name
	if r != nil {
		arn = r.arn()
	}
	err := k.allow("iam:"+action, arn, func(ctx iam.Context) {
		if r != nil {
			ctx.SetTags("aws:ResourceTag", r.Tags)
		}
	})
	switch {
	case err != nil:
		return nil, err
	case r == nil:
		return nil, errNoRole(name)
	}
	return r, nil
}

func (k *call) iamCreateRole(p *wire.Params) (any, error) {
	r := &role{
		Name: p.Required("RoleName"), Path: p.String("Path"), Trust: p.Required("AssumeRolePolicyDocument"),
		Description: p.String("Description"),
		MaxSession:  p.Int("MaxSessionDuration", defaultSession), Boundary: p.String("PermissionsBoundary"),
		Tags: tagsOf(p, "Tags.member"),
		ID:   "AROA" + randomID(17), Created: k.c.now(),
	}
	if r.Path == "" {
		r.Path = "/"
	}
	if err := p.Check(); err != nil {
		return nil, err
	}
	if err := k.allow("iam:CreateRole", r.arn(), func(ctx iam.Context) { requestTagKeys(ctx, r.Tags) }); err != nil {
		return nil, err
	}
	f := &faults{what: "CreateRole"}
	err := k.c.store.Update(func(st *state) error {
		st.checkRole(r, f)
		if st.findRole(r.Name) != nil {
			return wire.Status(http.StatusConflict, codeExists, "Role with name %s already exists.", r.Name)
		}
		if err := f.err(); err != nil {
			return err
		}
		st.Roles[r.Name] = r
		return nil
	})
	return struct{ Role xmlRole }{r.xml()}, err
}

func (k *call) iamGetRole(p *wire.Params) (any, error) {
	r, err := k.role("GetRole", p)
	if err != nil {
		return nil, err
	}
	return struct{ Role xmlRole }{r.xml()}, nil
}

func (k *call) iamListRoles(p *wire.Params) (any, error) {
	limit, marker := p.Int("MaxItems", 0), p.String("Marker")
	if err := p.Check(); err != nil {
		return nil, err
	}
	if err := k.allow("iam:ListRoles", "*", nil); err != nil {
		return nil, err
	}
	var all []*role
	for _, name := range sortedKeys(k.st.Roles) {
		all = append(all, k.st.Roles[name])
	}
	page, next, err := paginate(iamPaging, all, limit, 1000, marker, func(r *role) string { return r.Name })
	if err != nil {
		return nil, err
	}
	out := struct {
		Roles       []xmlRole `xml:"Roles>member"`
		IsTruncated bool
		Marker      string `xml:",omitempty"`
	}{IsTruncated: next != "", Marker: next}
	for _, r := range page {
		out.Roles = append(out.Roles, r.xml())
	}
	return out, nil
}

// changeRole changes a role if the caller may perform the action on it.
func (k *call) changeRole(
	action string, p *wire.Params, change func(st *state, r *role, f *faults) error,
) (any, error) {
	r, err := k.role(action, p)
	if err != nil {
		return nil, err
	}
	return nil, k.c.store.Update(func(st *state) error {
		now := st.Roles[r.Name]
		if now == nil {
			return errNoRole(r.Name)
		}
		f := &faults{what: action}
		if err := change(st, now, f); err != nil {
			return err
		}
		return f.err()
	})
}

func (k *call) iamDeleteRole(p *wire.Params) (any, error) {
	return k.changeRole("DeleteRole", p, func(st *state, r *role, _ *faults) error {
		if err := r.deletable(); err != nil {
			return err
		}
		delete(st.Roles, r.Name)
		return nil
	})
}

func (k *call) iamUpdateAssumeRolePolicy(p *wire.Params) (any, error) {
	document := p.Required("PolicyDocument")
	return k.changeRole("UpdateAssumeRolePolicy", p, func(st *state, r *role, f *faults) error {
		st.checkTrust(document, f)
		r.Trust = document
		return nil
	})
}

func (k *call) iamPutRolePolicy(p *wire.Params) (any, error) {
	name, document := p.Required("PolicyName"), p.Required("PolicyDocument")
	return k.changeRole("PutRolePolicy", p, func(st *state, r *role, f *faults) error {
		_, err := st.putInline(r.Name, name, document, r.InlineOrigins[name], f)
		return err
	})
}

func (k *call) iamGetRolePolicy(p *wire.Params) (any, error) {
	name := p.Required("PolicyName")
	r, err := k.role("GetRolePolicy", p)
	if err != nil {
		return nil, err
	}
	document, ok := r.Inline[name]
	if !ok {
		return nil, wire.Status(http.StatusNotFound, codeNoSuchEntity, "The role policy with name %s cannot be found.",
			clip(name))
	}
	return struct{ RoleName, PolicyName, PolicyDocument string }{r.Name, name, url.QueryEscape(document)}, nil
}

func (k *call) iamListRolePolicies(p *wire.Params) (any, error) {
	r, err := k.role("ListRolePolicies", p)
	if err != nil {
		return nil, err
	}
	return struct {
		PolicyNames []string `xml:"PolicyNames>member"`
		IsTruncated bool
	}{PolicyNames: sortedKeys(r.Inline)}, nil
}

func (k *call) iamDeleteRolePolicy(p *wire.Params) (any, error) {
	name := p.Required("PolicyName")
	return k.changeRole("DeleteRolePolicy", p, func(_ *state, r *role, _ *faults) error {
		if _, ok := r.Inline[name]; !ok {
			return wire.Status(http.StatusNotFound, codeNoSuchEntity, "The role policy with name %s cannot be found.",
				clip(name))
		}
		delete(r.Inline, name)
		delete(r.InlineOrigins, name)
		return nil
	})
}

func (k *call) iamAttachRolePolicy(p *wire.Params) (any, error) {
	arn := p.Required("PolicyArn")
	return k.changeRole("AttachRolePolicy", p,
		func(st *state, r *role, f *faults) error { return st.attach(r.Name, arn, f) })
}

func (k *call) iamDetachRolePolicy(p *wire.Params) (any, error) {
	arn := p.Required("PolicyArn")
	return k.changeRole("DetachRolePolicy", p,
		func(st *state, r *role, _ *faults) error { return st.detach(r.Name, arn) })
}

func (k *call) iamListAttachedRolePolicies(p *wire.Params) (any, error) {
	r, err := k.role("ListAttachedRolePolicies", p)
	if err != nil {
		return nil, err
	}
	type policy struct{ PolicyName, PolicyArn string }
	out := struct {
		AttachedPolicies []policy `xml:"AttachedPolicies>member"`
		IsTruncated      bool
	}{}
	for _, arn := range slices.Sorted(slices.Values(r.Attached)) {
		out.AttachedPolicies = append(out.AttachedPolicies, policy{lastSegment(arn), arn})
	}
	return out, nil
}

func (k *call) iamListOIDCProviders(p *wire.Params) (any, error) {
	if err := p.Check(); err != nil {
		return nil, err
	}
	if err := k.allow("iam:ListOpenIDConnectProviders", "*", nil); err != nil {
		return nil, err
	}
	type provider struct{ Arn string }
	return struct {
		List []provider `xml:"OpenIDConnectProviderList>member"`
	}{[]provider{{k.c.providerARN()}}}, nil
}

func (k *call) iamGetOIDCProvider(p *wire.Params) (any, error) {
	arn := p.Required("OpenIDConnectProviderArn")
	if err := p.Check(); err != nil {
		return nil, err
	}
	if err := k.allow("iam:GetOpenIDConnectProvider", arn, nil); err != nil {
		return nil, err
	}
	if arn != k.c.providerARN() {
		return nil, wire.Status(http.StatusNotFound, codeNoSuchEntity, "OpenIDConnect Provider not found for arn %s",
			clip(arn))
	}
	return struct {
		URL          string   `xml:"Url"`
		ClientIDList []string `xml:"ClientIDList>member"`
	}{k.c.issuerKey(), oidcClientIDs}, nil
}

// iamSimulateCustomPolicy evaluates the policies in the request. On AWS, the same action evaluates them with AWS's own
// engine. The contract tests compare the two.
func (k *call) iamSimulateCustomPolicy(p *wire.Params) (any, error) {
	documents, boundaries := p.Strings("PolicyInputList.member"), p.Strings("PermissionsBoundaryPolicyInputList.member")
	actions, resources := p.Strings("ActionNames.member"), p.Strings("ResourceArns.member")
	keys := iam.NewContext()
	for n := range p.Count("ContextEntries.member") {
		at := member("ContextEntries.member", n)
		p.String(at + ".ContextKeyType") // all values are text here
		keys.Set(p.String(at+".ContextKeyName"), p.Strings(at+".ContextKeyValues.member")...)
	}
	if err := p.Check(); err != nil {
		return nil, err
	}
	if err := k.allow("iam:SimulateCustomPolicy", "*", nil); err != nil {
		return nil, err
	}
	if len(documents) == 0 || len(actions) == 0 || len(boundaries) > 1 {
		return nil, wire.Errorf(codeInvalidInput,
			"SimulateCustomPolicy requires PolicyInputList and ActionNames, and accepts at most one permissions "+
				"boundary")
	}
	who := iam.Principal{Kind: iam.User, Account: AccountID, ARN: k.who.ARN}
	for n, document := range slices.Concat(documents, boundaries) {
		policy, err := iam.Parse(document, iam.Identity)
		switch {
		case err != nil:
			return nil, wire.Errorf(codeInvalidInput, "%v", err)
		case n < len(documents):
			who.Identity = append(who.Identity, policy)
		default:
			who.Boundary = policy
		}
	}
	if len(resources) == 0 {
		resources = []string{"*"}
	}
	type result struct{ EvalActionName, EvalResourceName, EvalDecision string }
	out := struct {
		EvaluationResults []result `xml:"EvaluationResults>member"`
		IsTruncated       bool
	}{}
	for _, action := range actions {
		for _, resource := range resources {
			d := iam.Evaluate(who, iam.Request{Action: action, Resource: resource, Context: keys}, nil)
			decision := "implicitDeny"
			switch {
			case d.Allowed:
				decision = "allowed"
			case d.Explicit():
				decision = "explicitDeny"
			}
			out.EvaluationResults = append(out.EvaluationResults, result{action, resource, decision})
		}
	}
	return out, nil
}
