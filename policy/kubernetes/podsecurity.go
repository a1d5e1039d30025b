package kubernetes

import (
	"slices"
	"strings"

	"dbtier/policy/internal/pods"
	"dbtier/policy/rule"
)

// podSecurity are the pod security standards, and what the catalogues add to them.
func podSecurity() []*rule.Rule {
	return []*rule.Rule{
		podRule("k8s-host-namespaces", "Pods have namespaces of their own.",
			"With the host's, a pod sees every process, listens on every address and reads the memory of the node.",
			"leave hostNetwork, hostPID and hostIPC out", rule.Critical, rule.Always,
			[]string{
				"CKV_K8S_17", "CKV_K8S_18", "CKV_K8S_19", "KSV-0008", "KSV-0009", "KSV-0010",
				"kyverno:disallow-host-namespaces", "PSS:host-namespaces",
			},
			pod(func(_ *rule.Subject, spec rule.Value) {
				for _, key := range []string{"hostNetwork", "hostPID", "hostIPC"} {
					if is, ok := spec.Get(key).Bool(false); ok && is {
						spec.Get(key).Fail("shares the host's namespace")
					}
				}
			})),
		podRule("k8s-host-process", "No pod is a process of a Windows host.",
			"Such a pod is an administrator of its node.", "leave windowsOptions.hostProcess out", rule.Critical,
			rule.Always,
			[]string{"kyverno:disallow-host-process", "PSS:host-process"},
			containers(func(spec, container rule.Value) {
				options := inherited(spec, container, "windowsOptions")
				if is, ok := options.Get("hostProcess").Bool(false); ok && is {
					options.Get("hostProcess").Fail("runs on the host")
				}
			})),
		podRule("k8s-privileged", "No container is privileged.",
			"A privileged container is root on its node.",
			"leave securityContext.privileged out, and add the one capability that is needed", rule.Critical,
			rule.Always, []string{"CKV_K8S_16", "KSV-0017", "kyverno:disallow-privileged-containers", "PSS:privileged"},
			containers(func(_, container rule.Value) {
				value := container.Get("securityContext").Get("privileged")
				if is, ok := value.Bool(false); ok && is {
					value.Fail("is root on the node")
				}
			})),
		podRule("k8s-privilege-escalation", "No process of a container can gain more rights than its parent.",
			"A setuid program in the image makes root of any user.",
			"set securityContext.allowPrivilegeEscalation to false", rule.High, rule.Always,
			[]string{"CKV_K8S_20", "KSV-0001", "kyverno:disallow-privilege-escalation", "PSS:privilege-escalation"},
			containers(func(_, container rule.Value) {
				value := container.Get("securityContext").Get("allowPrivilegeEscalation")
				if is, ok := value.Bool(true); ok && is {
					value.Fail("setuid programs work")
				}
			})),
		podRule("k8s-run-as-non-root", "No container runs as root.",
			"Root in a container is one bug of the kernel away from root on the node.",
			"set securityContext.runAsNonRoot, and runAsUser to a number where the image names its user", rule.High,
			rule.Always,
			[]string{
				"CKV_K8S_23", "CKV_K8S_29", "CKV_K8S_30", "KSV-0012", "KSV-0105", "KSV-0118",
				"kyverno:require-run-as-nonroot",
				"kyverno:require-run-as-non-root-user", "PSS:run-as-non-root",
			},
			containers(func(spec, container rule.Value) {
				value := inherited(spec, container, "runAsNonRoot")
				if is, ok := value.Bool(false); ok && !is {
					value.Fail("may run as root")
				}
				user := inherited(spec, container, "runAsUser")
				if uid, ok := user.Number(-1); ok && uid == 0 {
					user.Fail("is root")
				}
			})),
		exempting(podRule("k8s-high-uid", "Containers run as a user and group above 10000.",
			"A low number may be a user of the node, whose files a container that breaks out then owns.",
			"set securityContext.runAsUser and runAsGroup to 10001 or above", rule.Low, rule.Advice,
			[]string{"CKV_K8S_40", "KSV-0020", "KSV-0021"},
			containers(func(spec, container rule.Value) {
				for _, key := range []string{"runAsUser", "runAsGroup"} {
					value := inherited(spec, container, key)
					if uid, ok := value.Number(0); ok && uid <= 10000 {
						value.Fail("want a number above 10000")
					}
				}
			}))),
		podRule("k8s-capabilities", "Containers drop every capability and get none back but NET_BIND_SERVICE.",
			"NET_RAW forges packets, SYS_ADMIN is nearly root; the runtime's default set has both kinds.",
			"set securityContext.capabilities.drop to [ALL]", rule.High, rule.Always,
			[]string{
				"CKV_K8S_28", "CKV_K8S_25", "CKV_K8S_37", "CKV_K8S_39", "KSV-0003", "KSV-0022", "KSV-0106",
				"kyverno:disallow-capabilities",
				"kyverno:disallow-capabilities-strict", "kyverno:require-drop-all", "PSS:capabilities",
			},
			containers(func(_, container rule.Value) {
				capabilities := container.Get("securityContext").Get("capabilities")
				drop, add := capabilities.Get("drop"), capabilities.Get("add")
				if drop.Known() && !slices.Contains(drop.Texts(), "ALL") {
					drop.Fail("does not drop ALL")
				}
				for _, item := range add.Items() {
					if name, ok := item.Text(""); ok && name != "NET_BIND_SERVICE" {
						item.Fail("is a capability that no service needs")
					}
				}
			})),
		podRule("k8s-seccomp", "The runtime's seccomp filter holds.",
			"Without it every system call of the kernel is there to be attacked.",
			"set securityContext.seccompProfile.type to RuntimeDefault", rule.Medium, rule.Always,
			[]string{
				"CKV_K8S_31", "KSV-0030", "KSV-0104", "kyverno:restrict-seccomp",
				"kyverno:restrict-seccomp-strict", "PSS:seccomp",
			},
			containers(func(spec, container rule.Value) {
				value := inherited(spec, container, "seccompProfile").Get("type")
				if kind, ok := value.Text(""); ok && kind != "RuntimeDefault" && kind != "Localhost" {
					value.Fail("want RuntimeDefault or Localhost")
				}
			})),
		podRule("k8s-read-only-root", "The root file system of a container is read-only.",
			"Who gets in cannot leave anything behind, nor change the program.",
			"set securityContext.readOnlyRootFilesystem, with an emptyDir where the program writes", rule.Medium,
			rule.InProduction,
			[]string{
				"CKV_K8S_22", "KSV-0014", "kyverno:require-ro-rootfs", "pulumi:kubernetes.enableReadOnlyRootFilesystem",
			},
			containers(func(_, container rule.Value) {
				value := container.Get("securityContext").Get("readOnlyRootFilesystem")
				if is, ok := value.Bool(false); ok && !is {
					value.Fail("the root file system can be written")
				}
			})),
		podRule("k8s-volume-types", "Pods mount volumes of the restricted kinds only.",
			"A path of the host is a way out of the container; the socket of the runtime is root on the node.",
			"use configMap, csi, downwardAPI, emptyDir, ephemeral, persistentVolumeClaim, projected or secret",
			rule.Critical, rule.Always,
			[]string{
				"CKV_K8S_27", "KSV-0023", "kyverno:disallow-host-path", "kyverno:restrict-volume-types",
				"PSS:volume-types",
			},
			pod(func(_ *rule.Subject, spec rule.Value) {
				allowed := []string{
					"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim",
					"projected", "secret",
				}
				for _, volume := range spec.Get("volumes").Items() {
					for _, member := range volume.Members() {
						if member.Key != "name" && member.Value.Given() && !slices.Contains(allowed, member.Key) {
							volume.Get(member.Key).Fail("is a kind of volume that pods may not have")
						}
					}
				}
			})),
		podRule("k8s-host-port", "No container has a port of the node.",
			"It goes past NetworkPolicies and Services, and only one such pod fits on a node.", "use a Service",
			rule.High, rule.Always,
			[]string{"CKV_K8S_26", "KSV-0024", "kyverno:disallow-host-ports", "PSS:host-ports"},
			containers(func(_, container rule.Value) {
				for _, port := range container.Get("ports").Items() {
					if number, ok := port.Get("hostPort").Number(0); ok && number != 0 {
						port.Get("hostPort").Fail("is a port of the node")
					}
				}
			})),
		podRule("k8s-privileged-port", "Containers listen above 1023.",
			"Below, the process needs root or NET_BIND_SERVICE.", "choose a port above 1023; the Service may have any",
			rule.Low, rule.InProduction,
			[]string{"KSV-0117"},
			containers(func(_, container rule.Value) {
				for _, port := range container.Get("ports").Items() {
					if number, ok := port.Get("containerPort").Number(65535); ok && number < 1024 {
						port.Get("containerPort").Fail("is a privileged port")
					}
				}
			})),
		podRule("k8s-proc-mount", "/proc is masked.", "Unmasked, it has keys and settings of the node's kernel.",
			"leave procMount out", rule.High, rule.Always,
			[]string{"kyverno:disallow-proc-mount", "PSS:proc-mount"},
			containers(func(_, container rule.Value) {
				value := container.Get("securityContext").Get("procMount")
				if kind, ok := value.Text(""); ok && kind != "" && kind != "Default" {
					value.Fail("want Default")
				}
			})),
		podRule("k8s-selinux", "SELinux is left on.", "Another type or user takes the confinement away.",
			"leave seLinuxOptions out, or use container_t, container_init_t or container_kvm_t", rule.High, rule.Always,
			[]string{"kyverno:disallow-selinux", "PSS:selinux"},
			containers(func(spec, container rule.Value) {
				options := inherited(spec, container, "seLinuxOptions")
				kind, ok := options.Get("type").Text("")
				if ok && !slices.Contains([]string{
					"", "container_t", "container_init_t", "container_kvm_t",
					"container_engine_t",
				}, kind) {
					options.Get("type").Fail("is no type of containers")
				}
				for _, key := range []string{"user", "role"} {
					if text, ok := options.Get(key).Text(""); ok && text != "" {
						options.Get(key).Fail("may not be chosen")
					}
				}
			})),
		podRule("k8s-apparmor", "AppArmor is left on.", "Unconfined takes the runtime's profile away.",
			"leave appArmorProfile out, or use RuntimeDefault", rule.High,
			rule.Always, []string{"kyverno:restrict-apparmor-profiles", "PSS:apparmor"},
			pod(func(s *rule.Subject, spec rule.Value) {
				for _, container := range pods.Containers(spec) {
					value := inherited(spec, container, "appArmorProfile").Get("type")
					if kind, ok := value.Text(""); ok && kind == "Unconfined" {
						value.Fail("want RuntimeDefault or Localhost")
					}
				}
				for _, annotation := range pods.Template(s).Get("metadata").Get("annotations").Members() {
					if !strings.HasPrefix(annotation.Key, "container.apparmor.security.beta.kubernetes.io/") {
						continue
					}
					if profile, ok := annotation.Value.Text(""); ok && profile == "unconfined" {
						annotation.Value.Fail("want runtime/default")
					}
				}
			})),
		podRule("k8s-sysctls", "Pods set harmless kernel parameters only.",
			"The others change the node for every pod on it.",
			"leave other sysctls to the node", rule.High, rule.Always,
			[]string{"kyverno:restrict-sysctls", "PSS:sysctls"},
			pod(func(_ *rule.Subject, spec rule.Value) {
				safe := []string{
					"kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range", "net.ipv4.ip_unprivileged_port_start",
					"net.ipv4.tcp_syncookies",
					"net.ipv4.ping_group_range", "net.ipv4.ip_local_reserved_ports", "net.ipv4.tcp_keepalive_time",
					"net.ipv4.tcp_fin_timeout",
					"net.ipv4.tcp_keepalive_intvl", "net.ipv4.tcp_keepalive_probes",
				}
				for _, sysctl := range spec.Get("securityContext").Get("sysctls").Items() {
					if name, ok := sysctl.Get("name").Text(""); ok && !slices.Contains(safe, name) {
						sysctl.Get("name").Fail("is a parameter of the node")
					}
				}
			})),
	}
}
