package kms

import (
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/property"

	"dbtier/policy/internal/iamdoc"
	"dbtier/policy/rule"
)

const (
	family    = "kms"
	key       = "aws:kms/key:Key"
	keyPolicy = "aws:kms/keyPolicy:KeyPolicy"
)

// Rules are all rules of the family.
func Rules() []*rule.Rule {
	return []*rule.Rule{
		{
			Name: "kms-rotation", Family: family,
			Summary: "KMS makes new key material every year.",
			Why:     "The longer one material is used, the more it opens when it is lost.",
			Fix:     "set enableKeyRotation", Severity: rule.Medium, Levels: rule.Always,
			IDs: []string{
				"CKV_AWS_7", "AVD-AWS-0065", "awsguard:cmk-backing-key-rotation-enabled",
				"pulumi:kms.Key.enableKeyRotation",
			}, Types: []string{key},
			Needs: []string{"enableKeyRotation", "customerMasterKeySpec", "keyUsage", "customKeyStoreId"},
			Resource: func(s *rule.Subject) {
				spec, ok := s.Get("customerMasterKeySpec").Text("SYMMETRIC_DEFAULT")
				usage, also := s.Get("keyUsage").Text("ENCRYPT_DECRYPT")
				// KMS rotates symmetric keys of its own store only.
				if !ok || !also || spec != "SYMMETRIC_DEFAULT" || usage != "ENCRYPT_DECRYPT" ||
					s.Get("customKeyStoreId").Given() {
					return
				}
				if is, ok := s.Get("enableKeyRotation").Bool(false); ok && !is {
					s.Get("enableKeyRotation").Fail("the key is never rotated")
				}
			},
		},
		{
			Name: "kms-enabled", Family: family,
			Summary: "A key is on.",
			Why:     "What a key that is off encrypts cannot be read: the database stops.",
			Fix:     "leave isEnabled true", Severity: rule.High, Levels: rule.Always,
			IDs: []string{"CKV_AWS_227"}, Types: []string{key}, Needs: []string{"isEnabled"},
			Resource: func(s *rule.Subject) {
				if is, ok := s.Get("isEnabled").Bool(true); ok && !is {
					s.Get("isEnabled").Fail("the key is off")
				}
			},
		},
		{
			Name: "kms-policy-defined", Family: family,
			Summary: "A key's policy is written down.",
			Why: "The default one leaves the key to whoever has kms rights anywhere in the account, and services " +
				"such as CloudWatch Logs out.",
			Fix: "set policy", Severity: rule.Medium, Levels: rule.InProduction,
			IDs: []string{"CKV2_AWS_64"}, Types: []string{key}, Needs: []string{"policy"},
			Resource: func(s *rule.Subject) {
				if value := s.Get("policy"); value.Empty() {
					value.Fail("is missing: AWS's default policy holds")
				}
			},
		},
		{
			Name: "kms-policy-principals", Family: family,
			Summary:  "A key's policy names who may use the key.",
			Why:      "A key that everybody may use encrypts nothing.",
			Fix:      "name principals in place of *, or bind the statement to the account by a condition",
			Severity: rule.Critical, Levels: rule.Always,
			IDs: []string{"CKV_AWS_33", "KMS.5"}, Types: []string{key, keyPolicy}, Needs: []string{"policy"},
			Resource: func(s *rule.Subject) {
				text, ok := s.Get("policy").Text("")
				if !ok || text == "" {
					return
				}
				document, err := iamdoc.Parse(text)
				if err != nil {
					s.Get("policy").Fail("is no policy document")
					return
				}
				for i := range document.Statements {
					statement := &document.Statements[i]
					if statement.Allows() && (statement.NotPrincipal != nil || statement.Principal.Everybody()) &&
						!bound(statement) {
						s.Get("policy").Fail("%s is for everybody", statement.Name(i))
					}
				}
			},
		},
		{
			Name: "kms-lockout-check", Family: family,
			Summary: "KMS refuses a policy that locks its author out.",
			Why:     "Only AWS support can open a key again that nobody may change.",
			Fix:     "leave bypassPolicyLockoutSafetyCheck false", Severity: rule.High, Levels: rule.Always,
			IDs: []string{"pulumi:kms.Key.disallowBypassPolicyLockoutSafetyCheck"}, Types: []string{key, keyPolicy},
			Needs: []string{"bypassPolicyLockoutSafetyCheck"},
			Resource: func(s *rule.Subject) {
				if is, ok := s.Get("bypassPolicyLockoutSafetyCheck").Bool(false); ok && is {
					s.Get("bypassPolicyLockoutSafetyCheck").Fail("the check is off")
				}
			},
		},
		{
			Name: "kms-description", Family: family,
			Summary: "A key says what it is for.",
			Why:     "Nobody dares to delete a key of unknown use, and somebody does in the end.",
			Fix:     "set description, or the rule's level to remediate", Severity: rule.Low, Levels: rule.Advice,
			IDs: []string{"pulumi:kms.Key.missingDescription"}, Types: []string{key}, Needs: []string{"description"},
			Resource: func(s *rule.Subject) {
				value := s.Get("description")
				if text, ok := value.Text(""); ok && (strings.TrimSpace(text) == "" || text == "Managed by Pulumi") {
					value.Fail("is missing")
				}
			},
			Remedy: func(s *rule.Subject) (property.Map, bool) {
				return s.Properties().Set("description", property.New("Key "+s.Name())), true
			},
		},
		{
			Name: "kms-deletion-window", Family: family,
			Summary: "A deleted key can be called back for long enough.",
			Why:     "After the window everything under the key is lost, its backups too.",
			Fix:     "raise deletionWindowInDays", Severity: rule.Medium, Levels: rule.ProductionOnly,
			Knobs: []rule.Knob{{
				Name: "minimumDays", Description: "The shortest window, days, 7 to 30.",
				Default: 30.0,
			}},
			IDs: []string{"KMS.3"}, Types: []string{key}, Needs: []string{"deletionWindowInDays"},
			Resource: func(s *rule.Subject) {
				if days, ok := s.Get("deletionWindowInDays").Number(30); ok && days < s.Number("minimumDays") {
					s.Get("deletionWindowInDays").Fail("want at least %v days", s.Number("minimumDays"))
				}
			},
		},
	}
}

// bound tells whether a condition keeps strangers out of a statement for everybody.
func bound(s *iamdoc.Statement) bool {
	for _, key := range []string{
		"kms:CallerAccount", "aws:PrincipalAccount", "aws:SourceAccount", "aws:PrincipalOrgID",
		"aws:SourceArn", "aws:PrincipalArn",
	} {
		if values, _, found := s.Values(key); found && !slices.Contains(values, "*") {
			return true
		}
	}
	return false
}
