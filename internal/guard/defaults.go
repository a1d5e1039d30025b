package guard

import (
	"fmt"
	"slices"
	"strings"
)

// The API server fills in what a manifest leaves out. When a person takes an element out of a list and puts it back, or
// replaces an object, the values that it filled in count as written by that person, although nobody wrote them.
//
// Only the value tells: it is a default if the API server would fill in the same one again. The defaults of an API
// version cannot change. Source: pkg/apis/{core/v1,apps/v1,batch/v1}/defaults.go of Kubernetes. The defaults of custom
// resources are in their definitions, which are not read here.

// defaults are values by the end of their path, without the keys of elements.
var defaults = map[string]any{
	"ports.protocol": "TCP",

	"containers.terminationMessagePath":       "/dev/termination-log",
	"containers.terminationMessagePolicy":     "File",
	"initContainers.terminationMessagePath":   "/dev/termination-log",
	"initContainers.terminationMessagePolicy": "File",

	"fieldRef.apiVersion": "v1",
	"httpGet.scheme":      "HTTP", "grpc.service": "",
	"Probe.timeoutSeconds": 1, "Probe.periodSeconds": 10, "Probe.successThreshold": 1, "Probe.failureThreshold": 3,

	"configMap.defaultMode": 420, "secret.defaultMode": 420, "projected.defaultMode": 420,
	"downwardAPI.defaultMode": 420, "serviceAccountToken.expirationSeconds": 3600, "hostPath.type": "",

	"template.spec.restartPolicy": "Always", "template.spec.dnsPolicy": "ClusterFirst",
	"template.spec.schedulerName": "default-scheduler", "template.spec.terminationGracePeriodSeconds": 30,
	"template.spec.enableServiceLinks": true,

	"spec.replicas": 1, "spec.progressDeadlineSeconds": 600, "spec.revisionHistoryLimit": 10,
	"spec.strategy.type":              "RollingUpdate",
	"strategy.rollingUpdate.maxSurge": "25%", "strategy.rollingUpdate.maxUnavailable": "25%",
	"spec.updateStrategy.type": "RollingUpdate", "spec.podManagementPolicy": "OrderedReady",
	"spec.backoffLimit": 6, "spec.completionMode": "NonIndexed", "spec.podReplacementPolicy": "TerminatingOrFailed",
	"spec.suspend": false, "spec.concurrencyPolicy": "Allow", "spec.successfulJobsHistoryLimit": 3,
	"spec.failedJobsHistoryLimit": 1,

	"spec.type": "ClusterIP", "spec.sessionAffinity": "None", "spec.internalTrafficPolicy": "Cluster",
	"spec.ipFamilyPolicy": "SingleStack",
}

// empty are objects that the API server fills in without anything in them, and that mean the same as none.
var empty = []string{"containers.resources", "initContainers.resources", "template.spec.securityContext"}

// builtIn reports whether a kind is one of Kubernetes, and not of a definition.
func builtIn(apiVersion string) bool {
	group, _, _ := strings.Cut(apiVersion, "/")
	return !strings.Contains(group, ".") || strings.HasSuffix(group, ".k8s.io")
}

// isDefault reports whether the API server would fill in the value of the cluster if nobody wrote it.
func (p *place) isDefault() bool {
	if p.at == nil || p.live == nil || !builtIn(p.kind.APIVersion) || p.element {
		return false
	}
	end := func(of string) bool { return strings.HasSuffix("."+selector.ReplaceAllString(p.path, ""), "."+of) }
	above, _ := p.above.live.(map[string]any)
	switch value := p.live.(type) {
	case map[string]any:
		if len(value) == 0 {
			return slices.ContainsFunc(empty, end)
		}
		for name := range value {
			if below := p.field(name); !below.isDefault() {
				return false
			}
		}
		return true
	case []any:
		// The API server assigns addresses, and the families that they are of.
		return p.kind.Kind == "Service" && (p.path == "spec.clusterIPs" && fmt.Sprint(value...) != "None" ||
			p.path == "spec.ipFamilies")
	}
	switch {
	case p.kind.Kind == "Service" && end("ports.targetPort"):
		return fmt.Sprint(p.live) == fmt.Sprint(above["port"])
	case p.kind.Kind == "Service" && p.path == "spec.clusterIP":
		return p.live != "None"
	case end("containers.imagePullPolicy"), end("initContainers.imagePullPolicy"):
		return p.live == pullPolicy(fmt.Sprint(above["image"]))
	}
	for of, value := range defaults {
		same := fmt.Sprint(value) == fmt.Sprint(p.live)
		if probe, ok := strings.CutPrefix(of, "Probe."); ok && same {
			if end("livenessProbe."+probe) || end("readinessProbe."+probe) || end("startupProbe."+probe) {
				return true
			}
		}
		if same && end(of) {
			return true
		}
	}
	return false
}

// pullPolicy is the default for an image: one without a tag, or with the tag latest, is always pulled.
func pullPolicy(image string) string {
	name := image[strings.LastIndex(image, "/")+1:]
	if strings.Contains(name, "@") || strings.Contains(name, ":") && !strings.HasSuffix(name, ":latest") {
		return "IfNotPresent"
	}
	return "Always"
}
