// Package pods reads the pods of Kubernetes workloads.
package pods

import (
	"slices"

	"dbtier/policy/rule"
	"dbtier/policy/types"
)

// Template returns the template of a workload's pods, or the pod itself: an object with metadata and spec.
func Template(s *rule.Subject) rule.Value {
	switch s.Type() {
	case types.Pod:
		return s.Get()
	case types.PodTemplate:
		return s.Get("template")
	case types.CronJob:
		return s.Get("spec", "jobTemplate", "spec", "template")
	default:
		return s.Get("spec", "template")
	}
}

// Spec returns the spec of the pods.
func Spec(s *rule.Subject) rule.Value { return Template(s).Get("spec") }

// Labels returns the labels of the pods.
func Labels(s *rule.Subject) rule.Value { return Template(s).Get("metadata", "labels") }

// Namespace reads the namespace of an object. It is "default" if the object does not set one.
func Namespace(read *rule.Reader, s *rule.Subject) string {
	return read.Text(s.Get("metadata", "namespace"), "default")
}

// Exempt is the knob of rules that do not apply to the cluster's operators, whose pods come from public charts.
func Exempt() rule.Knob {
	return rule.Knob{
		Name: "exempt",
		Description: "Namespaces of the cluster's operators, or names of their Helm charts. Their pods are made by " +
			"others.",
		Default: []string{"kube-system", "external-secrets"},
	}
}

// Exempted reports whether the knob [Exempt] excludes the object. An operator can be in any namespace, and Helm's label
// names the chart that its objects come from.
func Exempted(s *rule.Subject) bool {
	var read rule.Reader
	namespace := Namespace(&read, s)
	label := read.Text(s.Get("metadata", "labels", "helm.sh/chart"), "")
	exempt := s.Texts("exempt")
	return read.OK() && (slices.Contains(exempt, namespace) || slices.Contains(exempt, chart(label)))
}

// chart returns the name in a label such as external-secrets-0.20.4.
func chart(label string) string {
	for at := len(label) - 1; at > 0; at-- {
		if label[at-1] == '-' && label[at] >= '0' && label[at] <= '9' {
			return label[:at-1]
		}
	}
	return label
}

// Containers returns all containers of a pod, init containers included.
func Containers(spec rule.Value) []rule.Value {
	var all []rule.Value
	for _, key := range []string{"initContainers", "containers", "ephemeralContainers"} {
		all = append(all, spec.Get(key).Items()...)
	}
	return all
}

// Images returns the known images of a pod's containers, without init containers.
func Images(spec rule.Value) []string {
	var found []string
	for _, container := range spec.Get("containers").Items() {
		if image, ok := container.Get("image").Text(""); ok {
			found = append(found, image)
		}
	}
	return found
}

// Secrets returns the names of the Secrets that a pod reads as variables or files.
func Secrets(spec rule.Value) []string {
	var names []string
	add := func(value rule.Value) {
		if value.Missing() {
			return
		}
		if name, ok := value.Text(""); ok && name != "" {
			names = append(names, name)
		}
	}
	for _, container := range Containers(spec) {
		for _, from := range container.Get("envFrom").Items() {
			add(from.Get("secretRef", "name"))
		}
		for _, variable := range container.Get("env").Items() {
			add(variable.Get("valueFrom", "secretKeyRef", "name"))
		}
	}
	for _, volume := range spec.Get("volumes").Items() {
		add(volume.Get("secret", "secretName"))
		for _, source := range volume.Get("projected", "sources").Items() {
			add(source.Get("secret", "name"))
		}
	}
	return names
}
