// Package kubernetes has the rules for Kubernetes objects: the Pod Security Standards, the quality of pods, namespaces,
// Services and rights in the cluster.
package kubernetes

import (
	"slices"

	"dbtier/policy/internal/pods"
	"dbtier/policy/rule"
	"dbtier/policy/types"
)

// Rules returns all rules of the family.
func Rules() []*rule.Rule {
	return rule.Family("kubernetes", types.Templates(), slices.Concat(isolation(), securityContext(), probes(),
		resources(), images(), podQuality(), objects(), access())...)
}

// pod judges the spec of a workload's pods.
func pod(judge func(s *rule.Subject, spec rule.Value)) func(*rule.Subject) {
	return func(s *rule.Subject) {
		if spec := pods.Spec(s); spec.Known() {
			judge(s, spec)
		}
	}
}

// containers judges each container, init containers included.
func containers(judge func(spec, container rule.Value)) func(*rule.Subject) {
	return pod(func(_ *rule.Subject, spec rule.Value) {
		for _, container := range pods.Containers(spec) {
			if container.Known() {
				judge(spec, container)
			}
		}
	})
}

// context judges the security context of each container.
func context(judge func(context rule.Value)) func(*rule.Subject) {
	return containers(func(_, container rule.Value) { judge(container.Get("securityContext")) })
}

// inherited returns a setting of a container's security context, or the pod's if the container does not set it.
func inherited(spec, container rule.Value, key string) rule.Value {
	own := container.Get("securityContext", key)
	if own.Missing() {
		if shared := spec.Get("securityContext", key); !shared.Missing() {
			return shared
		}
	}
	return own
}

// unlessExempt skips objects in the namespaces of the knob [pods.Exempt].
func unlessExempt(judge func(*rule.Subject)) func(*rule.Subject) {
	return func(s *rule.Subject) {
		if !pods.Exempted(s) {
			judge(s)
		}
	}
}

func exempt() []rule.Knob { return []rule.Knob{pods.Exempt()} }
