// Package iam has the rules for IAM: who can assume a role, and what policies grant.
package iam

import (
	"slices"
	"strings"

	"dbtier/policy/internal/iamdoc"
	"dbtier/policy/rule"
	"dbtier/policy/types"
)

// Rules returns all rules of the family.
func Rules() []*rule.Rule {
	return rule.Family("iam", []string{types.IAMRole}, slices.Concat(trust(), rights(), attachments())...)
}

// trust returns the rules for the trust policies of roles.
func trust() []*rule.Rule {
	trusting := func(judge func(value rule.Value, statement *iamdoc.Statement)) func(*rule.Subject) {
		return func(s *rule.Subject) {
			value := s.Get("assumeRolePolicy")
			for _, statement := range iamdoc.Statements(value) {
				if statement.Allows() {
					judge(value, statement)
				}
			}
		}
	}
	return []*rule.Rule{{
		Name: "iam-trust-principals", Severity: rule.Critical, Levels: rule.Always,
		Summary: "A role names the principals that can assume it.",
		Why:     "A role that everyone can assume grants its rights to every AWS account.",
		Fix:     "name accounts, services or an identity provider instead of *",
		IDs:     []string{"CKV_AWS_60"},
		Resource: trusting(func(value rule.Value, statement *iamdoc.Statement) {
			everyone := func(name string) bool { return name == "*" || strings.HasPrefix(name, "*.") }
			for kind, names := range statement.Principal {
				if slices.ContainsFunc(names, everyone) {
					value.Fail("%s lets every principal of the kind %s assume the role", statement.Name, kind)
					return
				}
			}
			if statement.NotPrincipal != nil {
				value.Fail("%s lets everyone except a few principals assume the role", statement.Name)
			}
		}),
	}, {
		Name: "iam-trust-account", Severity: rule.High, Levels: rule.InProduction,
		Summary: "A role does not trust a whole account.",
		Why:     "Every principal of that account with the right to assume roles can then assume this one.",
		Fix:     "name the roles, or add a condition on sts:ExternalId or aws:PrincipalArn",
		IDs:     []string{"CKV_AWS_61"},
		Resource: trusting(func(value rule.Value, statement *iamdoc.Statement) {
			for _, name := range statement.Principal["AWS"] {
				if wholeAccount(name) && !statement.BoundsPrincipals() {
					value.Fail("%s trusts the whole account %s", statement.Name, name)
				}
			}
		}),
	}, {
		Name: "iam-irsa-trust", Severity: rule.Critical, Levels: rule.Always,
		Summary: "A role for pods is restricted to one ServiceAccount (sub) and to STS (aud), without wildcards.",
		Why: "Without sub, every pod of the cluster can assume the role. Without aud, so can tokens that were issued " +
			"for other services.",
		Fix:      "compare both <issuer>:sub and <issuer>:aud with StringEquals",
		IDs:      []string{"gap:irsa-sub-and-aud", "CKV_AWS_358"},
		Resource: trusting(webIdentity),
	}, {
		Name: "iam-service-trust-source", Severity: rule.Medium, Levels: rule.InProduction,
		Summary: "A role for an AWS service is restricted to the account or resource that the service acts for.",
		Why:     "Otherwise another account can make the service assume the role (the confused deputy problem).",
		Fix:     "add a condition on aws:SourceAccount or aws:SourceArn",
		Knobs: []rule.Knob{{
			Name: "services", Description: "The services that send aws:SourceAccount and aws:SourceArn.",
			Default: []string{"monitoring.rds.amazonaws.com", "events.amazonaws.com"},
		}},
		IDs: []string{"tier:confused-deputy"},
		Resource: trusting(func(value rule.Value, statement *iamdoc.Statement) {
			for _, service := range statement.Principal["Service"] {
				if !statement.BoundsPrincipals() &&
					slices.Contains(value.Subject().Texts("services"), strings.TrimSuffix(service, ".cn")) {
					value.Fail("%s lets %s assume the role for every account", statement.Name, service)
				}
			}
		}),
	}, {
		Name: "iam-role-description", Severity: rule.Low, Levels: rule.Advice,
		Summary:  "A role has a description.",
		Why:      "Roles outlive the people who create them.",
		Fix:      "set description, or set this rule's level to remediate",
		IDs:      []string{"tier:described-role"},
		Resource: func(s *rule.Subject) { s.Get("description").RequireDescription() },
		Remedy:   rule.Describe("Role "),
	}}
}

// wholeAccount reports whether a principal is an account: its number, or the ARN of its root.
func wholeAccount(principal string) bool {
	if arn := strings.Split(principal, ":"); len(arn) == 6 && arn[2] == "iam" && arn[5] == "root" {
		return true
	}
	return len(principal) == 12 && strings.Trim(principal, "0123456789") == ""
}

// webIdentity judges the web identities that a role trusts.
func webIdentity(value rule.Value, statement *iamdoc.Statement) {
	if !statement.Gives("sts:AssumeRoleWithWebIdentity") {
		return
	}
	for _, provider := range statement.Principal["Federated"] {
		_, issuer, ok := strings.Cut(provider, ":oidc-provider/")
		if !ok {
			continue
		}
		// Jobs of GitHub are named by repository and branch. A pattern for branches is usual.
		github := strings.HasPrefix(issuer, "token.actions.githubusercontent.com")
		for _, claim := range []string{"sub", "aud"} {
			values, exact, found := statement.Values(issuer + ":" + claim)
			wildcard := slices.ContainsFunc(values, func(v string) bool { return strings.ContainsAny(v, "*?") })
			switch {
			case !found || len(values) == 0:
				value.Fail("%s does not compare %s:%s", statement.Name, issuer, claim)
			case github && claim == "sub" && !slices.ContainsFunc(values, anyRepository):
			case !exact && wildcard:
				value.Fail("%s accepts every %s:%s that matches a pattern", statement.Name, issuer, claim)
			case !exact:
				value.Fail("%s does not compare %s:%s with StringEquals", statement.Name, issuer, claim)
			}
		}
	}
}

// anyRepository reports whether a pattern matches repositories of every owner.
func anyRepository(subject string) bool {
	repository, _, _ := strings.Cut(strings.TrimPrefix(subject, "repo:"), ":")
	return strings.ContainsAny(repository, "*?") && !strings.Contains(strings.TrimRight(repository, "*"), "/")
}

// attachments returns the rules for what policies are attached to.
func attachments() []*rule.Rule {
	return []*rule.Rule{{
		Name: "iam-no-admin-policy", Severity: rule.Critical, Levels: rule.Always,
		Summary: "No managed policy that grants everything is attached.",
		Why:     "With AdministratorAccess, a bug in a program that uses the role exposes the whole account.",
		Fix:     "attach a policy that names actions and resources",
		IDs:     []string{"CKV_AWS_274", "CKV_AWS_275", "CKV2_AWS_56"},
		Types: []string{
			types.IAMRole, types.IAMRoleAttachment, types.IAMUserAttachment, types.IAMGroupAttachment,
			types.IAMPolicyAttachment, types.IAMRoleAttachments, types.IAMUserAttachments, types.IAMGroupAttachments,
		},
		Resource: func(s *rule.Subject) {
			admin := []string{"AdministratorAccess", "IAMFullAccess", "PowerUserAccess"}
			for _, value := range slices.Concat(s.Get("managedPolicyArns").Items(), s.Get("policyArns").Items(),
				[]rule.Value{s.Get("policyArn")}) {
				arn, ok := value.Text("")
				if ok && slices.Contains(admin, arn[strings.LastIndex(arn, "/")+1:]) {
					value.Fail("grants everything")
				}
			}
		},
	}, {
		Name: "iam-no-user-policies", Severity: rule.Medium, Levels: rule.Always,
		Summary: "Rights are granted to roles and groups, not to single users.",
		Why:     "The rights of a person are often not removed when the person leaves the team.",
		Fix:     "attach the policy to a role or a group",
		IDs:     []string{"CKV_AWS_40", "AVD-AWS-0143"},
		Types: []string{
			types.IAMUserPolicy, types.IAMUserAttachment, types.IAMPolicyAttachment, types.IAMUserAttachments,
		},
		Resource: func(s *rule.Subject) {
			if s.Type() == types.IAMUserAttachments {
				if arns := s.Get("policyArns"); len(arns.Items()) > 0 {
					arns.Fail("grants rights to a user")
				}
			} else if s.Type() != types.IAMPolicyAttachment {
				s.Fail("grants rights to a user")
			} else if users := s.Get("users"); len(users.Items()) > 0 {
				users.Fail("grants rights to users")
			}
		},
	}, {
		Name: "secret-policy-principals", Severity: rule.Critical, Levels: rule.Always,
		Summary: "The policy of a secret names the principals that can read it.",
		Why:     "If everyone can read a secret, it is no longer secret.",
		Fix:     "name principals instead of *",
		IDs:     []string{"CKV_AWS_283", "tier:secret-policy-principals"},
		Types:   []string{types.SecretPolicy, types.ManagedSecret},
		Resource: func(s *rule.Subject) {
			for _, statement := range iamdoc.Statements(s.Get("policy")) {
				if statement.Allows() && !statement.BoundsPrincipals() &&
					(statement.NotPrincipal != nil || statement.Principal.Everyone()) {
					s.Get("policy").Fail("%s is for everyone", statement.Name)
				}
			}
		},
	}}
}
