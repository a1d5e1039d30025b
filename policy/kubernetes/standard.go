package kubernetes

import (
	"dbtier/policy/internal/pods"
	"dbtier/policy/rule"
)

// PodSecurityVersion is the version of the Pod Security Standards that the rules with a PSS id follow, and that the
// lists below are from. The tests in tests/podsecurity compare both with the admission plugin of Kubernetes, and fail
// if a newer plugin has more.
const PodSecurityVersion = "v1.37"

// safeSysctls returns the kernel parameters that affect only the pod that sets them.
func safeSysctls() []string {
	return []string{
		"kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range", "net.ipv4.ip_unprivileged_port_start",
		"net.ipv4.tcp_syncookies", "net.ipv4.ping_group_range", "net.ipv4.ip_local_reserved_ports",
		"net.ipv4.tcp_keepalive_time", "net.ipv4.tcp_fin_timeout", "net.ipv4.tcp_keepalive_intvl",
		"net.ipv4.tcp_keepalive_probes", "net.ipv4.tcp_rmem", "net.ipv4.tcp_wmem",
		"net.ipv4.tcp_slow_start_after_idle", "net.ipv4.tcp_notsent_lowat",
	}
}

// restrictedVolumes returns the types of volumes that show a pod nothing of its node.
func restrictedVolumes() []string {
	return []string{
		"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "image", "persistentVolumeClaim", "projected",
		"secret",
	}
}

// containerTypes returns the SELinux types of confined containers.
func containerTypes() []string {
	return []string{"", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"}
}

// settings returns a setting of the security contexts of the pod and of its containers, where it is set. The standards
// refuse a value of the pod even if all containers override it: a container that is added later inherits the value, and
// Kubernetes merges objects such as windowsOptions field by field.
func settings(spec rule.Value, key string) []rule.Value {
	var set []rule.Value
	for _, holder := range append([]rule.Value{spec}, pods.Containers(spec)...) {
		if value := holder.Get("securityContext", key); !value.Missing() {
			set = append(set, value)
		}
	}
	return set
}

// eachSetting judges a setting wherever the pod or a container sets it.
func eachSetting(key string, judge func(value rule.Value)) func(*rule.Subject) {
	return pod(func(_ *rule.Subject, spec rule.Value) {
		for _, value := range settings(spec, key) {
			judge(value)
		}
	})
}

// complete returns the containers of a pod whose missing settings are judged. Among those of a patch these are the ones
// with an image, because the patch can add them to the pod.
func complete(spec rule.Value) []rule.Value {
	var found []rule.Value
	for _, container := range pods.Containers(spec) {
		if container.Get("image").Unset() {
			found = append(found, container)
		} else {
			found = append(found, container.Whole())
		}
	}
	return found
}

// requireSet requires that each container sets a setting or inherits it from the pod.
func requireSet(spec rule.Value, key, reason string) {
	if !spec.Get("securityContext", key).Unset() {
		return
	}
	for _, container := range complete(spec) {
		if own := container.Get("securityContext", key); own.Missing() {
			own.Fail("%s", reason)
		}
	}
}

// contexts returns the security contexts of the [complete] containers.
func contexts(spec rule.Value) []rule.Value {
	var found []rule.Value
	for _, container := range complete(spec) {
		if container.Known() {
			found = append(found, container.Get("securityContext"))
		}
	}
	return found
}

// onWindows reports whether the pod is for nodes with Windows, or may be. There the API server refuses the settings
// that Linux needs.
func onWindows(spec rule.Value) bool {
	system := spec.Get("os", "name")
	if system.Unset() {
		return false
	}
	name, ok := system.Text("")
	return !ok || name == "windows"
}

// onLinux judges the spec of pods that are not [onWindows].
func onLinux(judge func(spec rule.Value)) func(*rule.Subject) {
	return pod(func(_ *rule.Subject, spec rule.Value) {
		if !onWindows(spec) {
			judge(spec)
		}
	})
}
