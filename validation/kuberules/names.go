package kuberules

import (
	"regexp"
	"strings"
	"sync"
)

// EnvNameRule is what an error says where [IsEnvName] is false.
const EnvNameRule = "want the name of an environment variable: letters, digits and characters of _.-, not beginning " +
	"with a digit"

var envForm = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[-._a-zA-Z][-._a-zA-Z0-9]{0,252}$`) })

// IsEnvName reports whether a name can be an environment variable from a ConfigMap or Secret: a variable's name
// (IsEnvVarName in k8s.io/apimachinery/pkg/util/validation) that is also a key (IsConfigMapKey). Kubernetes leaves out
// the variables with other names.
func IsEnvName(name string) bool {
	return envForm().MatchString(name) && !strings.HasPrefix(name, "..") && name != "."
}

// ReservedNamespace says why a service cannot be in a namespace, or returns "". Source: "Namespaces", Kubernetes
// documentation.
func ReservedNamespace(namespace string) string {
	switch {
	case strings.HasPrefix(namespace, "kube-"):
		return "begins with kube-, which is reserved for Kubernetes' own namespaces"
	case namespace == "default":
		return "is where objects land that name no namespace, and cannot be created"
	}
	return ""
}
