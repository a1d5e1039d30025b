package eso

import (
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"dbtier/components/fault"
	"dbtier/components/object"
)

// Kinds of stores.
const (
	ClusterSecretStore = "ClusterSecretStore"
	SecretStore        = "SecretStore"
)

// StoreRef names a store.
type StoreRef struct {
	// Kind is [ClusterSecretStore] or [SecretStore].
	Kind string
	// Name of the store. Use the store's output, so that what takes it waits for the store.
	Name pulumi.StringInput
}

// Validate reports every fault of the reference.
func (s StoreRef) Validate() error {
	var faults fault.List
	fault.OneOf(&faults, "kind", s.Kind, SecretStore, ClusterSecretStore)
	faults.Check(s.Name != nil, "name", nil, "is missing")
	return faults.Err()
}

func (s StoreRef) fields() pulumi.Map {
	return pulumi.Map{"kind": pulumi.String(s.Kind), "name": s.Name}
}

func (s StoreRef) source() pulumi.Map { return pulumi.Map{"storeRef": s.fields()} }

// Provider is where a store reads its secrets: the field spec.provider of the store.
type Provider pulumi.Map

// SecretsManager reads AWS Secrets Manager in a region. The operator gets a token of the ServiceAccount from the
// cluster and exchanges it for credentials of the account's role. The namespace of the account is only for a
// [ClusterSecretStore]; otherwise it is empty.
func SecretsManager(region string, account pulumi.StringInput, namespace string) Provider {
	reference := pulumi.Map{"name": account}
	if namespace != "" {
		reference["namespace"] = pulumi.String(namespace)
	}
	return Provider{"aws": pulumi.Map{
		"service": pulumi.String("SecretsManager"),
		"region":  pulumi.String(region),
		"auth":    pulumi.Map{"jwt": pulumi.Map{"serviceAccountRef": reference}},
	}}
}

// Cluster reads the Secrets of a namespace of the cluster, as far as the ServiceAccount may read them.
func Cluster(namespace string, account pulumi.StringInput) Provider {
	return Provider{"kubernetes": pulumi.Map{
		"remoteNamespace": pulumi.String(namespace),
		"server": pulumi.Map{
			"url": pulumi.String("https://kubernetes.default.svc"),
			// Kubernetes puts this ConfigMap into every namespace.
			"caProvider": pulumi.Map{
				"type": pulumi.String("ConfigMap"), "name": pulumi.String("kube-root-ca.crt"),
				"key": pulumi.String("ca.crt"),
			},
		},
		"auth": pulumi.Map{"serviceAccount": pulumi.Map{"name": account}},
	}}
}

// StoreArgs describes a store.
type StoreArgs struct {
	// Meta has no namespace for a [ClusterSecretStore].
	object.Meta

	// Kind is [ClusterSecretStore] or [SecretStore].
	Kind     string
	Provider Provider
	// Namespaces that may use a [ClusterSecretStore]. Default: all.
	Namespaces []string
	// WaitSeconds until the store is Ready. Default 0: the Kubernetes provider's ten minutes.
	WaitSeconds int
}

// NewStore creates a store.
func NewStore(
	ctx *pulumi.Context, name string, args *StoreArgs, opts ...pulumi.ResourceOption,
) (StoreRef, error) {
	spec := pulumi.Map{"provider": pulumi.Map(args.Provider)}
	if len(args.Namespaces) > 0 {
		spec["conditions"] = pulumi.Array{pulumi.Map{"namespaces": pulumi.ToStringArray(args.Namespaces)}}
	}
	store, err := create(ctx, name, apiVersion, args.Kind, args.Meta, spec, args.WaitSeconds, opts)
	return StoreRef{Kind: args.Kind, Name: store.Name}, err
}
