package stackwide

import (
	"regexp"
	"slices"
	"strings"
	"sync"

	"dbtier/policy/internal/pods"
	"dbtier/policy/rule"
)

const (
	serviceAccount     = "kubernetes:core/v1:ServiceAccount"
	networkPolicy      = "kubernetes:networking.k8s.io/v1:NetworkPolicy"
	disruption         = "kubernetes:policy/v1:PodDisruptionBudget"
	roleBinding        = "kubernetes:rbac.authorization.k8s.io/v1:RoleBinding"
	clusterRoleBinding = "kubernetes:rbac.authorization.k8s.io/v1:ClusterRoleBinding"
	definition         = "kubernetes:apiextensions.k8s.io/v1:CustomResourceDefinition"
	externalSecret     = "kubernetes:external-secrets.io/v1:ExternalSecret"     //nolint:gosec // a type, and no credential
	pushSecret         = "kubernetes:external-secrets.io/v1alpha1:PushSecret"   //nolint:gosec // a type, and no credential
	secretStore        = "kubernetes:external-secrets.io/v1:SecretStore"        //nolint:gosec // a type, and no credential
	clusterSecretStore = "kubernetes:external-secrets.io/v1:ClusterSecretStore" //nolint:gosec // a type, and no credential

	partOf = "app.kubernetes.io/part-of"
)

// workload is an object that makes pods.
type workload struct {
	*rule.Subject
	namespace string
	labels    map[string]string
	spec      rule.Value
	// takes are the Secrets that the pods take, once somebody has asked.
	takes map[string]bool
}

// server tells what runs until it is stopped from what ends by itself.
func (w *workload) server() bool {
	return slices.Contains(pods.Servers, w.Type()) || w.Type() == pods.Pod
}

// secrets are the names of the Secrets that the pods take.
func (w *workload) secrets() map[string]bool {
	if w.takes == nil {
		w.takes = map[string]bool{}
		for _, name := range pods.Secrets(w.spec) {
			w.takes[name] = true
		}
	}
	return w.takes
}

// workloads are those whose namespace and labels are known, by namespace.
func workloads(s *rule.Stack, types ...string) (all []*workload, in map[string][]*workload) {
	in = map[string][]*workload{}
	for _, subject := range s.All(types...) {
		namespace, ok := pods.Namespace(subject)
		labels, also := texts(pods.Labels(subject))
		spec := pods.Spec(subject)
		if ok && also && spec.Known() {
			w := &workload{Subject: subject, namespace: namespace, labels: labels, spec: spec}
			all, in[namespace] = append(all, w), append(in[namespace], w)
		}
	}
	return all, in
}

// texts is an object of texts, such as labels. It is not ok when one of them is not known.
func texts(value rule.Value) (map[string]string, bool) {
	if !value.Known() {
		return nil, false
	}
	all := map[string]string{}
	for _, member := range value.Members() {
		text, ok := member.Value.Text("")
		if !ok {
			return nil, false
		}
		all[member.Key] = text
	}
	return all, true
}

// selects tells whether a label selector fits. It is not ok when it is not known.
func selects(selector rule.Value, labels map[string]string) (fits, ok bool) {
	wanted, ok := texts(selector.Get("matchLabels"))
	if !ok {
		return false, false
	}
	for key, value := range wanted {
		if labels[key] != value {
			return false, true
		}
	}
	expressions := selector.Get("matchExpressions")
	if !expressions.Known() {
		return false, false
	}
	for _, expression := range expressions.Items() {
		key, ok := expression.Get("key").Text("")
		operator, also := expression.Get("operator").Text("")
		values := expression.Get("values")
		if !ok || !also || !values.Known() {
			return false, false
		}
		label, has := labels[key]
		among := has && slices.Contains(values.Texts(), label)
		fits := map[string]bool{"In": among, "NotIn": !among, "Exists": has, "DoesNotExist": !has}[operator]
		if !fits {
			return false, true
		}
	}
	return true, true
}

// network is the NetworkPolicies by namespace.
type network struct {
	in map[string][]*rule.Subject
	// whole is false when the namespace of one is not known.
	whole bool
}

func networkOf(s *rule.Stack) *network {
	n := &network{in: map[string][]*rule.Subject{}, whole: true}
	for _, policy := range s.All(networkPolicy) {
		namespace, ok := pods.Namespace(policy)
		n.whole = n.whole && ok
		n.in[namespace] = append(n.in[namespace], policy)
	}
	return n
}

// over are the policies of a direction, Ingress or Egress, that hold for a workload.
func (n *network) over(w *workload, direction string) (found []*rule.Subject, ok bool) {
	if !n.whole {
		return nil, false
	}
	for _, policy := range n.in[w.namespace] {
		types := policy.Get("spec", "policyTypes")
		if !types.Known() {
			return nil, false
		}
		named := types.Texts()
		// Where no types are named, every policy is about ingress, and one with egress rules about egress.
		implied := len(named) == 0 && (direction == "Ingress" || !policy.Get("spec", "egress").Missing())
		if !implied && !slices.Contains(named, direction) {
			continue
		}
		fits, known := selects(policy.Get("spec", "podSelector"), w.labels)
		if !known {
			return nil, false
		}
		if fits {
			found = append(found, policy)
		}
	}
	return found, true
}

// made is a Secret that an ExternalSecret of the stack makes.
type made struct {
	*rule.Subject
	namespace, name, service string
	// hosts are those of the connection URLs in it; config tells the files of a pool.
	hosts  []string
	config bool
	// url tells that it has a connection URL, whose host may not be known yet.
	url bool
}

// secrets are the Secrets that the stack makes, by namespace and in their order.
func secrets(s *rule.Stack) (all []*made, in map[string][]*made) {
	in = map[string][]*made{}
	for _, subject := range s.All(externalSecret) {
		namespace, ok := pods.Namespace(subject)
		name, also := subject.Get("metadata", "name").Text("")
		if target := subject.Get("spec", "target", "name"); !target.Missing() {
			name, also = target.Text(name)
		}
		service, too := subject.Get("metadata", "labels").Get(partOf).Text("")
		if !ok || !also || !too {
			continue
		}
		secret := &made{Subject: subject, namespace: namespace, name: name, service: service}
		for _, member := range subject.Get("spec", "target", "template", "data").Members() {
			secret.config = secret.config || strings.HasSuffix(member.Key, ".ini") || member.Key == "userlist.txt"
			secret.url = secret.url || member.Key == "DATABASE_URL"
			text, _ := member.Value.Text("")
			if at := urlForm().FindStringSubmatch(text); at != nil {
				secret.url = true
				secret.hosts = append(secret.hosts, at[1])
			}
		}
		all, in[namespace] = append(all, secret), append(in[namespace], secret)
	}
	return all, in
}

// outside tells a way out of the cluster from one to a Service in it.
func (m *made) outside() bool { return slices.ContainsFunc(m.hosts, outside) }

func outside(host string) bool {
	return strings.Contains(host, ".") && !strings.HasSuffix(host, ".svc") && !strings.Contains(host, ".svc.")
}

// direct tells a way to the database itself from one to a pool in the cluster or to RDS Proxy, whose names have this
// part.
func (m *made) direct() bool {
	return slices.ContainsFunc(m.hosts, func(host string) bool {
		return outside(host) && !strings.Contains(host, ".proxy-")
	})
}

// usedBy tells whether a workload of the same namespace takes the Secret.
func (m *made) usedBy(w *workload) bool { return w.secrets()[m.name] }

var urlForm = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`[a-z][a-z0-9+.-]*://(?:\{\{[^}]*\}\}|[^@/{])*@([^:/?]+)`)
})
