package pods

import (
	"slices"

	"dbtier/policy/rule"
)

// Types of the objects that make pods.
const (
	Deployment  = "kubernetes:apps/v1:Deployment"
	StatefulSet = "kubernetes:apps/v1:StatefulSet"
	DaemonSet   = "kubernetes:apps/v1:DaemonSet"
	ReplicaSet  = "kubernetes:apps/v1:ReplicaSet"
	Job         = "kubernetes:batch/v1:Job"
	CronJob     = "kubernetes:batch/v1:CronJob"
	Pod         = "kubernetes:core/v1:Pod"
)

// Servers run until they are stopped; the others end by themselves.
var Servers = []string{Deployment, StatefulSet, DaemonSet, ReplicaSet}

// All are the types of all objects that make pods.
var All = append([]string{Job, CronJob, Pod}, Servers...)

// Needs are the properties that the functions of this package read.
var Needs = []string{"metadata", "spec"}

// Template is the pod's template, or the pod itself: an object with metadata and spec.
func Template(s *rule.Subject) rule.Value {
	switch s.Type() {
	case Pod:
		return s.Get()
	case CronJob:
		return s.Get("spec", "jobTemplate", "spec", "template")
	default:
		return s.Get("spec", "template")
	}
}

// Spec is the pod's spec.
func Spec(s *rule.Subject) rule.Value { return Template(s).Get("spec") }

// Labels are the pod's labels.
func Labels(s *rule.Subject) rule.Value { return Template(s).Get("metadata").Get("labels") }

// Namespace of an object; the default one is named.
func Namespace(s *rule.Subject) (name string, ok bool) {
	return s.Get("metadata", "namespace").Text("default")
}

// Exempt is the knob by which rules leave namespaces out whose pods other people's charts decide about.
var Exempt = rule.Knob{
	Name: "exempt", Description: "Namespaces of the cluster's own operators, whose charts decide.",
	Default: []string{"kube-system", "external-secrets"},
}

// Exempted tells whether the knob leaves the object out.
func Exempted(s *rule.Subject) bool {
	namespace, ok := Namespace(s)
	return ok && slices.Contains(s.Texts(Exempt.Name), namespace)
}

// Containers are all containers of a pod, those that run before it too.
func Containers(spec rule.Value) []rule.Value {
	var all []rule.Value
	for _, key := range []string{"initContainers", "containers", "ephemeralContainers"} {
		all = append(all, spec.Get(key).Items()...)
	}
	return all
}

// Secrets are the names of the Secrets that a pod takes values or files from.
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
			add(from.Get("secretRef").Get("name"))
		}
		for _, variable := range container.Get("env").Items() {
			add(variable.Get("valueFrom").Get("secretKeyRef").Get("name"))
		}
	}
	for _, volume := range spec.Get("volumes").Items() {
		add(volume.Get("secret").Get("secretName"))
		for _, source := range volume.Get("projected").Get("sources").Items() {
			add(source.Get("secret").Get("name"))
		}
	}
	return names
}
