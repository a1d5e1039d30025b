package workload

import (
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"dbtier/components/contract"
)

// DefaultUID is the default user and group of pods. It is above 10000, so that it is no user of the node.
const DefaultUID = 10001

// Labels returns the labels of an object called name that belongs to the tier of a service.
func Labels(name, service string) pulumi.StringMap {
	return pulumi.ToStringMap(map[string]string{
		contract.NameLabel: name, contract.PartOfLabel: service, contract.ManagedByLabel: contract.ManagedBy,
	})
}

// Selector returns the labels that select the pods called name.
func Selector(name string) pulumi.StringMap {
	return pulumi.ToStringMap(map[string]string{contract.NameLabel: name})
}
