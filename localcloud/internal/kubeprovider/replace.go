package kubeprovider

import (
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// immutable lists the fields of each kind that the API server does not allow to change. A change of such a field
// replaces the object. "*" matches any item of a list. The rules are those of pulumi-kubernetes, so that a program
// behaves the same with both.
var immutable = map[schema.GroupKind][]string{
	{Group: "apps", Kind: "DaemonSet"}:  {"spec.selector"},
	{Group: "apps", Kind: "Deployment"}: {"spec.selector"},
	{Group: "apps", Kind: "StatefulSet"}: {
		"spec.podManagementPolicy", "spec.revisionHistoryLimit", "spec.selector", "spec.serviceName",
		"spec.volumeClaimTemplates",
	},
	// The whole template is immutable, because a Job is a single run.
	{Group: "batch", Kind: "Job"}: {"spec.completions", "spec.parallelism", "spec.selector", "spec.template"},
	{Kind: "PersistentVolume"}: {
		"spec.awsElasticBlockStore", "spec.azureDisk", "spec.azureFile", "spec.cephfs", "spec.cinder", "spec.csi",
		"spec.fc",
		"spec.flexVolume", "spec.flocker", "spec.gcePersistentDisk", "spec.glusterfs", "spec.hostPath", "spec.iscsi",
		"spec.local",
		"spec.nfs", "spec.photonPersistentDisk", "spec.portworxVolume", "spec.quobyte", "spec.rbd", "spec.scaleIO",
		"spec.storageos",
		"spec.vsphereVolume",
	},
	{Kind: "PersistentVolumeClaim"}: {"spec.accessModes", "spec.selector", "spec.storageClassName", "spec.volumeName"},
	{Kind: "Pod"}: append([]string{
		"spec.affinity", "spec.automountServiceAccountToken", "spec.dnsConfig", "spec.dnsPolicy",
		"spec.enableServiceLinks",
		"spec.hostAliases", "spec.hostIPC", "spec.hostNetwork", "spec.hostPID", "spec.hostname",
		"spec.imagePullSecrets",
		"spec.nodeName", "spec.nodeSelector", "spec.overhead", "spec.preemptionPolicy", "spec.priority",
		"spec.priorityClassName",
		"spec.readinessGates", "spec.restartPolicy", "spec.runtimeClassName", "spec.schedulerName",
		"spec.securityContext",
		"spec.serviceAccount", "spec.serviceAccountName", "spec.shareProcessNamespace", "spec.subdomain",
		"spec.terminationGracePeriodSeconds", "spec.volumes",
	}, append(containerFields("spec.containers.*"), containerFields("spec.initContainers.*")...)...),
	{Kind: "ResourceQuota"}: {"spec.scopes"},
	{Kind: "Secret"}:        {"type"},
	{Kind: "Service"}:       {"spec.clusterIP"},
	{Group: "rbac.authorization.k8s.io", Kind: "ClusterRoleBinding"}: {"roleRef"},
	{Group: "rbac.authorization.k8s.io", Kind: "RoleBinding"}:        {"roleRef"},
	{Group: "storage.k8s.io", Kind: "StorageClass"}:                  {"parameters", "provisioner"},
}

func containerFields(container string) []string {
	fields := []string{
		"args", "command", "env", "image", "imagePullPolicy", "lifecycle", "livenessProbe", "ports", "readinessProbe",
		"resources",
		"securityContext", "stdin", "stdinOnce", "terminationMessagePath", "terminationMessagePolicy", "tty",
		"volumeDevices",
		"volumeMounts", "workingDir",
	}
	for i, field := range fields {
		fields[i] = container + "." + field
	}
	return fields
}

// replacingFields returns the fields whose change replaces an object.
func replacingFields(gvk schema.GroupVersionKind, inputs resource.PropertyMap, given settings) [][]string {
	patterns := append([]string{"metadata.name", "metadata.namespace"}, immutable[gvk.GroupKind()]...)
	frozen := false
	if value, ok := field(inputs, "immutable"); ok && value.IsBool() {
		frozen = value.BoolValue()
	}
	// New content under the same name would reach only pods that start later, at different times. A new object with a
	// new name is rolled out.
	switch gvk.GroupKind() {
	case schema.GroupKind{Kind: "Secret"}:
		if !given.EnableSecretMutable || frozen {
			patterns = append(patterns, "data", "stringData")
		}
	case schema.GroupKind{Kind: "ConfigMap"}:
		if !given.EnableConfigMapMutable || frozen {
			patterns = append(patterns, "data", "binaryData")
		}
	}
	split := make([][]string, 0, len(patterns))
	for _, pattern := range patterns {
		split = append(split, strings.Split(pattern, "."))
	}
	return split
}

// touches reports whether a change concerns one of the fields: it is at or below the field, or it adds or removes a
// parent of the field.
func (c change) touches(fields [][]string) bool {
	for _, pattern := range fields {
		if matches(c.path, pattern) || holds(c, pattern) {
			return true
		}
	}
	return false
}

func matches(path resource.PropertyPath, pattern []string) bool {
	return len(path) >= len(pattern) && agree(path, pattern, len(pattern))
}

func holds(c change, pattern []string) bool {
	if len(c.path) >= len(pattern) || !agree(c.path, pattern, len(c.path)) {
		return false
	}
	// An unknown value can turn out to contain the field.
	if _, computed := c.new.(unknown); computed {
		return true
	}
	rest := pattern[len(c.path):]
	return contains(c.old, rest) || contains(c.new, rest)
}

func agree(path resource.PropertyPath, pattern []string, length int) bool {
	for i := range length {
		switch step := path[i].(type) {
		case string:
			if step != pattern[i] {
				return false
			}
		case int:
			if pattern[i] != "*" {
				return false
			}
		}
	}
	return true
}

func contains(content any, pattern []string) bool {
	if len(pattern) == 0 {
		return content != nil
	}
	switch value := content.(type) {
	case map[string]any:
		next, ok := value[pattern[0]]
		return ok && contains(next, pattern[1:])
	case []any:
		if pattern[0] != "*" {
			return false
		}
		for _, item := range value {
			if contains(item, pattern[1:]) {
				return true
			}
		}
	}
	return false
}
