package kubernetes

import (
	"strings"

	"dbtier/policy/internal/pods"
	"dbtier/policy/rule"
)

// securityContext returns the rules for the security contexts of pods and containers.
func securityContext() []*rule.Rule {
	return []*rule.Rule{{
		Name: "k8s-privilege-escalation", Severity: rule.High, Levels: rule.Always,
		Summary: "Processes in a container cannot gain more rights than their parent.",
		Why:     "Otherwise a setuid program in the image can make every user root.",
		Fix:     "set securityContext.allowPrivilegeEscalation to false",
		IDs: []string{
			"CKV_K8S_20", "KSV-0001", "kyverno:disallow-privilege-escalation",
			"PSS:privilege-escalation",
		},
		Resource: onLinux(func(spec rule.Value) {
			for _, context := range contexts(spec) {
				context.Get("allowPrivilegeEscalation").RequireFalse(true, "setuid programs work")
			}
		}),
	}, {
		Name: "k8s-run-as-non-root", Severity: rule.High, Levels: rule.Always,
		Summary: "Containers do not run as root.",
		Why:     "Root in a container needs only one kernel bug to become root on the node.",
		Fix:     "set securityContext.runAsNonRoot, and set runAsUser to a number if the image names its user",
		IDs: []string{
			"CKV_K8S_23", "CKV_K8S_29", "CKV_K8S_30", "KSV-0012", "KSV-0105", "KSV-0118",
			"kyverno:require-run-as-nonroot", "kyverno:require-run-as-non-root-user", "PSS:run-as-non-root",
		},
		Resource: pod(func(_ *rule.Subject, spec rule.Value) {
			for _, value := range settings(spec, "runAsNonRoot") {
				value.RequireTrue(false, "can run as root")
			}
			requireSet(spec, "runAsNonRoot", "is missing: can run as root")
			for _, user := range settings(spec, "runAsUser") {
				if uid, ok := user.Number(-1); ok && uid == 0 {
					user.Fail("is root")
				}
			}
		}),
	}, {
		Name: "k8s-high-uid", Severity: rule.Low, Levels: rule.Advice, Knobs: exempt(),
		Summary: "Containers run as a user and group above 10000.",
		Why:     "A lower number can be a user of the node, whose files an escaped process can then change.",
		Fix:     "set securityContext.runAsUser and runAsGroup to 10001 or higher",
		IDs:     []string{"CKV_K8S_40", "KSV-0020", "KSV-0021"},
		Resource: unlessExempt(onLinux(func(spec rule.Value) {
			for _, container := range pods.Containers(spec) {
				for _, key := range []string{"runAsUser", "runAsGroup"} {
					value := inherited(spec, container, key)
					if uid, ok := value.Number(0); ok && uid <= 10000 {
						value.Fail("want a number above 10000")
					}
				}
			}
		})),
	}, {
		Name: "k8s-capabilities", Severity: rule.High, Levels: rule.Always,
		Summary: "Containers drop all capabilities and add none except NET_BIND_SERVICE.",
		Why:     "The runtime's default set includes NET_RAW, which forges packets; SYS_ADMIN is almost root.",
		Fix:     "set securityContext.capabilities.drop to [ALL]",
		IDs: []string{
			"CKV_K8S_28", "CKV_K8S_25", "CKV_K8S_37", "CKV_K8S_39", "KSV-0003", "KSV-0022", "KSV-0106",
			"kyverno:disallow-capabilities", "kyverno:disallow-capabilities-strict", "kyverno:require-drop-all",
			"PSS:capabilities",
		},
		Resource: pod(func(_ *rule.Subject, spec rule.Value) {
			windows := onWindows(spec)
			for _, context := range contexts(spec) {
				if drop := context.Get("capabilities", "drop"); !windows && drop.Known() && !drop.Contains("ALL") {
					drop.Fail("does not drop ALL")
				}
				for _, item := range context.Get("capabilities", "add").Items() {
					item.RequireText("is a capability that services do not need", "NET_BIND_SERVICE")
				}
			}
		}),
	}, {
		Name: "k8s-seccomp", Severity: rule.Medium, Levels: rule.Always,
		Summary: "A seccomp profile is active.",
		Why:     "Without one, every system call of the kernel can be attacked.",
		Fix:     "set securityContext.seccompProfile.type to RuntimeDefault",
		IDs: []string{
			"CKV_K8S_31", "KSV-0030", "KSV-0104", "kyverno:restrict-seccomp", "kyverno:restrict-seccomp-strict",
			"PSS:seccomp",
		},
		Resource: pod(func(_ *rule.Subject, spec rule.Value) {
			const want = "want RuntimeDefault or Localhost"
			for _, profile := range settings(spec, "seccompProfile") {
				profile.Get("type").RequireText(want, "RuntimeDefault", "Localhost")
			}
			if !onWindows(spec) {
				requireSet(spec, "seccompProfile", "is missing: "+want)
			}
		}),
	}, {
		Name: "k8s-read-only-root", Severity: rule.Medium, Levels: rule.InProduction,
		Summary: "The root file system of a container is read-only.",
		Why:     "An attacker then cannot store files or change the program.",
		Fix:     "set securityContext.readOnlyRootFilesystem, and mount an emptyDir where the program writes",
		IDs: []string{
			"CKV_K8S_22", "KSV-0014", "kyverno:require-ro-rootfs", "pulumi:kubernetes.enableReadOnlyRootFilesystem",
		},
		Resource: onLinux(func(spec rule.Value) {
			for _, container := range pods.Containers(spec) {
				container.Get("securityContext", "readOnlyRootFilesystem").RequireTrue(false,
					"the root file system is writable")
			}
		}),
	}, {
		Name: "k8s-proc-mount", Severity: rule.High, Levels: rule.Always,
		Summary: "/proc is masked.",
		Why:     "An unmasked /proc exposes keys and settings of the node's kernel.",
		Fix:     "remove procMount",
		IDs:     []string{"kyverno:disallow-proc-mount", "PSS:proc-mount"},
		Resource: context(func(context rule.Value) {
			if value := context.Get("procMount"); !value.Missing() {
				value.RequireText("want Default", "Default")
			}
		}),
	}, {
		Name: "k8s-selinux", Severity: rule.High, Levels: rule.Always,
		Summary: "SELinux is not weakened.",
		Why:     "Another type, user or role removes the confinement.",
		Fix:     "remove seLinuxOptions, or use container_t, container_init_t or container_kvm_t",
		IDs:     []string{"kyverno:disallow-selinux", "PSS:selinux"},
		Resource: eachSetting("seLinuxOptions", func(options rule.Value) {
			options.Get("type").RequireText("is not a type for containers", containerTypes()...)
			options.Get("user").RequireText("must not be set", "")
			options.Get("role").RequireText("must not be set", "")
		}),
	}, {
		Name: "k8s-apparmor", Severity: rule.High, Levels: rule.Always,
		Summary: "AppArmor is not disabled.",
		Why:     "Unconfined removes the runtime's profile.",
		Fix:     "remove appArmorProfile, or use RuntimeDefault",
		IDs:     []string{"kyverno:restrict-apparmor-profiles", "PSS:apparmor"},
		Resource: pod(func(s *rule.Subject, spec rule.Value) {
			for _, profile := range settings(spec, "appArmorProfile") {
				profile.Get("type").RequireText("want RuntimeDefault or Localhost", "RuntimeDefault", "Localhost")
			}
			for _, annotation := range pods.Template(s).Get("metadata", "annotations").Members() {
				if !strings.HasPrefix(annotation.Key, "container.apparmor.security.beta.kubernetes.io/") {
					continue
				}
				profile, ok := annotation.Value.Text("")
				if ok && profile != "" && profile != "runtime/default" && !strings.HasPrefix(profile, "localhost/") {
					annotation.Value.Fail("want runtime/default or localhost/<profile>")
				}
			}
		}),
	}}
}
