package kubernetes

import (
	"regexp"
	"strings"
	"sync"

	"dbtier/policy/internal/pods"
	"dbtier/policy/rule"
)

// namespaced are the types of this pack that lie in a namespace.
var namespaced = append([]string{
	service, serviceAccount, configMap, networkPolicy, disruption, role,
	"kubernetes:core/v1:Secret", "kubernetes:rbac.authorization.k8s.io/v1:RoleBinding",
	"kubernetes:external-secrets.io/v1:ExternalSecret", "kubernetes:external-secrets.io/v1:SecretStore",
}, pods.All...)

func objects() []*rule.Rule {
	return []*rule.Rule{
		{
			Name: "k8s-namespace", Family: family,
			Summary: "Objects lie in a namespace of their own.",
			Why:     "In default everything meets, and no quota, policy or right can be given to one of them.",
			Fix:     "set metadata.namespace", Severity: rule.Low, Levels: rule.Always,
			IDs: []string{"CKV_K8S_21", "KSV-0110", "kyverno:disallow-default-namespace"}, Types: namespaced,
			Needs: []string{"metadata"},
			Resource: func(s *rule.Subject) {
				// The Service of the API server itself.
				if name, _ := s.Get("metadata", "name").Text(""); name == "kubernetes" && s.Type() == service {
					return
				}
				if name, ok := pods.Namespace(s); ok && (name == "default" || name == "") {
					s.Get("metadata", "namespace").Fail("is the default one")
				}
			},
		},
		{
			Name: "k8s-namespace-pod-security", Family: family,
			Summary: "A namespace refuses pods that are not restricted.",
			Why:     "What these rules see is what Pulumi makes; the API server sees what everybody makes.",
			Fix:     "label it pod-security.kubernetes.io/enforce: restricted", Severity: rule.High,
			Levels: rule.Always,
			Knobs: []rule.Knob{{
				Name: "exempt", Description: "Namespaces that need more, for example of a CNI.",
				Default: []string{"kube-system"},
			}},
			IDs: []string{"tier:namespace-restricted"}, Types: []string{namespace}, Needs: []string{"metadata"},
			Resource: func(s *rule.Subject) {
				name, ok := s.Get("metadata", "name").Text("")
				value := s.Get("metadata", "labels", "pod-security.kubernetes.io/enforce")
				level, also := value.Text("")
				if !ok || !also || level == "restricted" {
					return
				}
				for _, exempt := range s.Texts("exempt") {
					if exempt == name {
						return
					}
				}
				value.Fail("want restricted")
			},
		},
		{
			Name: "k8s-service-inside", Family: family,
			Summary: "A Service is reached from inside the cluster only.",
			Why: "A load balancer or node port of a pool puts the database on the network, past every " +
				"NetworkPolicy.",
			Fix: "use type ClusterIP, and an Ingress for HTTP", Severity: rule.High, Levels: rule.Always,
			IDs: []string{"pulumi:kubernetes.Service.disallowLoadBalancer"}, Types: []string{service},
			Needs: []string{"spec"},
			Resource: func(s *rule.Subject) {
				value := s.Get("spec", "type")
				if kind, ok := value.Text("ClusterIP"); ok && (kind == "LoadBalancer" || kind == "NodePort") {
					value.Fail("is reached from outside of the cluster")
				}
				if external := s.Get("spec", "externalIPs"); external.Known() && len(external.Items()) > 0 {
					external.Fail("takes addresses from the node")
				}
			},
		},
		{
			Name: "k8s-disruption-budget", Family: family,
			Summary: "A PodDisruptionBudget lets at least one pod go.",
			Why:     "With none, nodes cannot be drained, and upgrades of the cluster hang.",
			Fix:     "set maxUnavailable to 1", Severity: rule.Medium, Levels: rule.Always,
			IDs: []string{
				"pulumi:kubernetes.PodDisruptionBudget.disallowZeroVoluntaryDisruption",
				"kyverno:pdb-minavailable",
			},
			Types: []string{disruption}, Needs: []string{"spec"},
			Resource: func(s *rule.Subject) {
				most, least := s.Get("spec", "maxUnavailable"), s.Get("spec", "minAvailable")
				if text, ok := most.Text(""); ok && (text == "0" || text == "0%") {
					most.Fail("lets no pod go")
				}
				if text, ok := least.Text(""); ok && text == "100%" {
					least.Fail("lets no pod go")
				}
			},
		},
		{
			Name: "k8s-network-policy-selects", Family: family,
			Summary: "A NetworkPolicy that lets in names from where.",
			Why:     "An empty rule lets everybody in, and looks like protection.",
			Fix:     "name a podSelector, namespaceSelector or ipBlock in from", Severity: rule.Medium,
			Levels: rule.Always,
			IDs:    []string{"KSV-0038"}, Types: []string{networkPolicy}, Needs: []string{"spec"},
			Resource: func(s *rule.Subject) {
				for _, ingress := range s.Get("spec", "ingress").Items() {
					from := ingress.Get("from")
					if !from.Known() {
						continue
					}
					if from.Empty() {
						ingress.Fail("lets everybody in")
					}
					for _, peer := range from.Items() {
						if cidr, ok := peer.Get("ipBlock").Get("cidr").Text(""); ok &&
							(cidr == "0.0.0.0/0" || cidr == "::/0") {
							peer.Get("ipBlock").Get("cidr").Fail("lets everybody in")
						}
					}
				}
			},
		},
		{
			Name: "k8s-no-credentials-in-config", Family: family,
			Summary: "ConfigMaps and variables of containers have no credentials in them.",
			Why: "They are no secrets: they are in the state, in every backup and in front of everybody who may " +
				"read the namespace.",
			Fix: "take the value from a Secret that the operator makes", Severity: rule.Critical,
			Levels: rule.Always,
			IDs:    []string{"KSV-0109", "KSV-01010", "gap:no-secret-in-config"},
			Types:  append([]string{configMap}, pods.All...),
			Needs:  []string{"data", "binaryData", "spec"},
			Resource: func(s *rule.Subject) {
				if s.Type() == configMap {
					for _, member := range s.Get("data").Members() {
						if text, ok := member.Value.Text(""); ok {
							if reason := credential(member.Key, text); reason != "" {
								member.Value.FailUnseen("%s", reason)
							}
						}
					}
					return
				}
				for _, container := range pods.Containers(pods.Spec(s)) {
					for _, variable := range container.Get("env").Items() {
						name, ok := variable.Get("name").Text("")
						text, also := variable.Get("value").Text("")
						if !ok || !also {
							continue
						}
						if reason := credential(name, text); reason != "" {
							variable.Get("value").FailUnseen("%s", reason)
						}
					}
				}
			},
		},
	}
}

// The forms of credentials. A value that a template fills in later, or that names a file, is none.
var (
	credentialURL = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`[a-z][a-z0-9+.-]*://[^\s/:@{}$]*:[^\s/@{}$]+@`)
	})
	privateKey = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`-{5}BEGIN [A-Z ]*PRIVATE KEY-{5}`)
	})
	accessKey  = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`\b(AKIA|ASIA)[A-Z0-9]{16}\b`) })
	secretName = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(
			`(?i)(^|[_.-])(password|passwd|pwd|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|credentials?)$|^pgpassword$`,
		)
	})
	userlist = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`(?m)^"[^"\n]+" "[^"\n]+"\s*$`) })
)

// credential says what makes a value look like a credential, or nothing.
func credential(key, text string) string {
	switch {
	case strings.TrimSpace(text) == "":
		return ""
	case credentialURL().MatchString(text):
		return "has a password in a URL"
	case privateKey().MatchString(text):
		return "is a private key"
	case accessKey().MatchString(text):
		return "has an access key of AWS"
	case userlist().MatchString(text):
		return "has users and passwords of PgBouncer"
	case secretName().MatchString(key) && !strings.HasPrefix(text, "/") && !strings.Contains(text, "{{"):
		return "has the name of a credential"
	default:
		return ""
	}
}
