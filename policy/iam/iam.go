package iam

import (
	"fmt"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/property"

	"dbtier/policy/internal/iamdoc"
	"dbtier/policy/rule"
)

const (
	family           = "iam"
	role             = "aws:iam/role:Role"
	rolePolicy       = "aws:iam/rolePolicy:RolePolicy"
	policy           = "aws:iam/policy:Policy"
	userPolicy       = "aws:iam/userPolicy:UserPolicy"
	groupPolicy      = "aws:iam/groupPolicy:GroupPolicy"
	secretPolicy     = "aws:secretsmanager/secretPolicy:SecretPolicy"
	roleAttachment   = "aws:iam/rolePolicyAttachment:RolePolicyAttachment"
	userAttachment   = "aws:iam/userPolicyAttachment:UserPolicyAttachment"
	groupAttachment  = "aws:iam/groupPolicyAttachment:GroupPolicyAttachment"
	policyAttachment = "aws:iam/policyAttachment:PolicyAttachment"
)

// identity are the types with policies that give rights to an identity.
var identity = []string{role, rolePolicy, policy, userPolicy, groupPolicy}

var identityNeeds = []string{"policy", "inlinePolicies"}

// Rules are all rules of the family.
func Rules() []*rule.Rule { return slices.Concat(trust(), rights(), attachments()) }

// documents are the policies of a resource that are known.
func documents(s *rule.Subject, keys ...string) (values []rule.Value, parsed []iamdoc.Document) {
	add := func(value rule.Value) {
		text, ok := value.Text("")
		if !ok || text == "" {
			return
		}
		document, err := iamdoc.Parse(text)
		if err != nil {
			value.Fail("is no policy document")
			return
		}
		values, parsed = append(values, value), append(parsed, document)
	}
	for _, key := range keys {
		if key == "inlinePolicies" {
			for _, inline := range s.Get(key).Items() {
				add(inline.Get("policy"))
			}
			continue
		}
		add(s.Get(key))
	}
	return values, parsed
}

// statements is a rule that looks at each statement of the policies of identities; it fails with the reason, if there
// is one.
func statements(judge func(s *rule.Subject, statement *iamdoc.Statement) (reason string)) func(*rule.Subject) {
	return func(s *rule.Subject) {
		values, parsed := documents(s, identityNeeds...)
		for i, document := range parsed {
			for j := range document.Statements {
				if reason := judge(s, &document.Statements[j]); reason != "" {
					values[i].Fail("%s %s", document.Statements[j].Name(j), reason)
				}
			}
		}
	}
}

func trust() []*rule.Rule {
	trusting := func(judge func(value rule.Value, name string, statement *iamdoc.Statement)) func(*rule.Subject) {
		return func(s *rule.Subject) {
			values, parsed := documents(s, "assumeRolePolicy")
			for i, document := range parsed {
				for j := range document.Statements {
					if statement := &document.Statements[j]; statement.Allows() {
						judge(values[i], statement.Name(j), statement)
					}
				}
			}
		}
	}
	return []*rule.Rule{
		{
			Name: "iam-trust-principals", Family: family,
			Summary: "A role names who may take it.",
			Why:     "A role that anybody may take gives its rights to every AWS account there is.",
			Fix:     "name accounts, services or an identity provider in place of *", Severity: rule.Critical,
			Levels: rule.Always,
			IDs:    []string{"CKV_AWS_60", "CKV_AWS_61"}, Types: []string{role}, Needs: []string{"assumeRolePolicy"},
			Resource: trusting(func(value rule.Value, name string, statement *iamdoc.Statement) {
				for kind, names := range statement.Principal {
					if slices.ContainsFunc(names, func(name string) bool {
						return name == "*" ||
							strings.HasPrefix(name, "*.")
					}) {
						value.Fail("%s lets any principal of the kind %s take the role", name, kind)
						return
					}
				}
				if statement.NotPrincipal != nil {
					value.Fail("%s lets everybody but a few take the role", name)
				}
			}),
		},
		{
			Name: "iam-irsa-trust", Family: family,
			Summary: "A role for pods is bound to one ServiceAccount (sub) and to STS (aud), without wildcards.",
			Why: "Without sub every pod of the cluster can take the role; without aud, so can tokens that were " +
				"made for others.",
			Fix: "compare both <issuer>:sub and <issuer>:aud by StringEquals", Severity: rule.Critical,
			Levels: rule.Always,
			IDs:    []string{"gap:irsa-sub-and-aud", "CKV_AWS_358"}, Types: []string{role},
			Needs:    []string{"assumeRolePolicy"},
			Resource: trusting(irsa),
		},
		{
			Name: "iam-service-trust-source", Family: family,
			Summary: "A role for an AWS service is bound to the account or resource on whose behalf the service acts.",
			Why:     "A service takes the role for whoever asks it to: the confused deputy.",
			Fix:     "add a condition on aws:SourceAccount or aws:SourceArn", Severity: rule.Medium,
			Levels: rule.InProduction,
			Knobs: []rule.Knob{{
				Name: "services", Description: "The services that tell on whose behalf they act.",
				Default: []string{"monitoring.rds.amazonaws.com", "events.amazonaws.com"},
			}},
			IDs: []string{"tier:confused-deputy"}, Types: []string{role}, Needs: []string{"assumeRolePolicy"},
			Resource: trusting(func(value rule.Value, name string, statement *iamdoc.Statement) {
				for _, service := range statement.Principal["Service"] {
					if !slices.Contains(value.Subject().Texts("services"), strings.TrimSuffix(service, ".cn")) {
						continue
					}
					_, _, account := statement.Values("aws:SourceAccount")
					_, _, arn := statement.Values("aws:SourceArn")
					if !account && !arn {
						value.Fail("%s lets %s take the role for anybody", name, service)
					}
				}
			}),
		},
		{
			Name: "iam-role-description", Family: family,
			Summary: "A role says what it is for.",
			Why:     "Roles outlive those who made them.",
			Fix:     "set description, or the rule's level to remediate", Severity: rule.Low, Levels: rule.Advice,
			IDs: []string{"tier:described-role"}, Types: []string{role}, Needs: []string{"description"},
			Resource: func(s *rule.Subject) {
				if text, ok := s.Get("description").Text(""); ok && strings.TrimSpace(text) == "" {
					s.Get("description").Fail("is missing")
				}
			},
			Remedy: func(s *rule.Subject) (property.Map, bool) {
				return s.Properties().Set("description", property.New("Role "+s.Name())), true
			},
		},
	}
}

// irsa judges what web identities a role trusts.
func irsa(value rule.Value, name string, statement *iamdoc.Statement) {
	if !statement.Gives("sts:AssumeRoleWithWebIdentity") {
		return
	}
	for _, provider := range statement.Principal["Federated"] {
		_, issuer, ok := strings.Cut(provider, ":oidc-provider/")
		if !ok {
			continue
		}
		// The jobs of GitHub are named by repository and branch, where a pattern for branches is usual.
		github := strings.HasPrefix(issuer, "token.actions.githubusercontent.com")
		for _, claim := range []string{"sub", "aud"} {
			values, exact, found := statement.Values(issuer + ":" + claim)
			wildcard := slices.ContainsFunc(values, func(v string) bool { return strings.ContainsAny(v, "*?") })
			switch {
			case !found || len(values) == 0:
				value.Fail("%s does not compare %s:%s", name, issuer, claim)
			case github && claim == "sub" && !slices.ContainsFunc(values, anyRepository):
			case !exact && wildcard:
				value.Fail("%s takes any %s:%s that fits a pattern", name, issuer, claim)
			case !exact:
				value.Fail("%s does not compare %s:%s by StringEquals", name, issuer, claim)
			}
		}
	}
}

// anyRepository tells patterns for the repositories of anybody.
func anyRepository(subject string) bool {
	repository, _, _ := strings.Cut(strings.TrimPrefix(subject, "repo:"), ":")
	return strings.ContainsAny(repository, "*?") && !strings.Contains(strings.TrimRight(repository, "*"), "/")
}

// Actions by what they lead to, each list from the reference of service authorization.
var (
	// escalating actions let a principal give itself more rights.
	escalating = []string{
		"iam:CreatePolicyVersion", "iam:SetDefaultPolicyVersion", "iam:AttachUserPolicy", "iam:AttachGroupPolicy",
		"iam:AttachRolePolicy",
		"iam:PutUserPolicy", "iam:PutGroupPolicy", "iam:PutRolePolicy", "iam:AddUserToGroup",
		"iam:UpdateAssumeRolePolicy", "iam:CreateAccessKey",
		"iam:CreateLoginProfile", "iam:UpdateLoginProfile", "iam:PassRole", "sts:AssumeRole",
	}
	// exposing actions answer with credentials.
	exposing = []string{
		"iam:CreateAccessKey", "iam:CreateLoginProfile", "iam:UpdateLoginProfile",
		"iam:CreateServiceSpecificCredential",
		"iam:ResetServiceSpecificCredential", "sts:AssumeRole", "sts:GetFederationToken", "ecr:GetAuthorizationToken",
		"rds-db:connect",
		"redshift:GetClusterCredentials", "cognito-identity:GetCredentialsForIdentity",
		"codeartifact:GetAuthorizationToken",
	}
	// reading actions answer with data.
	reading = []string{
		"s3:GetObject", "ssm:GetParameter", "ssm:GetParameters", "ssm:GetParametersByPath",
		"secretsmanager:GetSecretValue",
		"secretsmanager:BatchGetSecretValue", "rds-data:ExecuteStatement", "dynamodb:Scan", "dynamodb:GetItem",
	}
	// permitting actions change who may do what.
	permitting = []string{
		"iam:AttachRolePolicy", "iam:PutRolePolicy", "iam:DeleteRolePolicy", "iam:DetachRolePolicy",
		"iam:CreatePolicyVersion", "iam:CreateRole",
		"iam:PutRolePermissionsBoundary", "iam:DeleteRolePermissionsBoundary", "kms:PutKeyPolicy", "kms:CreateGrant",
		"s3:PutBucketPolicy",
		"secretsmanager:PutResourcePolicy", "secretsmanager:DeleteResourcePolicy", "sns:AddPermission",
		"sqs:AddPermission", "lambda:AddPermission",
	}
	// writing actions change or delete what others depend on.
	writing = []string{
		"rds:DeleteDBInstance", "rds:ModifyDBInstance", "rds:DeleteDBSnapshot", "secretsmanager:DeleteSecret",
		"secretsmanager:PutSecretValue",
		"secretsmanager:UpdateSecret", "kms:ScheduleKeyDeletion", "kms:DisableKey", "s3:PutObject", "s3:DeleteObject",
		"ec2:TerminateInstances",
		"ec2:AuthorizeSecurityGroupIngress", "logs:DeleteLogGroup", "dynamodb:PutItem", "dynamodb:DeleteItem",
		"lambda:UpdateFunctionCode",
	}
	// unscoped actions take no resource, so * is all that can be written.
	unscoped = []string{
		"sts:GetCallerIdentity", "ecr:GetAuthorizationToken", "secretsmanager:ListSecrets",
		"secretsmanager:GetRandomPassword", "ssm:DescribeParameters",
		"kms:ListKeys", "kms:ListAliases", "kms:GenerateRandom", "ec2:Describe*", "rds:Describe*",
		"cloudwatch:PutMetricData", "cloudwatch:ListMetrics",
		"cloudwatch:GetMetricData", "logs:DescribeLogGroups", "xray:PutTraceSegments", "xray:PutTelemetryRecords",
		"tag:GetResources",
		"secretsmanager:BatchGetSecretValue",
	}
)

// everywhere is a rule that actions are given on named resources only.
func everywhere(actions []string, what string) func(*rule.Subject) {
	return statements(func(_ *rule.Subject, statement *iamdoc.Statement) string {
		if !statement.Everywhere() || statement.Conditioned() {
			return ""
		}
		if action, gives := statement.GivesAny(actions); gives {
			return fmt.Sprintf("gives %s on every resource, which %s", action, what)
		}
		return ""
	})
}

func rights() []*rule.Rule {
	one := func(name, summary, why, fix string, severity rule.Severity, ids []string,
		judge func(*rule.Subject),
	) *rule.Rule {
		return &rule.Rule{
			Name: name, Family: family, Summary: summary, Why: why, Fix: fix, Severity: severity, Levels: rule.Always,
			IDs: ids, Types: identity,
			Needs: identityNeeds, Resource: judge,
		}
	}
	return []*rule.Rule{
		one("iam-no-star-action", "A policy names the actions that it gives.",
			"With * or a whole service, whoever takes the role can do what nobody has thought of.",
			"name the actions", rule.Critical,
			[]string{
				"CKV_AWS_62", "CKV_AWS_63", "CKV_AWS_1", "CKV_AWS_49", "CKV2_AWS_40", "AVD-AWS-0057", "CIS-2.15",
			},
			statements(func(_ *rule.Subject, statement *iamdoc.Statement) string {
				if !statement.Allows() {
					return ""
				}
				for _, action := range statement.Action {
					if service, verb, found := strings.Cut(action, ":"); action == "*" || service == "*" || found &&
						verb == "*" {
						return "gives " + action
					}
				}
				if len(statement.NotAction) > 0 {
					return "gives everything but a few actions"
				}
				return ""
			})),
		one("iam-no-star-resource", "A policy names the resources that its actions are for.",
			"Actions on * reach every team's resources.",
			"name resources by ARN", rule.High, []string{"CKV_AWS_355", "CKV_AWS_356"},
			statements(func(_ *rule.Subject, statement *iamdoc.Statement) string {
				if !statement.Allows() || !statement.Everywhere() || statement.Conditioned() {
					return ""
				}
				for _, action := range statement.Action {
					if !slices.ContainsFunc(unscoped, func(known string) bool { return iamdoc.Match(known, action) }) {
						return fmt.Sprintf("gives %s on every resource", action)
					}
				}
				return ""
			})),
		one("iam-no-privilege-escalation",
			"A policy gives no action by which a principal could give itself more rights.",
			"Then the policy says nothing about what the principal may do in the end.",
			"name the roles, users or policies that the action is for", rule.Critical,
			[]string{"CKV_AWS_286", "CKV_AWS_110"},
			everywhere(escalating, "leads to any right")),
		one("iam-no-credentials-exposure", "A policy gives no action that answers with credentials of whomever.",
			"Credentials outlive the session that asked for them.",
			"name the resource that the credentials are for", rule.High, []string{"CKV_AWS_287", "CKV_AWS_107"},
			everywhere(slices.DeleteFunc(slices.Clone(exposing),
				func(action string) bool { return action == "ecr:GetAuthorizationToken" }),
				"answers with credentials")),
		one("iam-no-data-exfiltration", "A policy reads data of named resources only.",
			"Reading everything is taking everything.",
			"name the objects, parameters or secrets", rule.High, []string{"CKV_AWS_288", "CKV_AWS_108"},
			everywhere(slices.DeleteFunc(slices.Clone(reading),
				func(action string) bool { return action == "secretsmanager:BatchGetSecretValue" }),
				"reads everybody's data")),
		one("iam-no-permissions-management", "A policy changes the rights of named resources only.",
			"Who may change rights everywhere has all of them.",
			"name the resources", rule.High, []string{"CKV_AWS_289", "CKV_AWS_109"},
			everywhere(permitting, "changes who may do what")),
		one("iam-no-unconstrained-write", "A policy changes and deletes named resources only.",
			"A mistake, or a stolen session, then stops at those.",
			"name the resources", rule.High, []string{"CKV_AWS_290", "CKV_AWS_111", "CKV_AWS_283"},
			everywhere(writing, "changes everybody's resources")),
		one("iam-pass-role", "A policy passes named roles only.",
			"Who may pass any role to a service has the rights of all of them.",
			"name the role, and the service by iam:PassedToService", rule.High, []string{"AVD-AWS-0342"},
			statements(func(_ *rule.Subject, statement *iamdoc.Statement) string {
				if !statement.Gives("iam:PassRole") {
					return ""
				}
				for _, resource := range statement.Resource {
					if resource == "*" || strings.HasSuffix(resource, ":role/*") {
						return "passes " + resource
					}
				}
				return ""
			})),
		one("iam-kms-decrypt", "A policy decrypts with named keys only.",
			"With every key, encryption no longer keeps anything apart.",
			"name the key by ARN, and the service by kms:ViaService", rule.High, []string{"KMS.1", "KMS.2"},
			statements(func(_ *rule.Subject, statement *iamdoc.Statement) string {
				action, gives := statement.GivesAny([]string{"kms:Decrypt", "kms:ReEncryptFrom"})
				if !gives {
					return ""
				}
				for _, resource := range statement.Resource {
					every := strings.HasSuffix(resource, ":key/*") || strings.HasSuffix(resource, ":alias/*") ||
						strings.HasPrefix(resource, "arn:aws:kms:*")
					if resource == "*" || every {
						return fmt.Sprintf("gives %s with %s", action, resource)
					}
				}
				return ""
			})),
		one("iam-secrets-scoped", "A policy reads named secrets, by their whole ARN.",
			"The secrets that RDS manages begin with rds!db- in every team's account: a pattern opens all of them.",
			"name each secret with its six-character suffix; read it from masterUserSecrets, it cannot be computed",
			rule.Critical,
			[]string{"gap:eso-role-one-secret"},
			statements(func(_ *rule.Subject, statement *iamdoc.Statement) string {
				if !statement.Gives("secretsmanager:GetSecretValue") {
					return ""
				}
				for _, resource := range statement.Resource {
					// Six question marks are the suffix of a secret whose name is whole.
					if whole := strings.TrimSuffix(resource, "-??????"); strings.ContainsAny(whole, "*?") {
						return "reads every secret that fits " + resource
					}
				}
				return ""
			})),
		one("iam-rds-connect-scoped", "A policy logs in to one database as one user.",
			"dbuser:*/* is every user of every instance in the account, the master user too.",
			"name arn:…:dbuser:<DbiResourceId>/<user>", rule.High, []string{"tier:rds-connect-one-user"},
			statements(func(_ *rule.Subject, statement *iamdoc.Statement) string {
				if !statement.Gives("rds-db:connect") {
					return ""
				}
				for _, resource := range statement.Resource {
					if strings.ContainsAny(resource, "*?") {
						return "logs in to " + resource
					}
				}
				return ""
			})),
	}
}

func attachments() []*rule.Rule {
	attaching := []string{roleAttachment, userAttachment, groupAttachment, policyAttachment}
	return []*rule.Rule{
		{
			Name: "iam-no-admin-policy", Family: family,
			Summary: "Nobody gets the managed policies that give everything.",
			Why:     "AdministratorAccess on a role makes every bug of its holder a bug of the account.",
			Fix:     "attach a policy that names actions and resources", Severity: rule.Critical, Levels: rule.Always,
			IDs: []string{"CKV_AWS_274", "CKV_AWS_275", "CKV2_AWS_56"}, Types: append([]string{role}, attaching...),
			Needs: []string{"policyArn", "managedPolicyArns"},
			Resource: func(s *rule.Subject) {
				check := func(value rule.Value) {
					arn, ok := value.Text("")
					name := arn[strings.LastIndex(arn, "/")+1:]
					if ok && slices.Contains([]string{"AdministratorAccess", "IAMFullAccess", "PowerUserAccess"},
						name) {
						value.Fail("gives everything")
					}
				}
				check(s.Get("policyArn"))
				for _, item := range s.Get("managedPolicyArns").Items() {
					check(item)
				}
			},
		},
		{
			Name: "iam-no-user-policies", Family: family,
			Summary: "Rights belong to roles and groups, and not to single users.",
			Why:     "Rights of a person are forgotten when the person changes the team.",
			Fix:     "attach the policy to a role, or to a group", Severity: rule.Medium, Levels: rule.Always,
			IDs: []string{"CKV_AWS_40", "AVD-AWS-0143"}, Types: []string{userPolicy, userAttachment, policyAttachment},
			Needs: []string{"users"},
			Resource: func(s *rule.Subject) {
				if s.Type() != policyAttachment {
					s.Fail("gives rights to a user")
					return
				}
				if users := s.Get("users"); users.Known() && len(users.Items()) > 0 {
					users.Fail("gives rights to users")
				}
			},
		},
		{
			Name: "secret-policy-principals", Family: family,
			Summary: "The policy of a secret names who may read it.",
			Why:     "A secret that everybody may read is none.",
			Fix:     "name principals in place of *", Severity: rule.Critical, Levels: rule.Always,
			IDs: []string{"tier:secret-policy-principals"}, Types: []string{secretPolicy}, Needs: []string{"policy"},
			Resource: func(s *rule.Subject) {
				values, parsed := documents(s, "policy")
				for i, document := range parsed {
					for j := range document.Statements {
						statement := &document.Statements[j]
						if statement.Allows() && statement.Principal.Everybody() && !statement.Conditioned() {
							values[i].Fail("%s is for everybody", statement.Name(j))
						}
					}
				}
			},
		},
	}
}
