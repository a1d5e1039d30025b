package aws

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"dbtier/localcloud/internal/aws/iam"
	"dbtier/localcloud/internal/aws/wire"
	"dbtier/validation"
)

// IAM's limits ("IAM and STS quotas"). Policy sizes are in characters without white space.
const (
	maxTrustPolicy    = 2048
	maxInlinePolicies = 10240
	maxAttached       = 10
	maxPath           = 512
)

const (
	codeMalformed    = "MalformedPolicyDocument"
	codeNoSuchEntity = "NoSuchEntity"
	codeExists       = "EntityAlreadyExists"
	codeLimit        = "LimitExceeded"
	codeConflict     = "DeleteConflict"
	codeInvalidInput = "InvalidInput"
)

func errNoRole(name string) error {
	return wire.Status(http.StatusNotFound, codeNoSuchEntity, "The role with name %s cannot be found.", clip(name))
}

// checkRole checks a role by IAM's rules.
func (st *state) checkRole(r *role, f *faults) {
	if !validation.RoleName.Matches(r.Name) {
		f.add(codeValidation, "name", "%q: must be 1 to 64 characters of [\\w+=,.@-]", clip(r.Name))
	}
	if !validation.RolePath.Matches(r.Path) {
		f.add(codeValidation, "path", "%q: must begin and end with / and have at most %d characters", clip(r.Path),
			maxPath)
	}
	if len(r.Description) > 1000 {
		f.add(codeValidation, "description", "must have at most 1000 characters")
	}
	if r.MaxSession < 3600 || r.MaxSession > maxSession {
		f.add(codeValidation, "maxSessionDuration", "%d: must be between 3600 and %d", r.MaxSession, maxSession)
	}
	if err := checkTags(r.Tags); err != nil {
		f.add(codeInvalidInput, "tags", "%v", err)
	}
	if _, ok := managedPolicies[r.Boundary]; r.Boundary != "" && !ok {
		f.notModelled("permissionsBoundary", "the policy %q; the modelled policies are %s", clip(r.Boundary),
			names(managedPolicies))
	}
	st.checkTrust(r.Trust, f)
}

func (st *state) checkTrust(document string, f *faults) {
	if n := iam.NonWhitespace(document); n > maxTrustPolicy {
		f.add(codeLimit, "assumeRolePolicy", "Cannot exceed quota for ACLSizePerRole: %d (has %d)", maxTrustPolicy, n)
	}
	trust, err := iam.Parse(document, iam.Trust)
	if err != nil {
		f.add(codeMalformed, "assumeRolePolicy", "%v", err)
		return
	}
	for _, missing := range st.missingPrincipals(trust) {
		f.add(codeMalformed, "assumeRolePolicy", "Invalid principal in policy: \"AWS\":%q", missing)
	}
}

// checkInline checks a new inline policy by IAM's rules.
func (r *role) checkInline(name, document string, f *faults) {
	if !validation.PolicyName.Matches(name) {
		f.add(codeValidation, "name", "%q: must be 1 to 128 characters of [\\w+=,.@-]", clip(name))
	}
	if _, err := iam.Parse(document, iam.Identity); err != nil {
		f.add(codeMalformed, "policy", "%v", err)
	}
	size := iam.NonWhitespace(document)
	for other, text := range r.Inline {
		if other != name {
			size += iam.NonWhitespace(text)
		}
	}
	if size > maxInlinePolicies {
		f.add(codeLimit, "policy", "Maximum policy size of %d bytes exceeded for role %s (would be %d)",
			maxInlinePolicies, r.Name, size)
	}
}

func (r *role) checkAttach(arn string, f *faults) {
	if _, ok := managedPolicies[arn]; !ok {
		f.notModelled("policyArn", "the policy %q; the modelled policies are %s", clip(arn), names(managedPolicies))
	}
	if len(r.Attached) >= maxAttached && !slices.Contains(r.Attached, arn) {
		f.add(codeLimit, "policyArn", "Cannot exceed quota for PoliciesPerRole: %d", maxAttached)
	}
}

// findRole finds a role by name. As in IAM, names that differ only in case are the same.
func (st *state) findRole(name string) *role {
	if r := st.Roles[name]; r != nil {
		return r
	}
	for _, r := range st.Roles {
		if strings.EqualFold(r.Name, name) {
			return r
		}
	}
	return nil
}

type roleInputs struct {
	Name        *string           `json:"name"`
	Path        *string           `json:"path"`
	Description *string           `json:"description"`
	Trust       *string           `json:"assumeRolePolicy"`
	MaxSession  *int              `json:"maxSessionDuration"`
	Boundary    *string           `json:"permissionsBoundary"`
	ForceDetach *bool             `json:"forceDetachPolicies"`
	Tags        map[string]string `json:"tags"`
	TagsAll     map[string]string `json:"tagsAll"`
}

var roleRefused = map[string]string{
	"namePrefix":        namePrefixRefused["namePrefix"],
	"inlinePolicies":    "inline policies within a role: use aws:iam/rolePolicy:RolePolicy",
	"managedPolicyArns": "attachments within a role: use aws:iam/rolePolicyAttachment:RolePolicyAttachment",
}

func (in roleInputs) merge(r *role) {
	r.Description, r.MaxSession, r.Boundary = or(in.Description, ""), or(in.MaxSession, defaultSession),
		or(in.Boundary, "")
	r.Tags, r.ForceDetach, r.Trust = in.Tags, or(in.ForceDetach, false), or(in.Trust, "")
}

func createRole(_ context.Context, c *Cloud, r resourceRequest) (*resource, error) {
	f := &faults{what: label(r)}
	in := decodeInputs[roleInputs](r.Inputs, roleRefused, f)
	return c.changed(func(st *state) (*resource, error) {
		old := st.findRole(or(in.Name, ""))
		if old != nil && old.Name == or(in.Name, "") && old.Origin.adoptable(r.Name, r.Inputs) {
			return old.resource(), nil
		}
		out := &role{
			Name: or(in.Name, ""), Path: or(in.Path, "/"), ID: "AROA" + randomID(17), Created: c.now(),
			Origin: &origin{r.Name, r.Inputs},
		}
		in.merge(out)
		st.checkRole(out, f)
		if old != nil {
			f.add(codeExists, "name", "Role with name %s already exists.", out.Name)
		}
		if err := f.err(); err != nil {
			return nil, err
		}
		st.Roles[out.Name] = out
		return out.resource(), nil
	})
}

func (r *role) resource() *resource {
	inputs := inputsOf(r.Origin)
	inline := []any{}
	for _, name := range sortedKeys(r.Inline) {
		inline = append(inline, map[string]any{"name": name, "policy": r.Inline[name]})
	}
	outputs := echo(inputs, map[string]any{
		"arn": r.arn(), "name": r.Name, "uniqueId": r.ID, "path": r.Path, "createDate": r.Created.Format(time.RFC3339),
		"assumeRolePolicy":   r.Trust,
		"maxSessionDuration": r.MaxSession, "tags": anyMap(r.Tags), "tagsAll": anyMap(r.Tags), "inlinePolicies": inline,
		"managedPolicyArns": anyList(r.Attached),
	})
	if r.Description != "" {
		outputs["description"] = r.Description
	}
	return &resource{ID: r.Name, Inputs: echo(inputs, nil), Outputs: outputs}
}

func readRole(c *Cloud, r resourceRequest) (*resource, error) {
	if role := c.store.Read().Roles[r.ID]; role != nil {
		return role.resource(), nil
	}
	return nil, nil
}

func updateRole(_ context.Context, c *Cloud, r resourceRequest) (*resource, error) {
	f := &faults{what: label(r)}
	in := decodeInputs[roleInputs](r.Inputs, roleRefused, f)
	return c.changed(func(st *state) (*resource, error) {
		out := st.Roles[r.ID]
		if out == nil {
			return nil, errNoRole(r.ID)
		}
		in.merge(out)
		st.checkRole(out, f)
		if or(in.Name, out.Name) != out.Name || or(in.Path, "/") != out.Path {
			f.add(codeValidation, "name", "name and path of a role cannot be changed")
		}
		out.Origin = reinput(out.Origin, r.Inputs)
		return out.resource(), f.err()
	})
}

func removeRole(_ context.Context, c *Cloud, r resourceRequest) error {
	return c.store.Update(func(st *state) error {
		role := st.Roles[r.ID]
		if role == nil {
			return nil
		}
		force, given := r.Olds["forceDetachPolicies"].(bool)
		if !given {
			force = role.ForceDetach
		}
		if !force {
			if err := role.deletable(); err != nil {
				return err
			}
		}
		delete(st.Roles, role.Name)
		return nil
	})
}

func (r *role) deletable() error {
	switch {
	case len(r.Attached) > 0:
		return wire.Status(http.StatusConflict, codeConflict, "Cannot delete entity, must detach all policies first.")
	case len(r.Inline) > 0:
		return wire.Status(http.StatusConflict, codeConflict, "Cannot delete entity, must delete policies first.")
	}
	return nil
}

type rolePolicyInputs struct {
	Name   *string `json:"name"`
	Policy *string `json:"policy"`
	Role   *string `json:"role"`
}

// putInline creates or replaces an inline policy.
func (st *state) putInline(roleName, name, document string, o *origin, f *faults) (*role, error) {
	role := st.Roles[roleName]
	if role == nil {
		return nil, errNoRole(roleName)
	}
	role.checkInline(name, document, f)
	if err := f.err(); err != nil {
		return nil, err
	}
	if role.Inline == nil {
		role.Inline = map[string]string{}
	}
	if role.InlineOrigins == nil {
		role.InlineOrigins = map[string]*origin{}
	}
	role.Inline[name], role.InlineOrigins[name] = document, o
	return role, nil
}

// createRolePolicy stores the policy. Like IAM's call, it replaces a policy with the same name.
func createRolePolicy(_ context.Context, c *Cloud, r resourceRequest) (*resource, error) {
	return putRolePolicy(c, r, "")
}

func updateRolePolicy(_ context.Context, c *Cloud, r resourceRequest) (*resource, error) {
	return putRolePolicy(c, r, r.ID)
}

func putRolePolicy(c *Cloud, r resourceRequest, id string) (*resource, error) {
	f := &faults{what: label(r)}
	in := decodeInputs[rolePolicyInputs](r.Inputs, namePrefixRefused, f)
	roleName, name := or(in.Role, ""), or(in.Name, "")
	if id != "" && id != roleName+":"+name {
		f.add(codeValidation, "name", "name and role of a policy cannot be changed")
	}
	return c.changed(func(st *state) (*resource, error) {
		role, err := st.putInline(roleName, name, or(in.Policy, ""), &origin{r.Name, r.Inputs}, f)
		if err != nil {
			return nil, err
		}
		return role.inlineResource(name), nil
	})
}

func (r *role) inlineResource(name string) *resource {
	outputs := map[string]any{"name": name, "role": r.Name, "policy": r.Inline[name]}
	return &resource{ID: r.Name + ":" + name, Inputs: echo(inputsOf(r.InlineOrigins[name]), nil), Outputs: outputs}
}

func readRolePolicy(c *Cloud, r resourceRequest) (*resource, error) {
	roleName, name, _ := strings.Cut(r.ID, ":")
	role := c.store.Read().Roles[roleName]
	if role == nil {
		return nil, nil
	}
	if _, ok := role.Inline[name]; !ok {
		return nil, nil
	}
	return role.inlineResource(name), nil
}

func removeRolePolicy(_ context.Context, c *Cloud, r resourceRequest) error {
	roleName, name, _ := strings.Cut(r.ID, ":")
	return c.store.Update(func(st *state) error {
		if role := st.Roles[roleName]; role != nil {
			delete(role.Inline, name)
			delete(role.InlineOrigins, name)
		}
		return nil
	})
}

type attachmentInputs struct {
	Policy *string `json:"policyArn"`
	Role   *string `json:"role"`
}

// attach attaches a managed policy to a role. Like IAM's call, it is idempotent.
func (st *state) attach(roleName, arn string, f *faults) error {
	role := st.Roles[roleName]
	if role == nil {
		return errNoRole(roleName)
	}
	role.checkAttach(arn, f)
	if err := f.err(); err != nil {
		return err
	}
	if !slices.Contains(role.Attached, arn) {
		role.Attached = append(role.Attached, arn)
	}
	return nil
}

func (st *state) detach(roleName, arn string) error {
	role := st.Roles[roleName]
	if role == nil {
		return errNoRole(roleName)
	}
	at := slices.Index(role.Attached, arn)
	if at < 0 {
		return wire.Status(http.StatusNotFound, codeNoSuchEntity, "Policy %s was not found.", clip(arn))
	}
	role.Attached = slices.Delete(role.Attached, at, at+1)
	return nil
}

func createAttachment(_ context.Context, c *Cloud, r resourceRequest) (*resource, error) {
	f := &faults{what: label(r)}
	in := decodeInputs[attachmentInputs](r.Inputs, nil, f)
	roleName, arn := or(in.Role, ""), or(in.Policy, "")
	if err := c.store.Update(func(st *state) error { return st.attach(roleName, arn, f) }); err != nil {
		return nil, err
	}
	return attachmentResource(roleName, arn), nil
}

func attachmentResource(roleName, arn string) *resource {
	both := map[string]any{"role": roleName, "policyArn": arn}
	return &resource{ID: roleName + "/" + arn, Inputs: both, Outputs: both}
}

func readAttachment(c *Cloud, r resourceRequest) (*resource, error) {
	roleName, arn, _ := strings.Cut(r.ID, "/")
	role := c.store.Read().Roles[roleName]
	if role == nil || !slices.Contains(role.Attached, arn) {
		return nil, nil
	}
	return attachmentResource(roleName, arn), nil
}

func updateAttachment(_ context.Context, _ *Cloud, r resourceRequest) (*resource, error) {
	return nil, wire.Errorf(codeValidation, "%s: an attachment cannot be changed: replace it", label(r))
}

func removeAttachment(_ context.Context, c *Cloud, r resourceRequest) error {
	roleName, arn, _ := strings.Cut(r.ID, "/")
	return c.store.Update(func(st *state) error {
		if role := st.Roles[roleName]; role != nil {
			role.Attached = slices.DeleteFunc(role.Attached, func(a string) bool { return a == arn })
		}
		return nil
	})
}
