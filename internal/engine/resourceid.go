package engine

import (
	"strings"

	"dbtier/internal/progress"
)

// byName are the types of AWS resources whose id is one of their inputs, or is composed of inputs. Source: the section
// Import of each resource's page in the Pulumi registry. KMS keys and security groups are missing because AWS chooses
// their ids, secrets because AWS adds six characters to their ARN.
var byName = map[string][]string{
	"aws:cloudwatch/logGroup:LogGroup":                        {"name"},
	"aws:cloudwatch/metricAlarm:MetricAlarm":                  {"name"},
	"aws:iam/role:Role":                                       {"name"},
	"aws:iam/rolePolicy:RolePolicy":                           {"role", ":", "name"},
	"aws:iam/rolePolicyAttachment:RolePolicyAttachment":       {"role", "/", "policyArn"},
	"aws:kms/alias:Alias":                                     {"name"},
	"aws:rds/eventSubscription:EventSubscription":             {"name"},
	"aws:rds/instance:Instance":                               {"identifier"},
	"aws:rds/parameterGroup:ParameterGroup":                   {"name"},
	"aws:rds/proxy:Proxy":                                     {"name"},
	"aws:rds/proxyDefaultTargetGroup:ProxyDefaultTargetGroup": {"dbProxyName"},
	"aws:rds/subnetGroup:SubnetGroup":                         {"name"},
}

// clusterScoped are the kinds of objects without a namespace.
var clusterScoped = map[string]bool{
	"Namespace": true, "CustomResourceDefinition": true, "ClusterRole": true, "ClusterRoleBinding": true,
	"ClusterSecretStore": true, "ClusterExternalSecret": true, "ValidatingWebhookConfiguration": true,
	"MutatingWebhookConfiguration": true, "PriorityClass": true, "StorageClass": true, "PersistentVolume": true,
}

// identify finds a resource's id at its provider from its type and inputs. It returns false when only the cloud knows
// the id.
func identify(resourceType string, inputs map[string]any, id *string) bool {
	if strings.HasPrefix(resourceType, "kubernetes:") {
		return identifyObject(resourceType[strings.LastIndex(resourceType, ":")+1:], inputs, id)
	}
	parts := byName[resourceType]
	if len(parts) == 0 {
		return false
	}
	var out strings.Builder
	for _, part := range parts {
		if part == ":" || part == "/" {
			out.WriteString(part)
			continue
		}
		value, _ := inputs[part].(string)
		if value == "" || progress.IsUnknown(value) {
			return false
		}
		out.WriteString(value)
	}
	*id = out.String()
	return true
}

func identifyObject(kind string, inputs map[string]any, id *string) bool {
	metadata, _ := inputs["metadata"].(map[string]any)
	name, _ := metadata["name"].(string)
	namespace, _ := metadata["namespace"].(string)
	switch {
	case name == "" || progress.IsUnknown(name) || progress.IsUnknown(namespace):
		return false
	case clusterScoped[kind]:
		*id = name
	case namespace == "":
		return false
	default:
		*id = namespace + "/" + name
	}
	return true
}
