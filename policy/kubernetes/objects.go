package kubernetes

import (
	"slices"

	"dbtier/policy/internal/cidr"
	"dbtier/policy/internal/pods"
	"dbtier/policy/rule"
	"dbtier/policy/types"
	"dbtier/validation/credential"
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
			types.Role, types.Secret, types.RoleBinding, types.ExternalSecret, types.SecretStore, types.PushSecret,
			types.Ingress, types.Autoscaler, types.VolumeClaim, types.ResourceQuota, types.LimitRange,
		}, types.Templates()...),
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
					block := peer.Get("ipBlock", "cidr")
					if text, ok := block.Text(""); ok && cidr.Internet(text) {
						block.Fail(reason)
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
		Types:   append([]string{types.ConfigMap}, types.Templates()...),
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

// requireNoCredential fails if a value looks like a credential. The key is its name.
func requireNoCredential(key string, value rule.Value) {
	if text, ok := value.Text(""); ok {
		if reason := credential.Reason(key, text); reason != "" {
			value.FailUnseen("%s", reason)
		}
	}
}
