package stackwide

import (
	"slices"
	"strings"

	"dbtier/policy/internal/pgini"
	"dbtier/policy/internal/pods"
	"dbtier/policy/rule"
	"dbtier/policy/types"
	"dbtier/validation/dsn"
)

const partOf = "app.kubernetes.io/part-of"

// workload is an object that creates pods.
type workload struct {
	*rule.Subject
	namespace string
	labels    map[string]string
	spec      rule.Value
	// secrets are the Secrets that the pods read, filled on first use.
	secrets map[string]bool
}

// server reports whether the pods run until they are stopped.
func (w *workload) server() bool {
	return slices.Contains(types.Servers(), w.Type()) || w.Type() == types.Pod
}

// reads reports whether the pods read a Secret of their namespace.
func (w *workload) reads(secret string) bool {
	if w.secrets == nil {
		w.secrets = map[string]bool{}
		for _, name := range pods.Secrets(w.spec) {
			w.secrets[name] = true
		}
	}
	return w.secrets[secret]
}

// replicas returns the number of pods. It is not ok if the number is unknown.
func (w *workload) replicas() (count float64, ok bool) { return w.Get("spec", "replicas").Number(1) }

// workloads returns the workloads of the given types whose namespace and labels are known: all, and by namespace.
func workloads(s *rule.Stack, kinds []string) (all []*workload, in map[string][]*workload) {
	in = map[string][]*workload{}
	for _, subject := range s.All(kinds...) {
		var read rule.Reader
		w := &workload{
			Subject: subject, namespace: pods.Namespace(&read, subject), labels: read.TextMap(pods.Labels(subject)),
			spec: pods.Spec(subject),
		}
		if w.spec.Known() && read.OK() {
			all, in[w.namespace] = append(all, w), append(in[w.namespace], w)
		}
	}
	return all, in
}

// poolsOf returns the workloads that mount a configuration of PgBouncer.
func poolsOf(config pgini.Config, in map[string][]*workload) []*workload {
	var read rule.Reader
	namespace := pods.Namespace(&read, config.Value.Subject())
	if !read.OK() {
		return nil
	}
	var found []*workload
	for _, w := range in[namespace] {
		mounts := w.reads(config.Object)
		for _, volume := range w.spec.Get("volumes").Items() {
			if name := volume.Get("configMap", "name"); !name.Missing() {
				text, _ := name.Text("")
				mounts = mounts || text == config.Object
			}
		}
		if mounts {
			found = append(found, w)
		}
	}
	return found
}

// secret is a Secret that an ExternalSecret of the stack creates.
type secret struct {
	// service is the part-of label: the service that the Secret is for.
	namespace, name, service string
	// hosts are those of the connection URLs in the Secret.
	hosts []string
	// url says that the Secret contains a connection URL, whose host may be unknown.
	url bool
	// config says that the Secret contains files of PgBouncer.
	config bool
}

// secretsOf returns the Secrets that the stack creates: all, and by namespace.
func secretsOf(s *rule.Stack) (all []*secret, in map[string][]*secret) {
	in = map[string][]*secret{}
	for _, subject := range s.All(types.ExternalSecret) {
		var read rule.Reader
		name, ok := subject.Get("metadata", "name").Text("")
		if target := subject.Get("spec", "target", "name"); !target.Missing() {
			name, ok = target.Text(name)
		}
		created := &secret{
			name: name, namespace: pods.Namespace(&read, subject),
			service: read.Text(subject.Get("metadata", "labels", partOf), ""),
		}
		if !ok || !read.OK() {
			continue
		}
		for _, member := range subject.Get("spec", "target", "template", "data").Members() {
			text, _ := member.Value.Text("")
			host, hasHost := dsn.Host(text)
			if hasHost {
				created.hosts = append(created.hosts, host)
			}
			created.url = created.url || hasHost || member.Key == "DATABASE_URL"
			created.config = created.config || strings.HasSuffix(member.Key, ".ini") || member.Key == "userlist.txt"
		}
		all, in[created.namespace] = append(all, created), append(in[created.namespace], created)
	}
	return all, in
}

// outside reports whether a connection URL leads out of the cluster.
func (s *secret) outside() bool {
	return slices.ContainsFunc(s.hosts, func(host string) bool { return !dsn.InCluster(host) })
}

// outside reports whether a text is a connection URL that leads out of the cluster.
func outside(text string) bool {
	host, ok := dsn.Host(text)
	return ok && !dsn.InCluster(host)
}

// direct reports whether a connection URL leads to the database itself, and not to a pool in the cluster or to RDS
// Proxy, whose host names contain .proxy-.
func (s *secret) direct() bool {
	return slices.ContainsFunc(s.hosts, func(host string) bool {
		return !dsn.InCluster(host) && !strings.Contains(host, ".proxy-")
	})
}
