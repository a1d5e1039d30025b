package kubernetes

import (
	"slices"

	"dbtier/policy/internal/pods"
	"dbtier/policy/rule"
)

const (
	family         = "kubernetes"
	namespace      = "kubernetes:core/v1:Namespace"
	service        = "kubernetes:core/v1:Service"
	serviceAccount = "kubernetes:core/v1:ServiceAccount"
	configMap      = "kubernetes:core/v1:ConfigMap"
	networkPolicy  = "kubernetes:networking.k8s.io/v1:NetworkPolicy"
	disruption     = "kubernetes:policy/v1:PodDisruptionBudget"
	role           = "kubernetes:rbac.authorization.k8s.io/v1:Role"
	clusterRole    = "kubernetes:rbac.authorization.k8s.io/v1:ClusterRole"
)

// Rules are all rules of the family.
func Rules() []*rule.Rule { return slices.Concat(podSecurity(), podQuality(), objects(), access()) }

// pod is a rule on a pod's spec.
func pod(judge func(s *rule.Subject, spec rule.Value)) func(*rule.Subject) {
	return func(s *rule.Subject) {
		if spec := pods.Spec(s); spec.Known() {
			judge(s, spec)
		}
	}
}

// containers is a rule on each container, with the pod's spec.
func containers(judge func(spec, container rule.Value)) func(*rule.Subject) {
	return pod(func(_ *rule.Subject, spec rule.Value) {
		for _, container := range pods.Containers(spec) {
			if container.Known() {
				judge(spec, container)
			}
		}
	})
}

// inherited is a setting of a container's security context, or the pod's where the container has none.
func inherited(spec, container rule.Value, key string) rule.Value {
	own := container.Get("securityContext").Get(key)
	if own.Missing() {
		if shared := spec.Get("securityContext").Get(key); !shared.Missing() {
			return shared
		}
	}
	return own
}

// exempting leaves operators' namespaces out of a rule.
func exempting(r *rule.Rule) *rule.Rule {
	judge := r.Resource
	r.Knobs = append(r.Knobs, pods.Exempt)
	r.Resource = func(s *rule.Subject) {
		if !pods.Exempted(s) {
			judge(s)
		}
	}
	return r
}

func podRule(
	name, summary, why, fix string, severity rule.Severity, levels rule.Levels, ids []string, judge func(*rule.Subject),
) *rule.Rule {
	return &rule.Rule{
		Name: name, Family: family, Summary: summary, Why: why, Fix: fix, Severity: severity, Levels: levels, IDs: ids,
		Types: pods.All,
		Needs: pods.Needs, Resource: judge,
	}
}
