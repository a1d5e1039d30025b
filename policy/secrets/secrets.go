package secrets

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/property"

	"dbtier/policy/rule"
)

const (
	family         = "secrets"
	secret         = "aws:secretsmanager/secret:Secret"
	secretVersion  = "aws:secretsmanager/secretVersion:SecretVersion"
	secretRotation = "aws:secretsmanager/secretRotation:SecretRotation"
	pushSecret     = "kubernetes:external-secrets.io/v1alpha1:PushSecret" //nolint:gosec // a type, and no credential
	parameter      = "aws:ssm/parameter:Parameter"
)

var (
	externalSecrets = []string{
		"kubernetes:external-secrets.io/v1:ExternalSecret", "kubernetes:external-secrets.io/v1beta1:ExternalSecret",
	}
	clusterStores = []string{
		"kubernetes:external-secrets.io/v1:ClusterSecretStore",
		"kubernetes:external-secrets.io/v1beta1:ClusterSecretStore",
	}
	stores = append([]string{
		"kubernetes:external-secrets.io/v1:SecretStore",
		"kubernetes:external-secrets.io/v1beta1:SecretStore",
	}, clusterStores...)
)

// Rules are all rules of the family.
func Rules() []*rule.Rule { return slices.Concat(manager(), operator()) }

func manager() []*rule.Rule {
	return []*rule.Rule{
		{
			Name: "secret-cmk", Family: family,
			Summary: "A secret is encrypted with a key of the account's own.",
			Why: "Under aws/secretsmanager everybody who may read the secret may decrypt it, and other accounts " +
				"never can.",
			Fix: "set kmsKeyId", Severity: rule.Medium, Levels: rule.InProduction,
			IDs: []string{
				"CKV_AWS_149", "AVD-AWS-0098", "pulumi:secretsmanager.Secret.configureCustomerManagedKey",
				"CKV_AWS_337",
			},
			Types: []string{secret, parameter}, Needs: []string{"kmsKeyId", "keyId", "type"},
			Resource: func(s *rule.Subject) {
				value := s.Get("kmsKeyId")
				if s.Type() == parameter {
					if kind, ok := s.Get("type").Text(""); !ok || kind != "SecureString" {
						return
					}
					value = s.Get("keyId")
				}
				if key, ok := value.Text(""); ok && (key == "" || strings.Contains(key, "alias/aws/")) {
					value.Fail("AWS's own key encrypts it")
				}
			},
		},
		{
			Name: "secret-description", Family: family,
			Summary: "A secret says what it is for.",
			Why:     "Nobody dares to delete a secret of unknown use.",
			Fix:     "set description, or the rule's level to remediate", Severity: rule.Low, Levels: rule.Advice,
			IDs: []string{"pulumi:secretsmanager.Secret.missingDescription"}, Types: []string{secret},
			Needs: []string{"description"},
			Resource: func(s *rule.Subject) {
				if text, ok := s.Get("description").Text(""); ok &&
					(strings.TrimSpace(text) == "" || text == "Managed by Pulumi") {
					s.Get("description").Fail("is missing")
				}
			},
			Remedy: func(s *rule.Subject) (property.Map, bool) {
				return s.Properties().Set("description", property.New("Secret "+s.Name())), true
			},
		},
		{
			Name: "secret-rotation-schedule", Family: family,
			Summary: "A rotation says when it runs, and runs often enough.",
			Why:     "A secret that is never changed is a secret of everybody who has ever seen it.",
			Fix:     "set rotationRules.automaticallyAfterDays or scheduleExpression", Severity: rule.Medium,
			Levels: rule.InProduction,
			Knobs: []rule.Knob{{
				Name: "maximumDays", Description: "How many days a secret may live at most.",
				Default: 90.0,
			}},
			IDs:   []string{"CKV_AWS_304", "SecretsManager.4", "gap:rotation-schedule"},
			Types: []string{secretRotation}, Needs: []string{"rotationRules"},
			Resource: func(s *rule.Subject) {
				days, ok := s.Get("rotationRules", "automaticallyAfterDays").Number(0)
				schedule, also := s.Get("rotationRules", "scheduleExpression").Text("")
				if !ok || !also {
					return
				}
				switch every, rate := everyDays(schedule); {
				case days == 0 && schedule == "":
					s.Get("rotationRules").Fail("there is no schedule")
				case days > s.Number("maximumDays"):
					s.Get("rotationRules", "automaticallyAfterDays").Fail("want at most %v days",
						s.Number("maximumDays"))
				case rate && every > s.Number("maximumDays"):
					s.Get("rotationRules", "scheduleExpression").Fail("want at most %v days", s.Number("maximumDays"))
				}
			},
		},
		{
			Name: "secret-value-elsewhere", Family: family,
			Summary: "The value of a secret does not come from the program.",
			Why:     "What the program knows is in its config and its state, and with everybody who may read those.",
			Fix:     "let RDS or a rotation make the value, or put it in by hand", Severity: rule.High,
			Levels: rule.InProduction,
			IDs:    []string{"tier:no-secret-in-program"}, Types: []string{secretVersion},
			Needs: []string{"secretString", "secretBinary", "secretStringWo"},
			Resource: func(s *rule.Subject) {
				for _, key := range []string{"secretString", "secretBinary", "secretStringWo"} {
					if s.Get(key).Given() {
						s.Get(key).FailUnseen("is given by the program")
						return
					}
				}
			},
		},
	}
}

// everyDays is the number of days in rate(10 days); it is not ok for cron(…), whose periods are too many.
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

func operator() []*rule.Rule {
	return []*rule.Rule{
		{
			Name: "external-secret-refresh", Family: family,
			Summary: "An ExternalSecret looks often enough whether its secret has changed.",
			Why:     "Until it does, every new login after a rotation fails.",
			Fix:     "shorten spec.refreshInterval", Severity: rule.Medium, Levels: rule.Always,
			Knobs: []rule.Knob{{
				Name: "maximum", Description: "The longest interval, as a Go duration.",
				Default: "15m",
			}},
			IDs: []string{"gap:refresh-interval"}, Types: externalSecrets, Needs: []string{"spec"},
			Resource: func(s *rule.Subject) {
				policy, ok := s.Get("spec", "refreshPolicy").Text("Periodic")
				value := s.Get("spec", "refreshInterval")
				interval, also := value.Text("1h")
				if !ok || !also || policy != "Periodic" || generated(s) {
					return
				}
				longest, err := time.ParseDuration(s.Text("maximum"))
				if err != nil {
					s.Fail("the policy config: maximum: %q is no duration", s.Text("maximum"))
					return
				}
				switch every, err := time.ParseDuration(interval); {
				case err != nil:
					value.Fail("is no duration")
				case every <= 0:
					value.Fail("the secret is read once and never again")
				case every > longest:
					value.Fail("want at most %s", longest)
				}
			},
		},
		{
			Name: "external-secret-generated-once", Family: family,
			Summary: "A generated credential is made once.",
			Why: "The operator runs a generator at every refresh, so each interval brings another password to " +
				"whoever has the last one.",
			Fix: "set spec.refreshPolicy to CreatedOnce, in an ExternalSecret of its own", Severity: rule.High,
			Levels: rule.Always,
			IDs:    []string{"tier:generated-once"}, Types: externalSecrets, Needs: []string{"spec"},
			Resource: func(s *rule.Subject) {
				if policy, ok := s.Get("spec", "refreshPolicy").Text("Periodic"); ok && generated(s) &&
					policy != "CreatedOnce" {
					s.Get("spec", "refreshPolicy").Fail("the credential changes at every refresh")
				}
			},
		},
		{
			Name: "external-secret-awaited", Family: family,
			Summary: "An update waits until the operator has made the Secret.",
			Why: "Custom resources are not awaited by themselves, so pods start before their Secret is there and " +
				"a faulty store is reported as a success.",
			Fix: "annotate the object with pulumi.com/waitFor: condition=Ready", Severity: rule.Low,
			Levels: rule.InProduction,
			IDs:    []string{"tier:awaited"}, Types: slices.Concat(externalSecrets, stores, []string{pushSecret}),
			Needs: []string{"metadata"},
			Resource: func(s *rule.Subject) {
				annotations := s.Get("metadata", "annotations")
				if !annotations.Known() {
					return
				}
				waits, ok := annotations.Get("pulumi.com/waitFor").Text("")
				if skips, _ := annotations.Get("pulumi.com/skipAwait").Bool(false); ok && (waits == "" || skips) {
					annotations.Fail("nothing waits for the operator")
				}
			},
		},
		{
			Name: "external-secret-url-encoded", Family: family,
			Summary: "Credentials in a URL are encoded.",
			Why:     "RDS makes passwords with : % # ? and [ in them; unencoded, each rotation may break every client.",
			Fix:     "write {{ .password | urlquery }}", Severity: rule.High, Levels: rule.Always,
			IDs: []string{"tier:url-encoded"}, Types: externalSecrets, Needs: []string{"spec"},
			Resource: func(s *rule.Subject) {
				templates(s, func(value rule.Value, text string) {
					for _, part := range userParts(text) {
						if strings.Contains(part, "{{") && !strings.Contains(part, "urlquery") {
							value.Fail("puts a value into a URL without encoding it")
							return
						}
					}
				})
			},
		},
		{
			Name: "external-secret-verifies-database", Family: family,
			Summary: "A connection to a database outside the cluster verifies the server.",
			Why: "sslmode=require encrypts to whoever answers; only verify-full makes sure that it is the " +
				"database.",
			Fix:      "write sslmode=verify-full and sslrootcert into the URL, and PGSSLMODE: verify-full beside it",
			Severity: rule.High, Levels: rule.Always,
			IDs: []string{"tier:direct-verify-full"}, Types: externalSecrets, Needs: []string{"spec"},
			Resource: func(s *rule.Subject) {
				templates(s, func(value rule.Value, text string) {
					if strings.HasSuffix(value.Path(), ".PGSSLMODE") && text != "verify-full" {
						value.Fail("does not verify the server")
						return
					}
					at := urlForm().FindStringSubmatch(text)
					if len(at) < 2 || inCluster(at[1]) {
						return
					}
					if !strings.Contains(text, "sslmode=verify-full") {
						value.Fail("leads out of the cluster and does not verify the server")
					}
				})
			},
		},
		{
			Name: "external-secret-no-literal", Family: family,
			Summary: "The template of an ExternalSecret has no credential in it.",
			Why:     "A template is no secret: it is in the state and in the cluster for everybody to read.",
			Fix:     "take the value from the store: {{ .password }}", Severity: rule.Critical, Levels: rule.Always,
			IDs: []string{"gap:no-secret-in-config"}, Types: externalSecrets, Needs: []string{"spec"},
			Resource: func(s *rule.Subject) {
				templates(s, func(value rule.Value, text string) {
					key := strings.ToUpper(value.Path()[strings.LastIndex(value.Path(), ".")+1:])
					if strings.Contains(key, "PASSWORD") && text != "" && !strings.Contains(text, "{{") {
						value.FailUnseen("is a credential and no template")
						return
					}
					if parts := userParts(text); len(parts) == 2 && !strings.Contains(parts[1], "{{") {
						value.FailUnseen("has a password in its URL")
					}
				})
			},
		},
		{
			Name: "secret-store-scoped", Family: family,
			Summary: "A ClusterSecretStore serves named namespaces.",
			Why: "Without conditions every namespace of the cluster can read every secret that the store's role " +
				"may.",
			Fix: "name the namespaces in spec.conditions, or use a SecretStore", Severity: rule.Critical,
			Levels: rule.Always,
			IDs:    []string{"tier:store-for-named-namespaces"}, Types: clusterStores, Needs: []string{"spec"},
			Resource: func(s *rule.Subject) {
				conditions := s.Get("spec", "conditions")
				if !conditions.Known() {
					return
				}
				if conditions.Empty() {
					conditions.Fail("is missing: the store serves every namespace")
				}
				for _, condition := range conditions.Items() {
					selector := condition.Get("namespaceSelector")
					for _, expression := range condition.Get("namespaceRegexes").Texts() {
						if expression == ".*" || expression == ".+" || expression == "" {
							condition.Get("namespaceRegexes").Fail("fits every namespace")
						}
					}
					if selector.Given() && selector.Get("matchLabels").Empty() &&
						selector.Get("matchExpressions").Empty() {
						selector.Fail("fits every namespace")
					}
				}
			},
		},
		{
			Name: "secret-store-irsa", Family: family,
			Summary: "A store on AWS logs in with a ServiceAccount's token.",
			Why: "Access keys in a Secret are valid for ever and for everybody who reads them; without auth the " +
				"operator's own rights serve all teams.",
			Fix: "set spec.provider.aws.auth.jwt.serviceAccountRef", Severity: rule.High, Levels: rule.Always,
			IDs: []string{"tier:store-by-irsa"}, Types: stores, Needs: []string{"spec"},
			Resource: func(s *rule.Subject) {
				aws := s.Get("spec", "provider", "aws")
				if !aws.Known() || aws.Missing() {
					return
				}
				auth := aws.Get("auth")
				switch {
				case !auth.Known():
				case auth.Get("secretRef").Given():
					auth.Fail("has access keys")
				case auth.Get("jwt").Missing():
					auth.Fail("the operator's own rights are used")
				case !auth.Get("jwt").Get("serviceAccountRef").Known():
				case auth.Get("jwt").Get("serviceAccountRef").Get("name").Missing():
					auth.Fail("names no ServiceAccount")
				}
			},
		},
	}
}

// generated tells whether a generator makes the value.
func generated(s *rule.Subject) bool {
	for _, from := range s.Get("spec", "dataFrom").Items() {
		if from.Get("sourceRef").Get("generatorRef").Given() {
			return true
		}
	}
	return false
}

// templates goes over the texts of an ExternalSecret's template.
func templates(s *rule.Subject, judge func(value rule.Value, text string)) {
	for _, member := range s.Get("spec", "target", "template", "data").Members() {
		if text, ok := member.Value.Text(""); ok {
			judge(member.Value, text)
		}
	}
}

// urlForm finds the host of a URL with credentials, whose actions may have any characters in them.
var urlForm = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`[a-z][a-z0-9+.-]*://(?:\{\{[^}]*\}\}|[^@/{])*@([^:/?]+)`)
})

var userForm = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`[a-z][a-z0-9+.-]*://((?:\{\{[^}]*\}\}|[^@/:{])*)(?::((?:\{\{[^}]*\}\}|[^@/{])*))?@`)
})

// userParts are the user and the password of the first URL in a text that has them.
func userParts(text string) []string {
	found := userForm().FindStringSubmatch(text)
	if found == nil {
		return nil
	}
	if found[2] == "" {
		return found[1:2]
	}
	return found[1:3]
}

// inCluster tells the names that only resolve in a cluster.
func inCluster(host string) bool {
	return !strings.Contains(host, ".") || strings.HasSuffix(host, ".svc") || strings.Contains(host, ".svc.") ||
		strings.HasSuffix(host, ".local")
}
