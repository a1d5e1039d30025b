package secrets

import (
	"slices"
	"strings"
	"time"

	"dbtier/policy/rule"
	"dbtier/policy/types"
	"dbtier/validation/credential"
	"dbtier/validation/dsn"
)

// externalSecrets returns the rules for ExternalSecrets.
func externalSecrets() []*rule.Rule {
	return []*rule.Rule{{
		Name: "external-secret-refresh", Severity: rule.Medium, Levels: rule.Always,
		Summary: "An ExternalSecret is refreshed often enough.",
		Why:     "After a rotation, every new login fails until the refresh.",
		Fix:     "shorten spec.refreshInterval",
		Knobs:   []rule.Knob{{Name: "maximum", Description: "Maximum interval, as a Go duration.", Default: "15m"}},
		IDs:     []string{"gap:refresh-interval"},
		Resource: func(s *rule.Subject) {
			var read rule.Reader
			value := s.Get("spec", "refreshInterval")
			policy, interval := read.Text(s.Get("spec", "refreshPolicy"), "Periodic"), read.Text(value, "1h")
			if !read.OK() || policy != "Periodic" || generated(s) {
				return
			}
			longest, err := time.ParseDuration(s.Text("maximum"))
			if err != nil {
				s.Fail("the policy config: maximum: %q is not a duration", s.Text("maximum"))
				return
			}
			switch every, err := time.ParseDuration(interval); {
			case err != nil:
				value.Fail("is not a duration")
			case every <= 0:
				value.Fail("the secret is read once only")
			case every > longest:
				value.Fail("want at most %s", longest)
			}
		},
	}, {
		Name: "external-secret-generated-once", Severity: rule.High, Levels: rule.Always,
		Summary: "A generated credential is generated once.",
		Why:     "The operator runs a generator at every refresh, so the credential in use would become invalid.",
		Fix:     "set spec.refreshPolicy to CreatedOnce, in a separate ExternalSecret",
		IDs:     []string{"tier:generated-once"},
		Resource: func(s *rule.Subject) {
			policy := s.Get("spec", "refreshPolicy")
			if text, ok := policy.Text("Periodic"); ok && generated(s) && text != "CreatedOnce" {
				policy.Fail("the credential changes at every refresh")
			}
		},
	}, {
		Name: "external-secret-awaited", Severity: rule.Low, Levels: rule.InProduction,
		Summary: "An update waits until the operator has processed the object.",
		Why:     "Otherwise pods start before their Secret exists, and an update succeeds although a store is broken.",
		Fix:     "set the annotation pulumi.com/waitFor: condition=Ready",
		IDs:     []string{"tier:awaited"},
		Types:   slices.Concat(types.ExternalSecrets(), types.Stores(), []string{types.PushSecret}),
		Resource: func(s *rule.Subject) {
			annotations := s.Get("metadata", "annotations")
			if !annotations.Known() {
				return
			}
			waits, ok := annotations.Get("pulumi.com/waitFor").Text("")
			if skips, _ := annotations.Get("pulumi.com/skipAwait").Bool(false); ok && (waits == "" || skips) {
				annotations.Fail("the update does not wait for the operator")
			}
		},
	}, {
		Name: "external-secret-url-encoded", Severity: rule.High, Levels: rule.Always,
		Summary: "Credentials in a URL are encoded.",
		Why:     "RDS generates passwords with : % # ? and [. Without encoding, a rotation can break every client.",
		Fix:     "write {{ .password | urlquery }}",
		IDs:     []string{"tier:url-encoded"},
		Resource: templates(func(value rule.Value, text string) {
			unencoded := func(part string) bool {
				return strings.Contains(part, "{{") && !strings.Contains(part, "urlquery")
			}
			if slices.ContainsFunc(dsn.Credentials(text), unencoded) {
				value.Fail("contains a value in a URL that is not encoded")
			}
		}),
	}, {
		Name: "external-secret-verifies-database", Severity: rule.High, Levels: rule.Always,
		Summary: "A connection to a database outside the cluster verifies the server.",
		Why:     "sslmode=require only encrypts; verify-full also proves that the server is the database.",
		Fix:     "add sslmode=verify-full and sslrootcert to the URL, and set PGSSLMODE: verify-full beside it",
		IDs:     []string{"tier:direct-verify-full"},
		Resource: templates(func(value rule.Value, text string) {
			if strings.HasSuffix(value.Path(), ".PGSSLMODE") && text != "verify-full" {
				value.Fail("does not verify the server")
				return
			}
			host, ok := dsn.Host(text)
			if ok && !dsn.InCluster(host) && !strings.Contains(text, "sslmode=verify-full") {
				value.Fail("points outside the cluster and does not verify the server")
			}
		}),
	}, {
		Name: "external-secret-no-literal", Severity: rule.Critical, Levels: rule.Always,
		Summary: "The template of an ExternalSecret does not contain a credential.",
		Why:     "A template is not secret: everyone who can read the state or the object can read it.",
		Fix:     "take the value from the store: {{ .password }}",
		IDs:     []string{"gap:no-secret-in-config"},
		Resource: templates(func(value rule.Value, text string) {
			// The name of a file contains dots, so the key is not the last part of the path.
			key := strings.TrimPrefix(value.Path(), "spec.target.template.data.")
			if reason := credential.Reason(key, text); reason != "" {
				value.FailUnseen("%s", reason)
			}
		}),
	}}
}

// generated reports whether a generator creates the value of an ExternalSecret.
func generated(s *rule.Subject) bool {
	return slices.ContainsFunc(s.Get("spec", "dataFrom").Items(), func(from rule.Value) bool {
		return from.Get("sourceRef", "generatorRef").Given()
	})
}

// templates judges each known text in the template of an ExternalSecret.
func templates(judge func(value rule.Value, text string)) func(*rule.Subject) {
	return func(s *rule.Subject) {
		for _, member := range s.Get("spec", "target", "template", "data").Members() {
			if text, ok := member.Value.Text(""); ok {
				judge(member.Value, text)
			}
		}
	}
}
