// Package kms has the rules for KMS keys.
package kms

import (
	"dbtier/policy/internal/iamdoc"
	"dbtier/policy/rule"
	"dbtier/policy/types"
)

// Rules returns all rules of the family.
func Rules() []*rule.Rule {
	withPolicy := []string{types.Key, types.KeyPolicy, types.ReplicaKey, types.ExternalKey}
	return rule.Family("kms", []string{types.Key}, []*rule.Rule{{
		Name: "kms-rotation", Severity: rule.Medium, Levels: rule.Always,
		Summary: "KMS rotates the key material every year.",
		Why:     "The longer key material is used, the more data it exposes if it is lost.",
		Fix:     "set enableKeyRotation",
		IDs: []string{
			"CKV_AWS_7", "AVD-AWS-0065", "awsguard:cmk-backing-key-rotation-enabled",
			"pulumi:kms.Key.enableKeyRotation",
		},
		Resource: func(s *rule.Subject) {
			var read rule.Reader
			spec := read.Text(s.Get("customerMasterKeySpec"), "SYMMETRIC_DEFAULT")
			usage := read.Text(s.Get("keyUsage"), "ENCRYPT_DECRYPT")
			// KMS only rotates symmetric keys in its own store.
			if read.OK() && spec == "SYMMETRIC_DEFAULT" && usage == "ENCRYPT_DECRYPT" &&
				!s.Get("customKeyStoreId").Given() {
				s.Get("enableKeyRotation").RequireTrue(false, "the key is never rotated")
			}
		},
	}, {
		Name: "kms-enabled", Severity: rule.High, Levels: rule.Always,
		Summary:  "A key is enabled.",
		Why:      "A disabled key cannot decrypt, so the database stops.",
		Fix:      "set isEnabled to true",
		IDs:      []string{"CKV_AWS_227"},
		Resource: func(s *rule.Subject) { s.Get("isEnabled").RequireTrue(true, "the key is disabled") },
	}, {
		Name: "kms-policy-defined", Severity: rule.Medium, Levels: rule.InProduction,
		Summary: "A key has a policy.",
		Why:     "The default policy admits all principals with KMS rights, and no services such as CloudWatch Logs.",
		Fix:     "set policy",
		IDs:     []string{"CKV2_AWS_64"},
		Types:   []string{types.Key, types.KeyPolicy}, Inputs: []string{types.Key},
		Stack: func(s *rule.Stack) {
			policies := s.Companions("keyId", types.KeyPolicy)
			for _, key := range s.All(types.Key) {
				// In the cloud, every key has a policy.
				if policy := key.Input("policy"); policy.Empty() && len(policies.Of(key, "keyId", "arn", "id")) == 0 {
					policy.Fail("is missing: the default policy of AWS applies")
				}
			}
		},
	}, {
		Name: "kms-policy-principals", Severity: rule.Critical, Levels: rule.Always,
		Summary: "A key's policy names the principals that can use the key.",
		Why:     "If everyone can use a key, it protects nothing.",
		Fix:     "name principals instead of *, or add a condition that restricts the statement to the account",
		IDs:     []string{"CKV_AWS_33", "CKV_AWS_283", "KMS.5"}, Types: withPolicy,
		Resource: func(s *rule.Subject) {
			for _, statement := range iamdoc.Statements(s.Get("policy")) {
				if statement.Allows() && (statement.NotPrincipal != nil || statement.Principal.Everyone()) &&
					!statement.BoundsPrincipals() {
					s.Get("policy").Fail("%s is for everyone", statement.Name)
				}
			}
		},
	}, {
		Name: "kms-lockout-check", Severity: rule.High, Levels: rule.Always,
		Summary: "KMS refuses a policy that locks out its author.",
		Why:     "Only AWS support can recover a key whose policy no principal can change.",
		Fix:     "set bypassPolicyLockoutSafetyCheck to false",
		IDs:     []string{"pulumi:kms.Key.disallowBypassPolicyLockoutSafetyCheck"}, Types: withPolicy,
		Resource: func(s *rule.Subject) {
			s.Get("bypassPolicyLockoutSafetyCheck").RequireFalse(false, "the check is off")
		},
	}, {
		Name: "kms-description", Severity: rule.Low, Levels: rule.Advice,
		Summary:  "A key has a description.",
		Why:      "A key of unknown use is either never deleted, or deleted although it is in use.",
		Fix:      "set description, or set this rule's level to remediate",
		IDs:      []string{"pulumi:kms.Key.missingDescription"},
		Resource: func(s *rule.Subject) { s.Get("description").RequireDescription("Managed by Pulumi") },
		Remedy:   rule.Describe("Key "),
	}, {
		Name: "kms-deletion-window", Severity: rule.Medium, Levels: rule.ProductionOnly,
		Summary: "The deletion of a key can be cancelled for long enough.",
		Why:     "After the window, everything that the key encrypts is lost, backups included.",
		Fix:     "raise deletionWindowInDays",
		Knobs:   []rule.Knob{{Name: "minimumDays", Description: "Minimum window, in days, 7 to 30.", Default: 30.0}},
		IDs:     []string{"KMS.3"},
		Resource: func(s *rule.Subject) {
			s.Get("deletionWindowInDays").RequireAtLeast(s.Number("minimumDays"), 30, " days")
		},
	}}...)
}
