package stackwide

import (
	"strings"

	"dbtier/policy/internal/pods"
	"dbtier/policy/rule"
	"dbtier/policy/types"
)

// access returns the rules for access to secrets.
func access() []*rule.Rule {
	return []*rule.Rule{{
		Name: "dsn-not-shared", Severity: rule.Critical, Levels: rule.Always,
		Summary: "Only the workloads that a Secret is for read its login.",
		Why: "The direct login is the master user's. In the environment of a service, it would be in every crash " +
			"report of the service.",
		Fix: "give the pool's Secret to the service, the direct Secret to Jobs with the same part-of label, and the " +
			"pool's files to the pool only",
		IDs:   []string{"tier:dsn-not-shared"},
		Types: append([]string{types.ExternalSecret}, types.Workloads()...),
		Stack: func(s *rule.Stack) {
			_, in := workloads(s, types.Workloads())
			all, _ := secretsOf(s)
			for _, created := range all {
				for _, w := range in[created.namespace] {
					if w.reads(created.name) {
						requireAllowed(w, created)
					}
				}
			}
		},
	}, {
		Name: "secrets-rotated", Severity: rule.Medium, Levels: rule.InProduction,
		Summary: "Every secret in Secrets Manager has a rotation.",
		Why:     "Everyone who has ever seen a secret can use it until it is rotated. RDS rotates its own secrets.",
		Fix:     "add a SecretRotation",
		IDs:     []string{"CKV2_AWS_57", "SecretsManager.1"},
		Types:   []string{types.ManagedSecret, types.SecretRotation},
		Stack: func(s *rule.Stack) {
			var read rule.Reader
			rotated := map[string]bool{}
			for _, r := range s.All(types.SecretRotation) {
				for _, urn := range r.Dependencies() {
					rotated[urn] = true
				}
				rotated[read.Text(r.Get("secretId"), "")] = true
			}
			if !read.OK() {
				return
			}
			for _, one := range s.All(types.ManagedSecret) {
				// The source of the value that the operator writes also rotates it.
				if by, ok := one.Get("tags", "managed-by").Text(""); !ok || by == "external-secrets" {
					continue
				}
				if arn, ok := one.Get("arn").Text(""); ok && !rotated[one.URN()] && !rotated[arn] {
					one.Fail("is never rotated")
				}
			}
		},
	}}
}

// requireAllowed fails if a workload reads a Secret that is not for it.
func requireAllowed(w *workload, created *secret) {
	service := w.labels[partOf]
	switch {
	case created.service != "" && service != "" && service != created.service:
		w.Fail("reads the Secret %s, which is for %s and not for %s", created.name, created.service, service)
	case created.direct() && w.server():
		w.Fail("reads the Secret %s, which leads to the database itself", created.name)
	case created.config && !strings.Contains(strings.Join(pods.Images(w.spec), " "), "pgbouncer"):
		w.Fail("reads the Secret %s, which contains the pool's passwords", created.name)
	}
}
