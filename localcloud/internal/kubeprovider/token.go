package kubeprovider

import (
	"fmt"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/scheme"
)

// packageName is the Pulumi package that this provider serves.
const packageName = "kubernetes"

// chartToken is the only component that this provider constructs.
const chartToken = "kubernetes:helm.sh/v4:Chart" //nolint:gosec // This is a type token, not a credential.

// installed tells the user how to use the plugin, which supports more than this server.
const installed = "use the real plugin where it can be installed (dbtier --kubernetes-provider installed)"

// kindOf returns the kind of object for the type in a URN, for example "kubernetes:apps/v1:Deployment" or
// "kubernetes:core/v1:Secret". It refuses types that are not objects in a cluster.
func kindOf(urn resource.URN) (schema.GroupVersionKind, error) {
	token := string(urn.Type())
	pkg, rest, _ := strings.Cut(token, ":")
	group, kind, found := strings.Cut(rest, ":")
	if pkg != packageName || !found || kind == "" {
		return schema.GroupVersionKind{}, fmt.Errorf(
			"%s: type %q is not a Kubernetes object: want \"kubernetes:<group>/<version>:<Kind>\"", urn.Name(), token,
		)
	}
	group, version, found := strings.Cut(group, "/")
	if !found || version == "" {
		return schema.GroupVersionKind{}, fmt.Errorf(
			"%s: type %q has no group and version: want \"kubernetes:<group>/<version>:<Kind>\"", urn.Name(), token,
		)
	}
	if group == "core" {
		group = ""
	}
	gvk := schema.GroupVersionKind{Group: group, Version: version, Kind: kind}
	switch {
	case token == chartToken:
		return gvk, fmt.Errorf("%s: %s is a component resource: register it as a remote component", urn.Name(), token)
	case group == "helm.sh" || group == "yaml" || group == "kustomize":
		return gvk, fmt.Errorf("%s: %s is not supported here: use %s, or %s", urn.Name(), token, chartToken, installed)
	}
	if base, ok := strings.CutSuffix(kind, "Patch"); ok && builtIn(gvk.GroupVersion().WithKind(base)) {
		return gvk, fmt.Errorf(
			"%s: patch resources such as %s are not supported here: set the fields on the %s itself, or %s",
			urn.Name(), token, base, installed)
	}
	if base, ok := strings.CutSuffix(kind, "List"); ok && builtIn(gvk.GroupVersion().WithKind(base)) {
		return gvk, fmt.Errorf("%s: list resources such as %s cannot be created: declare each %s by itself", urn.Name(),
			token, base)
	}
	return gvk, nil
}

// builtIn reports whether every cluster knows a kind. client-go's scheme lacks two groups, which are listed here.
func builtIn(gvk schema.GroupVersionKind) bool {
	switch gvk.Group {
	case "apiextensions.k8s.io":
		return gvk.Kind == "CustomResourceDefinition"
	case "apiregistration.k8s.io":
		return gvk.Kind == "APIService"
	}
	return scheme.Scheme.Recognizes(gvk)
}

// clusterScoped are the built-in kinds without a namespace.
var clusterScoped = map[schema.GroupKind]bool{
	{Kind: "ComponentStatus"}:  true,
	{Kind: "Namespace"}:        true,
	{Kind: "Node"}:             true,
	{Kind: "PersistentVolume"}: true,
	{Group: "admissionregistration.k8s.io", Kind: "MutatingAdmissionPolicy"}:          true,
	{Group: "admissionregistration.k8s.io", Kind: "MutatingAdmissionPolicyBinding"}:   true,
	{Group: "admissionregistration.k8s.io", Kind: "MutatingWebhookConfiguration"}:     true,
	{Group: "admissionregistration.k8s.io", Kind: "ValidatingAdmissionPolicy"}:        true,
	{Group: "admissionregistration.k8s.io", Kind: "ValidatingAdmissionPolicyBinding"}: true,
	{Group: "admissionregistration.k8s.io", Kind: "ValidatingWebhookConfiguration"}:   true,
	{Group: "apiextensions.k8s.io", Kind: "CustomResourceDefinition"}:                 true,
	{Group: "apiregistration.k8s.io", Kind: "APIService"}:                             true,
	{Group: "certificates.k8s.io", Kind: "CertificateSigningRequest"}:                 true,
	{Group: "certificates.k8s.io", Kind: "ClusterTrustBundle"}:                        true,
	{Group: "flowcontrol.apiserver.k8s.io", Kind: "FlowSchema"}:                       true,
	{Group: "flowcontrol.apiserver.k8s.io", Kind: "PriorityLevelConfiguration"}:       true,
	{Group: "networking.k8s.io", Kind: "IPAddress"}:                                   true,
	{Group: "networking.k8s.io", Kind: "IngressClass"}:                                true,
	{Group: "networking.k8s.io", Kind: "ServiceCIDR"}:                                 true,
	{Group: "node.k8s.io", Kind: "RuntimeClass"}:                                      true,
	{Group: "rbac.authorization.k8s.io", Kind: "ClusterRole"}:                         true,
	{Group: "rbac.authorization.k8s.io", Kind: "ClusterRoleBinding"}:                  true,
	{Group: "resource.k8s.io", Kind: "DeviceClass"}:                                   true,
	{Group: "resource.k8s.io", Kind: "ResourceSlice"}:                                 true,
	{Group: "scheduling.k8s.io", Kind: "PriorityClass"}:                               true,
	{Group: "storage.k8s.io", Kind: "CSIDriver"}:                                      true,
	{Group: "storage.k8s.io", Kind: "CSINode"}:                                        true,
	{Group: "storage.k8s.io", Kind: "StorageClass"}:                                   true,
	{Group: "storage.k8s.io", Kind: "VolumeAttachment"}:                               true,
	{Group: "storage.k8s.io", Kind: "VolumeAttributesClass"}:                          true,
}
