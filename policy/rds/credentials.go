package rds

import (
	"slices"
	"strings"

	"dbtier/policy/rule"
)

func credentials() []*rule.Rule {
	return []*rule.Rule{{
		Name: "rds-managed-password", Severity: rule.Critical, Levels: rule.Always,
		Summary: "RDS generates and rotates the master password; the program does not set one.",
		Why:     "A password in the program is also in its state, its plans and its config, and is not rotated.",
		Fix:     "set manageMasterUserPassword and remove password and passwordWo",
		IDs:     []string{"gap:managed-password"},
		Resource: unlessReplica(func(s *rule.Subject) {
			for _, key := range []string{"password", "masterPassword", "passwordWo", "masterPasswordWo"} {
				if s.Get(key).Given() {
					s.Get(key).FailUnseen("is set by the program")
					return
				}
			}
			if s.Get("globalClusterIdentifier").Given() || s.Get("replicationSourceIdentifier").Given() {
				return
			}
			s.Get("manageMasterUserPassword").RequireTrue(false, "RDS does not manage the password")
		}),
	}, {
		Name: "rds-master-secret-cmk", Severity: rule.Medium, Levels: rule.InProduction,
		Summary: "The secret with the master password is encrypted with a customer managed key.",
		Why:     "The AWS managed key cannot be restricted: every principal that may read the secret may use it.",
		Fix:     "set masterUserSecretKmsKeyId to a customer managed key",
		IDs:     []string{"CKV_AWS_149", "AVD-AWS-0098", "pulumi:secretsmanager.Secret.configureCustomerManagedKey"},
		Resource: func(s *rule.Subject) {
			if managed, ok := s.Get("manageMasterUserPassword").Bool(false); ok && managed {
				s.Get("masterUserSecretKmsKeyId").RequireFilled(
					"is missing: aws/secretsmanager encrypts the secret",
				)
			}
		},
	}, {
		Name: "rds-admin-name", Severity: rule.Low, Levels: rule.InProduction,
		Summary: "The master user does not have a common name.",
		Why:     "Attackers try common names first.",
		Fix:     "choose another username; it cannot be changed later",
		IDs:     []string{"RDS.25"},
		Resource: func(s *rule.Subject) {
			common := []string{"admin", "administrator", "postgres", "root", "rdsadmin", "user"}
			for _, key := range []string{"username", "masterUsername"} {
				if name, ok := s.Get(key).Text(""); ok && slices.Contains(common, strings.ToLower(name)) {
					s.Get(key).Fail("is a common name")
				}
			}
		},
	}, {
		Name: "rds-iam-authentication", Severity: rule.Medium, Levels: rule.InProduction,
		Summary:  "The database accepts IAM tokens instead of passwords from users with the role rds_iam.",
		Why:      "Otherwise every login needs a stored password.",
		Fix:      "set iamDatabaseAuthenticationEnabled",
		IDs:      []string{"CKV_AWS_161", "CKV_AWS_162", "AVD-AWS-0176", "RDS.10"},
		Resource: on("iamDatabaseAuthenticationEnabled", false, "IAM authentication is off"),
	}}
}
