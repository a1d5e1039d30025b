package engine

import "strings"

// byName are the types of AWS resources whose id is one of their inputs, or is put together from inputs. Sources: the
// section Import of each resource's page in the Pulumi registry. A KMS key and a security group are missing because AWS
// chooses their ids, a secret because AWS adds six characters to its ARN.
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

// clusterScoped are the kinds of the tier's objects that lie in no namespace.
var clusterScoped = map[string]bool{
	"Namespace": true, "CustomResourceDefinition": true, "ClusterRole": true, "ClusterRoleBinding": true,
	"ClusterSecretStore":    true,
	"ClusterExternalSecret": true, "ValidatingWebhookConfiguration": true, "MutatingWebhookConfiguration": true,
	"PriorityClass": true,
	"StorageClass":  true, "PersistentVolume": true,
}

// identify finds the id by which a provider knows a resource, from its type and inputs alone; false where only the
// cloud knows.
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
		if value == "" || isUnknown(value) {
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
	case name == "" || isUnknown(name) || isUnknown(namespace):
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

// isUnknown tells the engine's mark of a text that was not known.
func isUnknown(value string) bool { return value == "04da6b54-80e4-46f7-96ec-b56ff0331ba9" }
