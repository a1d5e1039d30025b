// Package secrets has the rules for AWS Secrets Manager and for the External Secrets Operator.
package secrets

import (
	"fmt"
	"slices"
	"strings"

	"dbtier/policy/rule"
	"dbtier/policy/types"
)

// Rules returns all rules of the family.
func Rules() []*rule.Rule {
	return rule.Family("secrets", types.ExternalSecrets(), slices.Concat(manager(), externalSecrets(), stores())...)
}

// manager returns the rules for Secrets Manager and for parameters of Systems Manager.
func manager() []*rule.Rule {
	return []*rule.Rule{{
		Name: "secret-cmk", Severity: rule.Medium, Levels: rule.InProduction,
		Summary: "A secret is encrypted with a customer managed key.",
		Why:     "With aws/secretsmanager, all readers of a secret can decrypt it, and other accounts cannot.",
		Fix:     "set kmsKeyId",
		IDs: []string{
			"CKV_AWS_149", "AVD-AWS-0098", "pulumi:secretsmanager.Secret.configureCustomerManagedKey", "CKV_AWS_337",
		},
		Types: []string{types.ManagedSecret, types.SystemParameter},
		Resource: func(s *rule.Subject) {
			value := s.Get("kmsKeyId")
			if s.Type() == types.SystemParameter {
				if kind, ok := s.Get("type").Text(""); !ok || kind != "SecureString" {
					return
				}
				value = s.Get("keyId")
			}
			if key, ok := value.Text(""); ok && (key == "" || strings.Contains(key, "alias/aws/")) {
				value.Fail("an AWS managed key encrypts it")
			}
		},
	}, {
		Name: "secret-description", Severity: rule.Low, Levels: rule.Advice,
		Summary: "A secret has a description.",
		Why:     "A secret of unknown use is never deleted.",
		Fix:     "set description, or set this rule's level to remediate",
		IDs:     []string{"pulumi:secretsmanager.Secret.missingDescription"}, Types: []string{types.ManagedSecret},
		Resource: func(s *rule.Subject) { s.Get("description").RequireDescription("Managed by Pulumi") },
		Remedy:   rule.Describe("Secret "),
	}, {
		Name: "secret-rotation-schedule", Severity: rule.Medium, Levels: rule.InProduction,
		Summary: "A rotation has a schedule, and runs often enough.",
		Why:     "Everyone who has ever seen a secret can use it until it is rotated.",
		Fix:     "set rotationRules.automaticallyAfterDays or scheduleExpression",
		Knobs:   []rule.Knob{{Name: "maximumDays", Description: "Maximum age of a secret, in days.", Default: 90.0}},
		IDs:     []string{"CKV_AWS_304", "SecretsManager.4", "gap:rotation-schedule"},
		Types:   []string{types.SecretRotation},
		Resource: func(s *rule.Subject) {
			var read rule.Reader
			rules, most := s.Get("rotationRules"), s.Number("maximumDays")
			days := read.Number(rules.Get("automaticallyAfterDays"), 0)
			schedule := read.Text(rules.Get("scheduleExpression"), "")
			switch every, rate := everyDays(schedule); {
			case !read.OK():
			case days == 0 && schedule == "":
				rules.Fail("there is no schedule")
			case days > most:
				rules.Get("automaticallyAfterDays").Fail("want at most %v days", most)
			case rate && every > most:
				rules.Get("scheduleExpression").Fail("want at most %v days", most)
			}
		},
	}, {
		Name: "secret-value-elsewhere", Severity: rule.High, Levels: rule.InProduction,
		Summary: "The program does not set the value of a secret.",
		Why:     "A value in the program is also in its config and state, where more people can read it.",
		Fix:     "let RDS or a rotation generate the value, or set it by hand",
		IDs:     []string{"tier:no-secret-in-program"}, Types: []string{types.SecretVersion},
		Resource: func(s *rule.Subject) {
			for _, key := range []string{"secretString", "secretBinary", "secretStringWo"} {
				if s.Get(key).Given() {
					s.Get(key).FailUnseen("is set by the program")
					return
				}
			}
		},
	}}
}

// everyDays returns the number of days in rate(10 days). It is not ok for cron(…), which has many forms.
func everyDays(schedule string) (days float64, ok bool) {
	inner, found := strings.CutPrefix(schedule, "rate(")
	var number float64
	var unit string
	if _, err := fmt.Sscanf(strings.TrimSuffix(inner, ")"), "%g %s", &number, &unit); !found || err != nil {
		return 0, false
	}
	if strings.HasPrefix(unit, "hour") {
		number /= 24
	}
	return number, true
}

// stores returns the rules for SecretStores and ClusterSecretStores.
func stores() []*rule.Rule {
	return []*rule.Rule{{
		Name: "secret-store-scoped", Severity: rule.Critical, Levels: rule.Always,
		Summary: "A ClusterSecretStore names the namespaces that can use it.",
		Why:     "Without conditions every namespace of the cluster can read every secret that the store's role can.",
		Fix:     "name the namespaces in spec.conditions, or use a SecretStore",
		IDs:     []string{"tier:store-for-named-namespaces"}, Types: types.ClusterStores(),
		Resource: func(s *rule.Subject) {
			conditions := s.Get("spec", "conditions")
			conditions.RequireFilled("is missing: every namespace can use the store")
			for _, condition := range conditions.Items() {
				expressions, selector := condition.Get("namespaceRegexes"), condition.Get("namespaceSelector")
				for _, expression := range expressions.Texts() {
					if expression == ".*" || expression == ".+" {
						expressions.Fail("matches every namespace")
					}
				}
				if selector.Given() && selector.Get("matchLabels").Empty() &&
					selector.Get("matchExpressions").Empty() {
					selector.Fail("matches every namespace")
				}
			}
		},
	}, {
		Name: "secret-store-irsa", Severity: rule.High, Levels: rule.Always,
		Summary: "A store on AWS logs in with the token of a ServiceAccount.",
		Why:     "Access keys in a Secret never expire, and without auth all teams share the operator's rights.",
		Fix:     "set spec.provider.aws.auth.jwt.serviceAccountRef",
		IDs:     []string{"tier:store-by-irsa"}, Types: types.Stores(),
		Resource: func(s *rule.Subject) {
			aws := s.Get("spec", "provider", "aws")
			auth, account := aws.Get("auth"), aws.Get("auth", "jwt", "serviceAccountRef")
			switch {
			case !aws.Given() || !auth.Known():
			case auth.Get("secretRef").Given():
				auth.Fail("contains access keys")
			case auth.Get("jwt").Missing():
				auth.Fail("the operator's own rights are used")
			case account.Known() && account.Get("name").Missing():
				auth.Fail("does not name a ServiceAccount")
			}
		},
	}}
}
