package kubernetes

import (
	"slices"
	"strings"

	"dbtier/policy/rule"
)

// isolation returns the rules of the Pod Security Standards that keep pods apart from their node.
func isolation() []*rule.Rule {
	return []*rule.Rule{{
		Name: "k8s-host-namespaces", Severity: rule.Critical, Levels: rule.Always,
		Summary: "Pods do not use the namespaces of their node.",
		Why:     "A pod in the node's namespaces sees every process, and listens on the node's addresses.",
		Fix:     "remove hostNetwork, hostPID and hostIPC",
		IDs: []string{
			"CKV_K8S_17", "CKV_K8S_18", "CKV_K8S_19", "KSV-0008", "KSV-0009", "KSV-0010",
			"kyverno:disallow-host-namespaces", "PSS:host-namespaces",
		},
		Resource: pod(func(_ *rule.Subject, spec rule.Value) {
			for _, key := range []string{"hostNetwork", "hostPID", "hostIPC"} {
				spec.Get(key).RequireFalse(false, "uses the node's namespace")
			}
		}),
	}, {
		Name: "k8s-host-process", Severity: rule.Critical, Levels: rule.Always,
		Summary: "Pods do not run as processes of a Windows node.",
		Why:     "Such a pod is an administrator of its node.",
		Fix:     "remove windowsOptions.hostProcess",
		IDs:     []string{"kyverno:disallow-host-process", "PSS:host-process"},
		Resource: eachSetting("windowsOptions", func(options rule.Value) {
			options.Get("hostProcess").RequireFalse(false, "runs on the node")
		}),
	}, {
		Name: "k8s-privileged", Severity: rule.Critical, Levels: rule.Always,
		Summary: "Containers are not privileged.",
		Why:     "A privileged container is root on its node.",
		Fix:     "remove securityContext.privileged, and add the one capability that is needed",
		IDs:     []string{"CKV_K8S_16", "KSV-0017", "kyverno:disallow-privileged-containers", "PSS:privileged"},
		Resource: context(func(context rule.Value) {
			context.Get("privileged").RequireFalse(false, "is root on the node")
		}),
	}, {
		Name: "k8s-volume-types", Severity: rule.Critical, Levels: rule.Always,
		Summary: "Pods mount volumes of the restricted types only.",
		Why:     "A path of the node is a way out of the container, and the runtime's socket gives root on the node.",
		Fix:     "use one of " + strings.Join(restrictedVolumes(), ", "),
		IDs: []string{
			"CKV_K8S_27", "KSV-0023", "kyverno:disallow-host-path", "kyverno:restrict-volume-types", "PSS:volume-types",
		},
		Resource: pod(func(_ *rule.Subject, spec rule.Value) {
			for _, volume := range spec.Get("volumes").Items() {
				// A volume without a type is an emptyDir.
				for _, member := range volume.Members() {
					if member.Key != "name" && !slices.Contains(restrictedVolumes(), member.Key) &&
						member.Value.Given() {
						member.Value.Fail("is not an allowed type of volume")
					}
				}
			}
		}),
	}, {
		Name: "k8s-host-port", Severity: rule.High, Levels: rule.Always,
		Summary: "Containers do not use ports of their node.",
		Why:     "Traffic to such a port bypasses NetworkPolicies and Services, and each node can run one such pod.",
		Fix:     "use a Service",
		IDs:     []string{"CKV_K8S_26", "KSV-0024", "kyverno:disallow-host-ports", "PSS:host-ports"},
		Resource: containers(func(_, container rule.Value) {
			for _, port := range container.Get("ports").Items() {
				if number, ok := port.Get("hostPort").Number(0); ok && number != 0 {
					port.Get("hostPort").Fail("is a port of the node")
				}
			}
		}),
	}, {
		Name: "k8s-privileged-port", Severity: rule.Low, Levels: rule.InProduction,
		Summary: "Containers listen on ports above 1023.",
		Why:     "Lower ports need root or NET_BIND_SERVICE.",
		Fix:     "choose a port above 1023; the Service can have any port",
		IDs:     []string{"KSV-0117"},
		Resource: containers(func(_, container rule.Value) {
			for _, port := range container.Get("ports").Items() {
				port.Get("containerPort").RequireAtLeast(1024, 65535, "")
			}
		}),
	}, {
		Name: "k8s-probe-hosts", Severity: rule.High, Levels: rule.Always,
		Summary: "Probes and lifecycle hooks go to their own pod.",
		Why:     "The kubelet connects to any other host from the node's network, past every NetworkPolicy.",
		Fix:     "remove host: the default is the pod's address",
		IDs:     []string{"PSS:host-probes"},
		Resource: containers(func(_, container rule.Value) {
			for _, path := range [][]string{
				{"livenessProbe"},
				{"readinessProbe"},
				{"startupProbe"},
				{"lifecycle", "postStart"},
				{"lifecycle", "preStop"},
			} {
				for _, kind := range []string{"httpGet", "tcpSocket"} {
					container.Get(path...).Get(kind, "host").RequireText("is a host other than the pod", "")
				}
			}
		}),
	}, {
		Name: "k8s-sysctls", Severity: rule.High, Levels: rule.Always,
		Summary: "Pods set safe kernel parameters only.",
		Why:     "Other parameters affect every pod on the node.",
		Fix:     "remove the other sysctls",
		IDs:     []string{"kyverno:restrict-sysctls", "PSS:sysctls"},
		Resource: pod(func(_ *rule.Subject, spec rule.Value) {
			for _, sysctl := range spec.Get("securityContext", "sysctls").Items() {
				sysctl.Get("name").RequireText("is a parameter of the node", safeSysctls()...)
			}
		}),
	}}
}
