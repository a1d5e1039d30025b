package kubernetes

import (
	"regexp"
	"slices"
	"strings"
	"sync"

	"dbtier/policy/internal/pods"
	"dbtier/policy/rule"
	"dbtier/policy/types"
)

// objects returns the rules for objects other than workloads.
func objects() []*rule.Rule {
	return []*rule.Rule{{
		Name: "k8s-namespace", Severity: rule.Low, Levels: rule.Always,
		Summary: "Objects are not in the namespace default.",
		Why:     "All objects there share quotas, policies and rights.",
		Fix:     "set metadata.namespace",
		IDs:     []string{"CKV_K8S_21", "KSV-0110", "kyverno:disallow-default-namespace"},
		Types: append([]string{
			types.Service, types.ServiceAccount, types.ConfigMap, types.NetworkPolicy, types.DisruptionBudget,
			types.Role, types.Secret, types.RoleBinding, types.ExternalSecret, types.SecretStore,
		}, types.Workloads()...),
		Resource: func(s *rule.Subject) {
			// The Service of the API server itself is in the namespace default.
			if name, _ := s.Get("metadata", "name").Text(""); name == "kubernetes" && s.Type() == types.Service {
				return
			}
			value := s.Get("metadata", "namespace")
			if name, ok := value.Text(""); ok && (name == "default" || name == "") {
				value.Fail("is the namespace default")
			}
		},
	}, {
		Name: "k8s-namespace-pod-security", Severity: rule.High, Levels: rule.Always,
		Summary: "A namespace refuses pods that are not restricted.",
		Why:     "These rules see the pods of the program only; the API server sees all pods.",
		Fix:     "set the label pod-security.kubernetes.io/enforce: restricted",
		Knobs: []rule.Knob{{
			Name: "exempt", Description: "Namespaces whose pods need more rights, for example of a CNI.",
			Default: []string{"kube-system"},
		}},
		IDs: []string{"tier:namespace-restricted"}, Types: []string{types.Namespace},
		Resource: func(s *rule.Subject) {
			name, ok := s.Get("metadata", "name").Text("")
			if ok && !slices.Contains(s.Texts("exempt"), name) {
				s.Get("metadata", "labels", "pod-security.kubernetes.io/enforce").RequireText("want restricted",
					"restricted")
			}
		},
	}, {
		Name: "k8s-service-inside", Severity: rule.High, Levels: rule.Always,
		Summary: "A Service can only be reached from inside the cluster.",
		Why:     "A load balancer or node port exposes a pool, and the database behind it, past every NetworkPolicy.",
		Fix:     "use type ClusterIP, and an Ingress for HTTP",
		IDs:     []string{"pulumi:kubernetes.Service.disallowLoadBalancer"}, Types: []string{types.Service},
		Resource: func(s *rule.Subject) {
			value := s.Get("spec", "type")
			if kind, ok := value.Text(""); ok && (kind == "LoadBalancer" || kind == "NodePort") {
				value.Fail("can be reached from outside the cluster")
			}
			if external := s.Get("spec", "externalIPs"); len(external.Items()) > 0 {
				external.Fail("takes over addresses of nodes")
			}
		},
	}, {
		Name: "k8s-disruption-budget", Severity: rule.Medium, Levels: rule.Always,
		Summary: "A PodDisruptionBudget allows the eviction of at least one pod.",
		Why:     "Otherwise nodes cannot be drained, and upgrades of the cluster hang.",
		Fix:     "set maxUnavailable to 1",
		IDs: []string{
			"pulumi:kubernetes.PodDisruptionBudget.disallowZeroVoluntaryDisruption", "kyverno:pdb-minavailable",
		},
		Types: []string{types.DisruptionBudget},
		Resource: func(s *rule.Subject) {
			const reason = "does not allow the eviction of any pod"
			most, least := s.Get("spec", "maxUnavailable"), s.Get("spec", "minAvailable")
			if text, ok := most.Text(""); ok && (text == "0" || text == "0%") {
				most.Fail(reason)
			}
			if text, ok := least.Text(""); ok && text == "100%" {
				least.Fail(reason)
			}
		},
	}, {
		Name: "k8s-network-policy-selects", Severity: rule.Medium, Levels: rule.Always,
		Summary: "An ingress rule of a NetworkPolicy names its sources.",
		Why:     "A rule without sources allows all traffic, although it looks like protection.",
		Fix:     "name a podSelector, namespaceSelector or ipBlock in from",
		IDs:     []string{"KSV-0038"}, Types: []string{types.NetworkPolicy},
		Resource: func(s *rule.Subject) {
			const reason = "allows traffic from everywhere"
			for _, ingress := range s.Get("spec", "ingress").Items() {
				from := ingress.Get("from")
				if from.Empty() {
					ingress.Fail(reason)
				}
				for _, peer := range from.Items() {
					cidr := peer.Get("ipBlock", "cidr")
					if text, ok := cidr.Text(""); ok && (text == "0.0.0.0/0" || text == "::/0") {
						cidr.Fail(reason)
					}
				}
			}
		},
	}, {
		Name: "k8s-no-credentials-in-config", Severity: rule.Critical, Levels: rule.Always,
		Summary: "ConfigMaps and variables of containers do not contain credentials.",
		Why:     "They are stored in the state and in backups, and everyone who can read the namespace can read them.",
		Fix:     "take the value from a Secret that the operator creates",
		IDs:     []string{"KSV-0109", "KSV-01010", "gap:no-secret-in-config"},
		Types:   append([]string{types.ConfigMap}, types.Workloads()...),
		Resource: func(s *rule.Subject) {
			if s.Type() == types.ConfigMap {
				for _, member := range s.Get("data").Members() {
					requireNoCredential(member.Key, member.Value)
				}
				return
			}
			for _, container := range pods.Containers(pods.Spec(s)) {
				for _, variable := range container.Get("env").Items() {
					if name, ok := variable.Get("name").Text(""); ok {
						requireNoCredential(name, variable.Get("value"))
					}
				}
			}
		},
	}}
}

// expression compiles a regular expression on first use, because the pack must start fast.
func expression(text string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(text) })
}

// The forms of credentials. A value that a template fills in, or that names a file, is not a credential.
var (
	credentialURL = expression(`[a-z][a-z0-9+.-]*://[^\s/:@{}$]*:[^\s/@{}$]+@`)
	privateKey    = expression(`-{5}BEGIN [A-Z ]*PRIVATE KEY-{5}`)
	accessKey     = expression(`\b(AKIA|ASIA)[A-Z0-9]{16}\b`)
	userlist      = expression(`(?m)^"[^"\n]+" "[^"\n]+"\s*$`)
	secretName    = expression(`(?i)(^|[_.-])(password|passwd|pwd|secret|token|api[_-]?key|access[_-]?key|` +
		`private[_-]?key|credentials?)$|^pgpassword$`)
)

// requireNoCredential fails if a value looks like a credential. The key is its name.
func requireNoCredential(key string, value rule.Value) {
	text, ok := value.Text("")
	switch {
	case !ok || strings.TrimSpace(text) == "":
	case credentialURL().MatchString(text):
		value.FailUnseen("contains a password in a URL")
	case privateKey().MatchString(text):
		value.FailUnseen("is a private key")
	case accessKey().MatchString(text):
		value.FailUnseen("contains an access key of AWS")
	case userlist().MatchString(text):
		value.FailUnseen("contains users and passwords of PgBouncer")
	case secretName().MatchString(key) && !strings.HasPrefix(text, "/") && !strings.Contains(text, "{{"):
		value.FailUnseen("has the name of a credential")
	}
}
