package iam

import (
	"fmt"
	"iter"
	"slices"
	"strings"

	"dbtier/policy/internal/iamactions"
	"dbtier/policy/internal/iamdoc"
	"dbtier/policy/rule"
	"dbtier/policy/types"
)

// The actions whose effect the access level does not tell.
var (
	// escalating actions let a principal gain more rights, beside those of IAM that manage permissions: they act as
	// another principal, create credentials for one, or change the program that runs as one.
	escalating = []string{
		"iam:PassRole", "iam:AddUserToGroup", "iam:CreateAccessKey", "iam:CreateLoginProfile", "iam:UpdateLoginProfile",
		"iam:CreateServiceSpecificCredential", "iam:ResetServiceSpecificCredential", "iam:AddRoleToInstanceProfile",
		"sts:AssumeRole", "sts:AssumeRoot", "lambda:UpdateFunctionCode", "lambda:UpdateFunctionConfiguration",
		"glue:UpdateDevEndpoint", "ec2:AssociateIamInstanceProfile", "ec2:ReplaceIamInstanceProfileAssociation",
		"ssm:SendCommand", "ssm:StartSession",
	}
	// exposing actions return credentials. Some more do, such as ecr:GetAuthorizationToken, but accept * only.
	exposing = []string{
		"iam:CreateAccessKey", "iam:CreateLoginProfile", "iam:UpdateLoginProfile", "iam:UpdateAccessKey",
		"iam:CreateServiceSpecificCredential", "iam:ResetServiceSpecificCredential", "sts:AssumeRole",
		"sts:AssumeRoleWithSAML", "sts:AssumeRoleWithWebIdentity", "sts:AssumeRoot", "sts:GetFederationToken",
		"rds-db:connect", "redshift:GetClusterCredentials", "redshift:GetClusterCredentialsWithIAM",
		"redshift-serverless:GetCredentials", "cognito-identity:GetOpenIdTokenForDeveloperIdentity",
		"codeartifact:GetAuthorizationToken", "codepipeline:PollForJobs", "connect:GetFederationToken",
		"ec2:GetPasswordData", "gamelift:RequestUploadCredentials", "lightsail:GetInstanceAccessDetails",
		"lightsail:GetRelationalDatabaseMasterUserPassword", "mediapackage:RotateChannelCredentials",
		"mediapackage:RotateIngestEndpointCredentials",
	}
	// reading actions return data. secretsmanager:BatchGetSecretValue does too, but it only accepts *.
	reading = []string{
		"s3:GetObject", "ssm:GetParameter", "ssm:GetParameters", "ssm:GetParametersByPath",
		"secretsmanager:GetSecretValue", "rds-data:ExecuteStatement", "dynamodb:Scan", "dynamodb:GetItem",
		"dynamodb:Query", "dynamodb:BatchGetItem", "rds:DownloadCompleteDBLogFile", "rds:DownloadDBLogFilePortion",
	}
)

// judgement returns what is wrong with a statement, or "".
type judgement func(statement *iamdoc.Statement) (reason string)

// statements judges each statement of the policies of an identity.
func statements(judge judgement) func(*rule.Subject) {
	return func(s *rule.Subject) {
		values := []rule.Value{s.Get("policy")}
		for _, inline := range s.Get("inlinePolicies").Items() {
			values = append(values, inline.Get("policy"))
		}
		for _, value := range values {
			for _, statement := range iamdoc.Statements(value) {
				if reason := judge(statement); reason != "" {
					value.Fail("%s %s", statement.Name, reason)
				}
			}
		}
	}
}

// everywhere requires that actions which a statement could grant on named resources are not granted on all of them. The
// effect completes "grants <action> on every resource, which".
func everywhere(wanted func(iamactions.Action) bool, effect string) judgement {
	return func(statement *iamdoc.Statement) string {
		if !statement.Allows() || !statement.Everywhere() || statement.BoundsRequests() {
			return ""
		}
		for action := range granted(statement) {
			if action.Types != "" && wanted(action) {
				return fmt.Sprintf("grants %s on every resource, which %s", action.Name, effect)
			}
		}
		return ""
	}
}

// granted returns the actions of AWS that a statement grants.
func granted(statement *iamdoc.Statement) iter.Seq[iamactions.Action] {
	patterns := []string(statement.Action)
	if len(statement.NotAction) > 0 {
		patterns = []string{"*"}
	}
	return func(yield func(iamactions.Action) bool) {
		for _, pattern := range patterns {
			for action := range iamactions.Matching(pattern) {
				if statement.Gives(action.Name) && !yield(action) {
					return
				}
			}
		}
	}
}

// named returns a function that reports whether an action is in a list.
func named(actions []string) func(iamactions.Action) bool {
	return func(a iamactions.Action) bool { return slices.Contains(actions, a.Name) }
}

// notOn requires that actions are not granted on wide resources.
func notOn(wide func(resource string) bool, actions ...string) judgement {
	return func(statement *iamdoc.Statement) string {
		action, gives := statement.GivesAny(actions)
		at := slices.IndexFunc(statement.Resource, wide)
		switch {
		case !gives:
			return ""
		case len(statement.NotResource) > 0:
			return fmt.Sprintf("grants %s on all resources except a few", action)
		case at < 0:
			return ""
		}
		return fmt.Sprintf("grants %s on %s", action, statement.Resource[at])
	}
}

func noStarAction(statement *iamdoc.Statement) string {
	if !statement.Allows() {
		return ""
	}
	for _, action := range statement.Action {
		service, verb, found := strings.Cut(action, ":")
		everything := func(part string) bool { return part != "" && strings.Trim(part, "*") == "" }
		if everything(service) || found && everything(verb) {
			return "grants " + action
		}
	}
	if len(statement.NotAction) > 0 {
		return "grants everything except a few actions"
	}
	return ""
}

// noStarResource requires that the actions on * are those that accept nothing else.
func noStarResource(statement *iamdoc.Statement) string {
	if !statement.Allows() || !statement.Everywhere() || statement.BoundsRequests() {
		return ""
	}
	for _, pattern := range statement.Action {
		known := false
		for action := range iamactions.Matching(pattern) {
			known = true
			if action.Types == "" {
				continue
			}
			by := ""
			if action.Name != pattern {
				by = " (by " + pattern + ")"
			}
			return fmt.Sprintf("grants %s%s on every resource: name a resource of the type %s", action.Name, by,
				strings.ReplaceAll(action.Types, " ", ", "))
		}
		if !known {
			return fmt.Sprintf("grants %s on every resource, which AWS's reference does not list", pattern)
		}
	}
	return ""
}

// rights returns the rules for what the policies of identities grant.
func rights() []*rule.Rule {
	hasWildcard := func(resource string) bool { return strings.ContainsAny(resource, "*?") }
	rules := []*rule.Rule{{
		Name: "iam-no-star-action", Severity: rule.Critical,
		Summary: "A policy names the actions that it grants.",
		Why:     "With * or a whole service, the role can also do what nobody has considered.",
		Fix:     "name the actions",
		IDs: []string{
			"CKV_AWS_62", "CKV_AWS_63", "CKV_AWS_1", "CKV_AWS_49", "CKV2_AWS_40", "AVD-AWS-0057",
			"CIS-2.15",
		},
		Resource: statements(noStarAction),
	}, {
		Name: "iam-no-star-resource", Severity: rule.High, IDs: []string{"CKV_AWS_355", "CKV_AWS_356"},
		Summary:  "A policy names the resources that its actions apply to.",
		Why:      "Actions on * apply to the resources of every team.",
		Fix:      "name resources by ARN",
		Resource: statements(noStarResource),
	}, {
		Name: "iam-no-privilege-escalation", Severity: rule.Critical, IDs: []string{"CKV_AWS_286", "CKV_AWS_110"},
		Summary: "A policy does not grant actions with which a principal can gain more rights.",
		Why:     "Otherwise the policy does not limit what the principal can do.",
		Fix:     "name the roles, users or policies that the action applies to",
		Resource: statements(everywhere(func(a iamactions.Action) bool {
			return named(escalating)(a) || a.Level == iamactions.Permissions && strings.HasPrefix(a.Name, "iam:")
		}, "leads to every other right")),
	}, {
		Name: "iam-no-credentials-exposure", Severity: rule.High, IDs: []string{"CKV_AWS_287", "CKV_AWS_107"},
		Summary:  "A policy does not grant actions that return credentials, except on named resources.",
		Why:      "Credentials outlive the session that requested them.",
		Fix:      "name the resource that the credentials are for",
		Resource: statements(everywhere(named(exposing), "returns credentials")),
	}, {
		Name: "iam-no-data-exfiltration", Severity: rule.High, IDs: []string{"CKV_AWS_288", "CKV_AWS_108"},
		Summary:  "A policy reads data of named resources only.",
		Why:      "A role that can read everything can leak everything.",
		Fix:      "name the objects, parameters or secrets",
		Resource: statements(everywhere(named(reading), "reads the data of every team")),
	}, {
		Name: "iam-no-permissions-management", Severity: rule.High, IDs: []string{"CKV_AWS_289", "CKV_AWS_109"},
		Summary: "A policy changes rights on named resources only.",
		Why:     "A principal that can change all rights has all rights.",
		Fix:     "name the resources",
		Resource: statements(everywhere(func(a iamactions.Action) bool { return a.Level == iamactions.Permissions },
			"changes rights")),
	}, {
		Name:     "iam-no-unconstrained-write",
		Summary:  "A policy changes and deletes named resources only.",
		Why:      "A mistake or a stolen session then affects those resources only.",
		Fix:      "name the resources",
		Severity: rule.High, IDs: []string{"CKV_AWS_290", "CKV_AWS_111"},
		Resource: statements(everywhere(func(a iamactions.Action) bool { return a.Level == iamactions.Write },
			"changes the resources of every team")),
	}, {
		Name: "iam-pass-role", Severity: rule.High, IDs: []string{"AVD-AWS-0342"},
		Summary: "A policy passes named roles only.",
		Why:     "A principal that can pass every role to a service has the rights of all roles.",
		Fix:     "name the role, and the service in a condition on iam:PassedToService",
		Resource: statements(notOn(func(resource string) bool {
			return resource == "*" || strings.HasSuffix(resource, ":role/*")
		}, "iam:PassRole")),
	}, {
		Name: "iam-kms-decrypt", Severity: rule.High, IDs: []string{"KMS.1", "KMS.2"},
		Summary: "A policy decrypts with named keys only.",
		Why:     "With every key, encryption no longer separates anything.",
		Fix:     "name the key by ARN, and the service in a condition on kms:ViaService",
		Resource: statements(notOn(func(resource string) bool {
			return resource == "*" || strings.HasSuffix(resource, ":key/*") ||
				strings.HasSuffix(resource, ":alias/*") || strings.HasPrefix(resource, "arn:aws:kms:*")
		}, "kms:Decrypt", "kms:ReEncryptFrom")),
	}, {
		Name: "iam-secrets-scoped", Severity: rule.Critical, IDs: []string{"gap:eso-role-one-secret"},
		Summary: "A policy reads named secrets, by their full ARN.",
		Why:     "In every account, the names of secrets that RDS manages start with rds!db-: a pattern matches all.",
		Fix:     "name each secret with its six-character suffix, from masterUserSecrets: it cannot be computed",
		Resource: statements(notOn(func(resource string) bool {
			// Six question marks stand for the suffix of a secret whose name is complete.
			return hasWildcard(strings.TrimSuffix(resource, "-??????"))
		}, "secretsmanager:GetSecretValue")),
	}, {
		Name: "iam-rds-connect-scoped", Severity: rule.High, IDs: []string{"tier:rds-connect-one-user"},
		Summary:  "A policy logs in to one database as one user.",
		Why:      "dbuser:*/* means every user of every instance in the account, master users included.",
		Fix:      "name arn:…:dbuser:<DbiResourceId>/<user>",
		Resource: statements(notOn(hasWildcard, "rds-db:connect")),
	}}
	for _, r := range rules {
		r.Levels = rule.Always
		r.Types = []string{
			types.IAMRole, types.IAMRolePolicy, types.IAMPolicy, types.IAMUserPolicy, types.IAMGroupPolicy,
		}
	}
	return rules
}
