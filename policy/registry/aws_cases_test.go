package registry_test

import (
	"encoding/json"

	"dbtier/policy/ruletest"
)

const (
	clusterType    = "aws:rds/cluster:Cluster"
	snapshotType   = "aws:rds/snapshot:Snapshot"
	secretType     = "aws:secretsmanager/secret:Secret"
	anyKey         = "arn:aws:kms:ap-northeast-2:111122223333:key/5f2d1c3e-0000-4000-8000-1234567890ab"
	issuer         = "oidc.eks.ap-northeast-2.amazonaws.com/id/0A1B2C3D4E5F60718293A4B5C6D7E8F9"
	subjectOfRole  = "system:serviceaccount:myshop:myshop-secrets"
	groupRuleType  = "aws:ec2/securityGroupRule:SecurityGroupRule"
	ingressType    = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
	egressType     = "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule"
	attachmentType = "aws:iam/rolePolicyAttachment:RolePolicyAttachment"
)

func rdsExamples() []example {
	instance := func(name string, breaks []ruletest.Change, unknown ...path) example {
		return example{rule: name, of: "database-instance", breaks: breaks, unknown: unknown}
	}
	one := func(value any, at ...any) []ruletest.Change { return []ruletest.Change{set(value, at...)} }
	parameters := func(pairs ...string) any {
		var list []any
		for i := 0; i < len(pairs); i += 2 {
			list = append(list, map[string]any{"name": pairs[i], "value": pairs[i+1]})
		}
		return list
	}
	replica := set("myshop-prod", "replicateSourceDb")
	return []example{
		{
			rule: "aws-tags", of: "database-instance", breaks: []ruletest.Change{drop("tags"), drop("tags", "service")},
			unknown: []path{{"tags"}},
		},
		{
			rule: "rds-managed-password", of: "database-instance",
			breaks: []ruletest.Change{
				set("hunter22", "password"), set("hunter22", "passwordWo"), set(false, "manageMasterUserPassword"),
				drop("manageMasterUserPassword"),
				set(ruletest.Secret{Value: "hunter22"}, "password"),
			},
			keeps:   []ruletest.Change{replica},
			unknown: []path{{"password"}, {"manageMasterUserPassword"}, {"replicateSourceDb"}},
		},
		{
			rule: "rds-managed-password", literal: made(clusterType, map[string]any{"manageMasterUserPassword": true}),
			breaks:  one("hunter22", "masterPassword"),
			keeps:   []ruletest.Change{set("global", "globalClusterIdentifier")},
			unknown: []path{{"globalClusterIdentifier"}},
		},
		instance("rds-master-secret-cmk", []ruletest.Change{drop("masterUserSecretKmsKeyId")},
			path{"masterUserSecretKmsKeyId"}, path{"manageMasterUserPassword"}),
		instance("rds-admin-name", one("postgres", "username"), path{"username"}),
		instance("rds-iam-authentication", one(false, "iamDatabaseAuthenticationEnabled"),
			path{"iamDatabaseAuthenticationEnabled"}),
		instance("rds-storage-encrypted", append(one(false, "storageEncrypted"), drop("storageEncrypted")),
			path{"storageEncrypted"}),
		instance("rds-storage-cmk", []ruletest.Change{drop("kmsKeyId")}, path{"kmsKeyId"}),
		{
			rule: "rds-storage-cmk", of: "database-instance", config: map[string]any{"kmsKeyId": anyKey},
			breaks:  one("arn:aws:kms:ap-northeast-2:111122223333:key/another", "kmsKeyId"),
			unknown: []path{{"kmsKeyId"}},
		},
		instance("rds-performance-insights-cmk", []ruletest.Change{drop("performanceInsightsKmsKeyId")},
			path{"performanceInsightsKmsKeyId"}),
		{
			rule: "rds-force-ssl", of: "database-parameter-group",
			breaks: []ruletest.Change{
				set(parameters("rds.force_ssl", "0"), "parameters"),
				set("0", "parameters", 2, "value"), set(14, "x"),
			}[:2],
			keeps:   []ruletest.Change{drop("parameters"), set("mysql8.0", "family")},
			unknown: []path{{"parameters"}, {"family"}, {"parameters", 2, "value"}, {"parameters", 0, "name"}},
		},
		{
			rule: "rds-force-ssl", literal: made("aws:rds/parameterGroup:ParameterGroup",
				map[string]any{"family": "postgres14", "parameters": parameters("rds.force_ssl", "1")}),
			breaks: []ruletest.Change{drop("parameters")},
		},
		{
			rule: "rds-force-ssl", literal: made("aws:rds/clusterParameterGroup:ClusterParameterGroup",
				map[string]any{"family": "aurora-postgresql16", "parameters": parameters("rds.force_ssl", "1")}),
			breaks: []ruletest.Change{drop("parameters")},
			keeps:  []ruletest.Change{set("aurora-postgresql17", "family"), set("postgres15", "family")},
		},
		instance("rds-ca-certificate", one("rds-ca-2019", "caCertIdentifier"), path{"caCertIdentifier"}),
		instance("rds-not-public", one(true, "publiclyAccessible"), path{"publiclyAccessible"}),
		{
			rule: "rds-in-vpc", of: "database-instance",
			breaks: []ruletest.Change{
				drop("dbSubnetGroupName"), drop("vpcSecurityGroupIds"),
				set([]any{}, "vpcSecurityGroupIds"),
			},
			unknown: []path{{"dbSubnetGroupName"}, {"vpcSecurityGroupIds"}},
		},
		{
			rule: "rds-backup-retention", of: "database-instance",
			breaks: []ruletest.Change{
				set(0, "backupRetentionPeriod"), set(6, "backupRetentionPeriod"),
				drop("backupRetentionPeriod"),
			},
			keeps: []ruletest.Change{set(7, "backupRetentionPeriod")}, unknown: []path{{"backupRetentionPeriod"}},
		},
		{
			rule: "rds-backup-retention", literal: made("aws:rds/instance:Instance",
				map[string]any{"replicateSourceDb": "a", "backupRetentionPeriod": 7}),
			config: map[string]any{"checkReadReplicas": true}, breaks: one(0, "backupRetentionPeriod"),
		},
		{
			rule: "rds-windows", of: "database-instance",
			breaks: []ruletest.Change{
				set("03:30-04:30", "backupWindow"), set("03:00-03:20", "backupWindow"), set("3am", "backupWindow"),
				drop("backupWindow"), drop("maintenanceWindow"),
				set("Mon:03:30-Mon:04:30", "maintenanceWindow"), set("Sun:23:30-Mon:03:01", "maintenanceWindow"),
				set("soon", "maintenanceWindow"),
			},
			keeps:   []ruletest.Change{set("23:30-00:30", "backupWindow")},
			unknown: []path{{"backupWindow"}, {"maintenanceWindow"}},
		},
		{
			rule: "rds-windows", of: "database-instance", config: map[string]any{"backupWindow": "03:00-04:00"},
			breaks: one("02:00-03:00", "backupWindow"),
		},
		instance("rds-multi-az", one(false, "multiAz"), path{"multiAz"}),
		instance("rds-deletion-protection", one(false, "deletionProtection"), path{"deletionProtection"}),
		{
			rule: "rds-final-snapshot", of: "database-instance",
			breaks:  []ruletest.Change{set(true, "skipFinalSnapshot"), drop("finalSnapshotIdentifier")},
			unknown: []path{{"skipFinalSnapshot"}, {"finalSnapshotIdentifier"}},
		},
		instance("rds-keep-automated-backups", []ruletest.Change{
			set(true, "deleteAutomatedBackups"), drop("deleteAutomatedBackups"),
		}, path{"deleteAutomatedBackups"}),
		instance("rds-copy-tags", one(false, "copyTagsToSnapshot"), path{"copyTagsToSnapshot"}),
		instance("rds-no-restart-in-hours", one(true, "applyImmediately"), path{"applyImmediately"}),
		instance("rds-performance-insights", one(false, "performanceInsightsEnabled"),
			path{"performanceInsightsEnabled"}),
		instance("rds-enhanced-monitoring", []ruletest.Change{
			set(0, "monitoringInterval"), set(120, "monitoringInterval"), drop("monitoringRoleArn"),
		},
			path{"monitoringInterval"}, path{"monitoringRoleArn"}),
		instance("rds-log-exports", []ruletest.Change{
			set([]any{"upgrade"}, "enabledCloudwatchLogsExports"), drop("enabledCloudwatchLogsExports"),
		}, path{"enabledCloudwatchLogsExports"}),
		{
			rule: "rds-query-logging", of: "database-parameter-group",
			breaks:  []ruletest.Change{set("-1", "parameters", 1, "value"), drop("parameters")},
			unknown: []path{{"parameters"}},
		},
		{
			rule: "rds-no-password-logging", of: "database-parameter-group",
			breaks: []ruletest.Change{
				set(parameters("log_statement", "ddl"), "parameters"),
				set(parameters("log_statement", "all"), "parameters"),
			},
			keeps:   []ruletest.Change{set(parameters("log_statement", "none"), "parameters")},
			unknown: []path{{"parameters"}},
		},
		{
			rule: "log-group-retention", of: "database-log-postgresql",
			breaks:  []ruletest.Change{drop("retentionInDays"), set(30, "retentionInDays")},
			unknown: []path{{"retentionInDays"}},
		},
		{
			rule: "log-group-cmk", of: "database-log-postgresql", breaks: []ruletest.Change{drop("kmsKeyId")},
			unknown: []path{{"kmsKeyId"}, {"name"}},
		},
		{
			rule: "log-group-cmk-others", literal: made("aws:cloudwatch/logGroup:LogGroup",
				map[string]any{"name": "/shop", "kmsKeyId": anyKey}),
			breaks: []ruletest.Change{drop("kmsKeyId")}, unknown: []path{{"kmsKeyId"}, {"name"}},
		},
		{
			rule: "rds-engine-version", of: "database-instance",
			breaks: []ruletest.Change{
				set("16.3", "engineVersion"), set("13.2", "engineVersion"),
				set("9.6.24", "engineVersion"),
			},
			keeps: []ruletest.Change{
				set("16.11", "engineVersion"), set("17", "engineVersion"), drop("engineVersion"),
				set("mysql", "engine"),
			},
			unknown: []path{{"engineVersion"}, {"engine"}},
		},
		instance("rds-auto-minor-version", one(false, "autoMinorVersionUpgrade"), path{"autoMinorVersionUpgrade"}),
		instance("rds-extended-support", []ruletest.Change{
			drop("engineLifecycleSupport"), set("open-source-rds-extended-support", "engineLifecycleSupport"),
		}, path{"engineLifecycleSupport"}),
		instance("rds-own-parameter-group", []ruletest.Change{
			drop("parameterGroupName"), set("default.postgres16", "parameterGroupName"),
		}, path{"parameterGroupName"}),
		{
			rule: "rds-snapshot-private", literal: made(snapshotType,
				map[string]any{"sharedAccounts": []any{"111122223333"}}),
			breaks: one([]any{"all"}, "sharedAccounts"), keeps: []ruletest.Change{drop("sharedAccounts")},
			unknown: []path{{"sharedAccounts"}},
		},
		{
			rule: "rds-copies-cmk", literal: made("aws:rds/snapshotCopy:SnapshotCopy",
				map[string]any{"kmsKeyId": anyKey}),
			breaks: []ruletest.Change{drop("kmsKeyId")}, unknown: []path{{"kmsKeyId"}},
		},
		{
			rule: "rds-event-subscription-on", literal: made("aws:rds/eventSubscription:EventSubscription",
				map[string]any{}),
			breaks: one(false, "enabled"), unknown: []path{{"enabled"}},
		},
		{
			rule: "rds-proxy-tls", literal: made("aws:rds/proxy:Proxy", map[string]any{"requireTls": true}),
			breaks: []ruletest.Change{drop("requireTls"), set(false, "requireTls")}, unknown: []path{{"requireTls"}},
		},
		{
			rule: "rds-proxy-no-debug-logging", literal: made("aws:rds/proxy:Proxy", map[string]any{}),
			breaks:  one(true, "debugLogging"),
			unknown: []path{{"debugLogging"}},
		},
	}
}

func kmsExamples() []example {
	return []example{
		{
			rule: "kms-rotation", of: "database-key",
			breaks:  []ruletest.Change{set(false, "enableKeyRotation"), drop("enableKeyRotation")},
			unknown: []path{{"enableKeyRotation"}},
		},
		{
			rule: "kms-rotation", literal: made("aws:kms/key:Key", map[string]any{"customerMasterKeySpec": "RSA_2048"}),
			breaks: []ruletest.Change{drop("customerMasterKeySpec")}, unknown: []path{{"customerMasterKeySpec"}},
		},
		{
			rule: "kms-enabled", of: "database-key", breaks: []ruletest.Change{set(false, "isEnabled")},
			unknown: []path{{"isEnabled"}},
		},
		{
			rule: "kms-policy-principals", of: "database-key",
			breaks: []ruletest.Change{
				set(document(map[string]any{"Effect": "Allow", "Principal": "*", "Action": "kms:*", "Resource": "*"}),
					"policy"),
				set(document(map[string]any{
					"Effect": "Allow", "Principal": map[string]any{"AWS": "*"},
					"Action": "kms:Decrypt",
				}), "policy"),
				set(document(map[string]any{
					"Effect": "Allow", "NotPrincipal": map[string]any{"AWS": "1"},
					"Action": "kms:Decrypt",
				}), "policy"),
				set("not json", "policy"),
			},
			keeps: []ruletest.Change{
				set(document(map[string]any{
					"Effect": "Allow", "Principal": "*", "Action": "kms:Decrypt",
					"Condition": map[string]any{"StringEquals": map[string]any{"kms:CallerAccount": "111122223333"}},
				}), "policy"),
				set(document(map[string]any{"Effect": "Deny", "Principal": "*", "Action": "kms:Decrypt"}), "policy"),
			},
			unknown: []path{{"policy"}},
		},
		{
			rule: "kms-lockout-check", of: "database-key",
			breaks:  []ruletest.Change{set(true, "bypassPolicyLockoutSafetyCheck")},
			unknown: []path{{"bypassPolicyLockoutSafetyCheck"}},
		},
		{
			rule: "kms-description", of: "database-key",
			breaks: []ruletest.Change{drop("description"), set(" ", "description")}, unknown: []path{{"description"}},
		},
		{
			rule: "kms-deletion-window", of: "database-key", breaks: []ruletest.Change{set(7, "deletionWindowInDays")},
			keeps: []ruletest.Change{drop("deletionWindowInDays")}, unknown: []path{{"deletionWindowInDays"}},
		},
	}
}

func document(statements ...map[string]any) string {
	text, err := json.Marshal(map[string]any{"Version": "2012-10-17", "Statement": statements})
	if err != nil {
		panic(err)
	}
	return string(text)
}

func allow(action, resource any) string {
	return document(map[string]any{"Effect": "Allow", "Action": action, "Resource": resource})
}

// conditioned grants an action on every resource under a condition.
func conditioned(action, operator, key, value string) string {
	return document(map[string]any{
		"Effect": "Allow", "Action": action, "Resource": "*",
		"Condition": map[string]any{operator: map[string]any{key: value}},
	})
}

func trustOf(principal, condition map[string]any) string {
	statement := map[string]any{"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}
	if principal["Federated"] != nil {
		statement["Action"] = "sts:AssumeRoleWithWebIdentity"
	}
	if condition != nil {
		statement["Condition"] = condition
	}
	return document(statement)
}

func iamExamples() []example {
	rights := func(name string, breaks ...string) example {
		e := example{rule: name, of: "secrets-role-policy", unknown: []path{{"policy"}}}
		for _, text := range breaks {
			e.breaks = append(e.breaks, set(text, "policy"))
		}
		return e
	}
	provider := "arn:aws:iam::123456789012:oidc-provider/" + issuer
	equals := func(claims map[string]any) map[string]any { return map[string]any{"StringEquals": claims} }
	federated := map[string]any{"Federated": provider}
	github := "arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com"
	githubTrust := func(subject string) string {
		return trustOf(map[string]any{"Federated": github}, map[string]any{
			"StringEquals": map[string]any{"token.actions.githubusercontent.com:aud": "sts.amazonaws.com"},
			"StringLike":   map[string]any{"token.actions.githubusercontent.com:sub": subject},
		})
	}
	secretArn := "arn:aws:secretsmanager:ap-northeast-2:111122223333:secret:"
	return []example{
		{
			rule: "iam-trust-principals", of: "database-monitoring-role",
			breaks: []ruletest.Change{
				set(trustOf(map[string]any{"AWS": "*"}, nil), "assumeRolePolicy"),
				set(trustOf(map[string]any{"Service": "*"}, nil), "assumeRolePolicy"),
				set(document(map[string]any{"Effect": "Allow", "Principal": "*", "Action": "sts:AssumeRole"}),
					"assumeRolePolicy"),
				set(document(map[string]any{
					"Effect": "Allow", "NotPrincipal": map[string]any{"AWS": "1"},
					"Action": "sts:AssumeRole",
				}), "assumeRolePolicy"),
			},
			unknown: []path{{"assumeRolePolicy"}},
		},
		{
			rule: "iam-trust-account", of: "database-monitoring-role",
			breaks: []ruletest.Change{
				set(trustOf(map[string]any{"AWS": "arn:aws:iam::444455556666:root"}, nil), "assumeRolePolicy"),
				set(trustOf(map[string]any{"AWS": []any{"444455556666"}}, nil), "assumeRolePolicy"),
				set(trustOf(map[string]any{"AWS": "arn:aws-cn:iam::444455556666:root"}, map[string]any{
					"Bool": map[string]any{"aws:SecureTransport": "true"},
				}), "assumeRolePolicy"),
			},
			keeps: []ruletest.Change{
				set(trustOf(map[string]any{"AWS": "arn:aws:iam::444455556666:role/deploy"}, nil), "assumeRolePolicy"),
				set(trustOf(map[string]any{"AWS": "444455556666"}, map[string]any{
					"StringEquals": map[string]any{"sts:ExternalId": "a"},
				}), "assumeRolePolicy"),
			},
			unknown: []path{{"assumeRolePolicy"}},
		},
		{
			rule: "iam-irsa-trust", of: "secrets-role-role",
			breaks: []ruletest.Change{
				set(trustOf(federated, nil), "assumeRolePolicy"),
				set(trustOf(federated, equals(map[string]any{issuer + ":sub": subjectOfRole})), "assumeRolePolicy"),
				set(trustOf(federated, equals(map[string]any{issuer + ":aud": "sts.amazonaws.com"})),
					"assumeRolePolicy"),
				set(trustOf(federated, map[string]any{"StringLike": map[string]any{
					issuer + ":sub": "system:serviceaccount:myshop:*", issuer + ":aud": "sts.amazonaws.com",
				}}), "assumeRolePolicy"),
				set(trustOf(federated, map[string]any{"StringEqualsIfExists": map[string]any{
					issuer + ":sub": subjectOfRole, issuer + ":aud": "sts.amazonaws.com",
				}}), "assumeRolePolicy"),
				set(trustOf(federated, equals(map[string]any{
					"other:sub": subjectOfRole, "other:aud": "sts.amazonaws.com",
				})), "assumeRolePolicy"),
				set(githubTrust("repo:*"), "assumeRolePolicy"),
			},
			keeps:   []ruletest.Change{set(githubTrust("repo:myorg/myrepo:*"), "assumeRolePolicy")},
			unknown: []path{{"assumeRolePolicy"}},
		},
		{
			rule: "iam-service-trust-source", of: "database-monitoring-role",
			breaks: []ruletest.Change{set(trustOf(map[string]any{"Service": "monitoring.rds.amazonaws.com"}, nil),
				"assumeRolePolicy")},
			keeps: []ruletest.Change{set(trustOf(map[string]any{"Service": "ec2.amazonaws.com"}, nil),
				"assumeRolePolicy")}, unknown: []path{{"assumeRolePolicy"}},
		},
		{
			rule: "iam-role-description", of: "secrets-role-role", breaks: []ruletest.Change{drop("description")},
			unknown: []path{{"description"}},
		},
		rights("iam-no-star-action", allow("*", "*"), allow("secretsmanager:*", secretArn+"a"),
			document(map[string]any{"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"})),
		{
			rule: "iam-no-star-resource", of: "secrets-role-policy",
			breaks: []ruletest.Change{
				set(allow("rds:ModifyDBInstance", "*"), "policy"), set(allow("rds:Describe*", "*"), "policy"),
				set(allow("s3:Get*", "*"), "policy"), set(allow("s3:NoSuchAction", "*"), "policy"),
				set(allow("rds:ModifyDBInstance", "arn:aws:*"), "policy"),
				set(conditioned("rds:ModifyDBInstance", "Bool", "aws:SecureTransport", "true"), "policy"),
				set(conditioned("rds:ModifyDBInstance", "StringLike", "aws:RequestTag/a", "*"), "policy"),
				set(conditioned("rds:ModifyDBInstance", "StringEqualsIfExists", "aws:ResourceTag/a", "b"), "policy"),
				set(conditioned("rds:ModifyDBInstance", "StringNotEquals", "aws:ResourceTag/a", "b"), "policy"),
				set(conditioned("rds:ModifyDBInstance", "ForAllValues:StringEquals", "aws:TagKeys", "b"), "policy"),
				set(conditioned("rds:ModifyDBInstance", "IpAddress", "aws:SourceIp", "0.0.0.0/1"), "policy"),
				set(conditioned("rds:ModifyDBInstance", "StringEquals", "aws:PrincipalOrgID", "o-1"), "policy"),
			},
			keeps: []ruletest.Change{
				set(allow([]string{
					"sts:GetCallerIdentity", "ec2:DescribeVpcs", "secretsmanager:ListSecrets", "s3:ListAllMyBuckets",
					"eks:ListClusters", "route53:ListHostedZones", "tag:Get*",
				}, "*"), "policy"),
				set(conditioned("rds:ModifyDBInstance", "StringEquals", "aws:ResourceTag/a", "b"), "policy"),
				set(conditioned("rds:ModifyDBInstance", "IpAddress", "aws:SourceIp", "192.0.2.0/24"), "policy"),
			}, unknown: []path{{"policy"}},
		},
		rights("iam-no-privilege-escalation", allow("iam:AttachRolePolicy", "*"), allow("iam:*", "*"),
			allow("sts:Assume*", "*"), allow("lambda:UpdateFunctionCode", "*"),
			allow("iam:PutRolePermissionsBoundary", "*"),
			document(map[string]any{"Effect": "Allow", "NotAction": "s3:*", "Resource": "*"})),
		rights("iam-no-credentials-exposure", allow("iam:CreateAccessKey", "*"), allow("rds-db:connect", "*"),
			allow("redshift:GetClusterCredentialsWithIAM", "*")),
		rights("iam-no-data-exfiltration", allow("s3:GetObject", "*"), allow("secretsmanager:Get*", "*")),
		rights("iam-no-permissions-management", allow("kms:PutKeyPolicy", "*"), allow("ecr:SetRepositoryPolicy", "*"),
			allow("lambda:Add*", "*")),
		rights("iam-no-unconstrained-write", allow("secretsmanager:DeleteSecret", "*"),
			allow("dynamodb:UpdateItem", "*"), allow("elasticache:Delete*", "*")),
		rights("iam-pass-role", document(map[string]any{
			"Effect": "Allow", "Action": "iam:PassRole", "NotResource": "arn:aws:iam::123456789012:role/a",
		}), allow("iam:PassRole", "*"), allow("iam:PassRole", "arn:aws:iam::123456789012:role/*")),
		rights("iam-kms-decrypt", allow("kms:Decrypt", "*"),
			allow("kms:*", "arn:aws:kms:ap-northeast-2:111122223333:key/*")),
		{
			rule: "iam-secrets-scoped", of: "secrets-role-policy",
			breaks: []ruletest.Change{
				set(allow("secretsmanager:GetSecretValue", secretArn+"rds!db-*"), "policy"),
				set(allow("secretsmanager:*", secretArn+"*"), "policy"),
				set(allow("secretsmanager:GetSecretValue", "*"), "policy"),
			},
			keeps: []ruletest.Change{set(allow("secretsmanager:GetSecretValue", secretArn+"myshop-??????"),
				"policy")},
			unknown: []path{{"policy"}},
		},
		rights("iam-rds-connect-scoped", allow("rds-db:connect",
			"arn:aws:rds-db:ap-northeast-2:111122223333:dbuser:*/*")),
		{
			rule: "iam-no-admin-policy", of: "database-monitoring-policy",
			breaks: []ruletest.Change{
				set("arn:aws:iam::aws:policy/AdministratorAccess", "policyArn"),
				set("arn:aws:iam::aws:policy/IAMFullAccess", "policyArn"),
			},
			unknown: []path{{"policyArn"}},
		},
		{
			rule: "iam-no-admin-policy", literal: made("aws:iam/role:Role",
				map[string]any{"managedPolicyArns": []any{"arn:aws:iam::aws:policy/ReadOnlyAccess"}}),
			breaks: []ruletest.Change{set("arn:aws:iam::aws:policy/AdministratorAccess", "managedPolicyArns", 0)},
		},
		{
			rule: "iam-no-user-policies", literal: made("aws:iam/policyAttachment:PolicyAttachment",
				map[string]any{"roles": []any{"a"}}),
			breaks: []ruletest.Change{set([]any{"person"}, "users")}, unknown: []path{{"users"}},
		},
		{
			rule: "secret-policy-principals", literal: made("aws:secretsmanager/secretPolicy:SecretPolicy",
				map[string]any{"policy": document(
					map[string]any{"Effect": "Allow", "Principal": map[string]any{
						"AWS": "arn:aws:iam::111122223333:role/a",
					}, "Action": "secretsmanager:GetSecretValue", "Resource": "*"})}),
			breaks: []ruletest.Change{
				set(document(map[string]any{
					"Effect": "Allow", "Principal": "*",
					"Action": "secretsmanager:GetSecretValue", "Resource": "*",
				}), "policy"),
			},
			unknown: []path{{"policy"}},
		},
		{
			rule: "secret-policy-principals", literal: made("aws:secretsmanager/secret:Secret", map[string]any{}),
			breaks: []ruletest.Change{set(document(map[string]any{
				"Effect": "Allow", "Principal": "*", "Action": "secretsmanager:GetSecretValue", "Resource": "*",
				"Condition": map[string]any{"Bool": map[string]any{"aws:SecureTransport": "true"}},
			}), "policy")},
			keeps: []ruletest.Change{set(document(map[string]any{
				"Effect": "Allow", "Principal": "*", "Action": "secretsmanager:GetSecretValue", "Resource": "*",
				"Condition": map[string]any{"StringEquals": map[string]any{"aws:PrincipalOrgID": "o-1"}},
			}), "policy")},
		},
	}
}

func networkExamples() []example {
	rule := func(direction string) map[string]any {
		return map[string]any{
			"type": direction, "fromPort": 5432, "toPort": 5432, "protocol": "tcp", "description": "PostgreSQL",
			"cidrBlocks": []any{"10.0.0.0/24"},
		}
	}
	everybody := []any{"0.0.0.0/0"}
	return []example{
		{
			rule: "network-no-public-ingress", of: "database-security-group",
			breaks: []ruletest.Change{
				set(everybody, "ingress", 0, "cidrBlocks"),
				set([]any{"::/0"}, "ingress", 0, "ipv6CidrBlocks"),
				set([]any{"0::0/0"}, "ingress", 0, "ipv6CidrBlocks"),
				set([]any{"0.0.0.0/1", "128.0.0.0/1"}, "ingress", 0, "cidrBlocks"),
			},
			unknown: []path{{"ingress"}, {"ingress", 0, "cidrBlocks"}},
		},
		{
			rule: "network-no-public-ingress", literal: made(groupRuleType, rule("ingress")),
			breaks: []ruletest.Change{set(everybody, "cidrBlocks")},
			keeps:  []ruletest.Change{set("egress", "type")}, unknown: []path{{"cidrBlocks"}, {"type"}},
		},
		{
			rule: "network-no-public-ingress", literal: made(ingressType, map[string]any{"cidrIpv4": "10.0.0.0/24"}),
			breaks: []ruletest.Change{set("0.0.0.0/0", "cidrIpv4"), set("::/0", "cidrIpv6")},
		},
		{
			rule: "network-no-public-egress", of: "database-security-group",
			breaks:  []ruletest.Change{set([]any{map[string]any{"cidrBlocks": everybody, "protocol": "-1"}}, "egress")},
			unknown: []path{{"egress"}},
		},
		{
			rule: "network-no-public-egress", literal: made(egressType, map[string]any{"cidrIpv4": "10.0.0.0/24"}),
			breaks: []ruletest.Change{set("0.0.0.0/0", "cidrIpv4")},
		},
		{
			rule: "network-group-description", of: "database-security-group",
			breaks:  []ruletest.Change{drop("description"), set("Managed by Pulumi", "description")},
			unknown: []path{{"description"}},
		},
		{
			rule: "network-rule-description", of: "database-security-group",
			breaks:  []ruletest.Change{drop("ingress", 0, "description"), set("", "ingress", 0, "description")},
			unknown: []path{{"ingress"}, {"ingress", 0, "description"}},
		},
		{
			rule: "network-rule-description", literal: made(groupRuleType, rule("ingress")),
			breaks: []ruletest.Change{drop("description")},
		},
		{
			rule: "network-database-port", of: "database-security-group",
			breaks: []ruletest.Change{
				set([]any{"10.0.0.0/8"}, "ingress", 0, "cidrBlocks"),
				set([]any{map[string]any{
					"fromPort": 0, "toPort": 0, "protocol": "-1",
					"cidrBlocks": []any{"10.0.0.0/8"},
				}}, "ingress"),
				set([]any{"2001:db8::/32"}, "ingress", 0, "ipv6CidrBlocks"),
			},
			keeps: []ruletest.Change{
				set([]any{"10.0.3.0/24"}, "ingress", 0, "cidrBlocks"),
				set([]any{map[string]any{
					"fromPort": 443, "toPort": 443, "protocol": "tcp",
					"cidrBlocks": []any{"10.0.0.0/8"},
				}}, "ingress"),
			},
			unknown: []path{{"ingress", 0, "fromPort"}, {"ingress"}},
		},
	}
}

func secretsExamples() []example {
	direct := func(text string) ruletest.Change {
		return set(text, "spec", "target", "template", "data", "DATABASE_URL")
	}
	return []example{
		{
			rule: "secret-cmk", literal: made(secretType, map[string]any{"kmsKeyId": anyKey}),
			breaks:  []ruletest.Change{drop("kmsKeyId"), set("alias/aws/secretsmanager", "kmsKeyId")},
			unknown: []path{{"kmsKeyId"}},
		},
		{
			rule: "secret-cmk", literal: made("aws:ssm/parameter:Parameter",
				map[string]any{"type": "SecureString", "keyId": anyKey}),
			breaks: []ruletest.Change{drop("keyId")}, keeps: []ruletest.Change{set("String", "type")},
			unknown: []path{{"keyId"}, {"type"}},
		},
		{
			rule: "secret-description", literal: made(secretType, map[string]any{"description": "Login of orders"}),
			breaks: []ruletest.Change{drop("description")}, unknown: []path{{"description"}},
		},
		{
			rule: "secret-rotation-schedule", literal: made("aws:secretsmanager/secretRotation:SecretRotation",
				map[string]any{"rotationRules": map[string]any{"automaticallyAfterDays": 30}}),
			breaks: []ruletest.Change{
				set(map[string]any{}, "rotationRules"), set(91, "rotationRules", "automaticallyAfterDays"),
				set(map[string]any{"scheduleExpression": "rate(100 days)"}, "rotationRules"),
			},
			keeps: []ruletest.Change{
				set(map[string]any{"scheduleExpression": "rate(4 hours)"}, "rotationRules"),
				set(map[string]any{"scheduleExpression": "cron(0 4 ? * MON *)"}, "rotationRules"),
			},
			unknown: []path{{"rotationRules"}, {"rotationRules", "automaticallyAfterDays"}},
		},
		{
			rule: "secret-value-elsewhere", literal: made("aws:secretsmanager/secretVersion:SecretVersion",
				map[string]any{"secretId": "a"}),
			breaks:  []ruletest.Change{set(ruletest.Secret{Value: "hunter22"}, "secretString")},
			unknown: []path{{"secretString"}},
		},
		{
			rule: "external-secret-refresh", of: "secrets-direct",
			breaks: []ruletest.Change{
				set("24h", "spec", "refreshInterval"), drop("spec", "refreshInterval"),
				set("0", "spec", "refreshInterval"), set("often", "spec", "refreshInterval"),
			},
			keeps:   []ruletest.Change{set("CreatedOnce", "spec", "refreshPolicy")},
			unknown: []path{{"spec", "refreshInterval"}, {"spec"}},
		},
		{
			rule: "external-secret-refresh", of: "secrets-direct", config: map[string]any{"maximum": "2m"},
			breaks: []ruletest.Change{set("3m", "spec", "refreshInterval")},
		},
		{
			rule: "external-secret-generated-once", of: "pool-login",
			breaks:  []ruletest.Change{drop("spec", "refreshPolicy"), set("Periodic", "spec", "refreshPolicy")},
			unknown: []path{{"spec", "refreshPolicy"}},
		},
		{
			rule: "external-secret-awaited", of: "secrets-direct",
			breaks: []ruletest.Change{
				drop("metadata", "annotations"),
				set("true", "metadata", "annotations", "pulumi.com/skipAwait"),
			},
			unknown: []path{{"metadata", "annotations"}},
		},
		{
			rule: "external-secret-url-encoded", of: "secrets-direct",
			breaks: []ruletest.Change{
				direct("postgresql://{{ .username }}:{{ .password }}@db.example.com/x?sslmode=verify-full"),
				direct("postgresql://{{ .username | urlquery }}:{{ .password }}@db.example.com/x?sslmode=verify-full"),
			},
			keeps: []ruletest.Change{direct("no URL {{ .password }}")},
			unknown: []path{
				{"spec", "target", "template", "data"},
				{"spec", "target", "template", "data", "DATABASE_URL"},
			},
		},
		{
			rule: "external-secret-verifies-database", of: "secrets-direct",
			breaks: []ruletest.Change{
				direct("postgresql://{{ .username | urlquery }}:{{ .password | urlquery " +
					"}}@db.example.com:5432/x?sslmode=require"),
				direct("postgresql://{{ .username | urlquery }}:{{ .password | urlquery }}@db.example.com/x"),
				set("require", "spec", "target", "template", "data", "PGSSLMODE"),
			},
			keeps: []ruletest.Change{
				direct("postgresql://{{ .username | urlquery }}:{{ .password | urlquery " +
					"}}@pgbouncer.myshop.svc:5432/x?sslmode=disable"),
			},
			unknown: []path{{"spec", "target", "template", "data", "DATABASE_URL"}},
		},
		{
			rule: "external-secret-no-literal", of: "secrets-direct",
			breaks: []ruletest.Change{
				set("hunter22hunter22", "spec", "target", "template", "data", "PGPASSWORD"),
				direct("postgresql://myshop:hunter22@db.example.com/x?sslmode=verify-full"),
			},
			unknown: []path{{"spec", "target", "template", "data", "PGPASSWORD"}},
		},
		{
			rule: "secret-store-scoped", of: "secrets-store",
			breaks: []ruletest.Change{
				drop("spec", "conditions"), set([]any{}, "spec", "conditions"),
				set([]any{map[string]any{"namespaceSelector": map[string]any{}}}, "spec", "conditions"),
				set([]any{map[string]any{"namespaceRegexes": []any{".*"}}}, "spec", "conditions"),
			},
			unknown: []path{{"spec", "conditions"}},
		},
		{
			rule: "secret-store-irsa", of: "secrets-store",
			breaks: []ruletest.Change{
				set(map[string]any{"secretRef": map[string]any{"accessKeyIDSecretRef": map[string]any{"name": "keys"}}},
					"spec", "provider", "aws", "auth"),
				drop("spec", "provider", "aws", "auth"),
				drop("spec", "provider", "aws", "auth", "jwt", "serviceAccountRef"),
			},
			unknown: []path{{"spec", "provider", "aws", "auth"}, {"spec", "provider"}},
		},
	}
}
