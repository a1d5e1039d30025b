package iam

import (
	"fmt"
	"slices"
	"strings"

	"dbtier/policy/internal/iamdoc"
	"dbtier/policy/rule"
	"dbtier/policy/types"
)

// The actions of each kind, from AWS's Service Authorization Reference.
var (
	// escalating actions let a principal gain more rights.
	escalating = []string{
		"iam:CreatePolicyVersion", "iam:SetDefaultPolicyVersion", "iam:AttachUserPolicy", "iam:AttachGroupPolicy",
		"iam:AttachRolePolicy", "iam:PutUserPolicy", "iam:PutGroupPolicy", "iam:PutRolePolicy", "iam:AddUserToGroup",
		"iam:UpdateAssumeRolePolicy", "iam:CreateAccessKey", "iam:CreateLoginProfile", "iam:UpdateLoginProfile",
		"iam:PassRole", "sts:AssumeRole",
	}
	// exposing actions return credentials. ecr:GetAuthorizationToken does too, but it only accepts *.
	exposing = []string{
		"iam:CreateAccessKey", "iam:CreateLoginProfile", "iam:UpdateLoginProfile",
		"iam:CreateServiceSpecificCredential", "iam:ResetServiceSpecificCredential", "sts:AssumeRole",
		"sts:GetFederationToken", "rds-db:connect", "redshift:GetClusterCredentials",
		"cognito-identity:GetCredentialsForIdentity", "codeartifact:GetAuthorizationToken",
	}
	// reading actions return data. secretsmanager:BatchGetSecretValue does too, but it only accepts *.
	reading = []string{
		"s3:GetObject", "ssm:GetParameter", "ssm:GetParameters", "ssm:GetParametersByPath",
		"secretsmanager:GetSecretValue", "rds-data:ExecuteStatement", "dynamodb:Scan", "dynamodb:GetItem",
	}
	// permitting actions change rights.
	permitting = []string{
		"iam:AttachRolePolicy", "iam:PutRolePolicy", "iam:DeleteRolePolicy", "iam:DetachRolePolicy",
		"iam:CreatePolicyVersion", "iam:CreateRole", "iam:PutRolePermissionsBoundary",
		"iam:DeleteRolePermissionsBoundary", "kms:PutKeyPolicy", "kms:CreateGrant", "s3:PutBucketPolicy",
		"secretsmanager:PutResourcePolicy", "secretsmanager:DeleteResourcePolicy", "sns:AddPermission",
		"sqs:AddPermission", "lambda:AddPermission",
	}
	// writing actions change or delete resources that others depend on.
	writing = []string{
		"rds:DeleteDBInstance", "rds:ModifyDBInstance", "rds:DeleteDBSnapshot", "secretsmanager:DeleteSecret",
		"secretsmanager:PutSecretValue", "secretsmanager:UpdateSecret", "kms:ScheduleKeyDeletion", "kms:DisableKey",
		"s3:PutObject", "s3:DeleteObject", "ec2:TerminateInstances", "ec2:AuthorizeSecurityGroupIngress",
		"logs:DeleteLogGroup", "dynamodb:PutItem", "dynamodb:DeleteItem", "lambda:UpdateFunctionCode",
	}
	// unscoped actions only accept * as resource.
	unscoped = []string{
		"sts:GetCallerIdentity", "ecr:GetAuthorizationToken", "secretsmanager:ListSecrets",
		"secretsmanager:GetRandomPassword", "ssm:DescribeParameters", "kms:ListKeys", "kms:ListAliases",
		"kms:GenerateRandom", "ec2:Describe*", "rds:Describe*", "cloudwatch:PutMetricData", "cloudwatch:ListMetrics",
		"cloudwatch:GetMetricData", "logs:DescribeLogGroups", "xray:PutTraceSegments", "xray:PutTelemetryRecords",
		"tag:GetResources", "secretsmanager:BatchGetSecretValue",
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

// onNamed requires that actions are granted on named resources only. The effect completes "grants <action> on every
// resource, which".
func onNamed(actions []string, effect string) judgement {
	return func(statement *iamdoc.Statement) string {
		action, gives := statement.GivesAny(actions)
		if !gives || !statement.Everywhere() || statement.Conditioned() {
			return ""
		}
		return fmt.Sprintf("grants %s on every resource, which %s", action, effect)
	}
}

// notOn requires that actions are not granted on wide resources.
func notOn(wide func(resource string) bool, actions ...string) judgement {
	return func(statement *iamdoc.Statement) string {
		action, gives := statement.GivesAny(actions)
		at := slices.IndexFunc(statement.Resource, wide)
		if !gives || at < 0 {
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
		if action == "*" || service == "*" || found && verb == "*" {
			return "grants " + action
		}
	}
	if len(statement.NotAction) > 0 {
		return "grants everything except a few actions"
	}
	return ""
}

func noStarResource(statement *iamdoc.Statement) string {
	if !statement.Allows() || !statement.Everywhere() || statement.Conditioned() {
		return ""
	}
	for _, action := range statement.Action {
		if !slices.ContainsFunc(unscoped, func(known string) bool { return iamdoc.Match(known, action) }) {
			return fmt.Sprintf("grants %s on every resource", action)
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
		Summary:  "A policy does not grant actions with which a principal can gain more rights.",
		Why:      "Otherwise the policy does not limit what the principal can do.",
		Fix:      "name the roles, users or policies that the action applies to",
		Resource: statements(onNamed(escalating, "leads to every other right")),
	}, {
		Name: "iam-no-credentials-exposure", Severity: rule.High, IDs: []string{"CKV_AWS_287", "CKV_AWS_107"},
		Summary:  "A policy does not grant actions that return credentials, except on named resources.",
		Why:      "Credentials outlive the session that requested them.",
		Fix:      "name the resource that the credentials are for",
		Resource: statements(onNamed(exposing, "returns credentials")),
	}, {
		Name: "iam-no-data-exfiltration", Severity: rule.High, IDs: []string{"CKV_AWS_288", "CKV_AWS_108"},
		Summary:  "A policy reads data of named resources only.",
		Why:      "A role that can read everything can leak everything.",
		Fix:      "name the objects, parameters or secrets",
		Resource: statements(onNamed(reading, "reads the data of every team")),
	}, {
		Name: "iam-no-permissions-management", Severity: rule.High, IDs: []string{"CKV_AWS_289", "CKV_AWS_109"},
		Summary:  "A policy changes rights on named resources only.",
		Why:      "A principal that can change all rights has all rights.",
		Fix:      "name the resources",
		Resource: statements(onNamed(permitting, "changes rights")),
	}, {
		Name:     "iam-no-unconstrained-write",
		Summary:  "A policy changes and deletes named resources only.",
		Why:      "A mistake or a stolen session then affects those resources only.",
		Fix:      "name the resources",
		Severity: rule.High, IDs: []string{"CKV_AWS_290", "CKV_AWS_111", "CKV_AWS_283"},
		Resource: statements(onNamed(writing, "changes the resources of every team")),
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
