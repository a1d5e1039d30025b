package externalsecrets

import (
	"fmt"
	"maps"
	"slices"

	"github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes"
	"github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/apiextensions"
	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

const apiVersion = "external-secrets.io/v1"

// Kinds of stores.
const (
	ClusterSecretStore = "ClusterSecretStore"
	SecretStore        = "SecretStore"
)

// StoreRef names a store.
type StoreRef struct {
	// Kind is [ClusterSecretStore] or [SecretStore].
	Kind string
	// Name of the store. An output of the store itself, so that who uses it waits for it.
	Name pulumi.StringInput
}

func (s StoreRef) fields() pulumi.Map {
	return pulumi.Map{"kind": pulumi.String(s.Kind), "name": s.Name}
}

// Extract takes every key of a JSON secret, under its own name: one request to the store, however many keys.
type Extract struct {
	Store StoreRef
	// Key is the secret's name or ARN in the store.
	Key pulumi.StringInput
}

// Policies of refreshing a Secret.
const (
	// Periodic asks the store again at every interval.
	Periodic = "Periodic"
	// OnChange asks when the ExternalSecret changes.
	OnChange = "OnChange"
	// CreatedOnce asks until there is a Secret, and never again.
	CreatedOnce = "CreatedOnce"
)

// ExternalSecretArgs describes a Secret that the operator makes.
type ExternalSecretArgs struct {
	// Name of the ExternalSecret and of the Secret, and their Namespace.
	Name, Namespace string
	Labels          pulumi.StringMap
	// RefreshPolicy is [Periodic] (default), [OnChange] or [CreatedOnce].
	RefreshPolicy string
	// RefreshInterval is how often the stores are asked, for example 1m.
	RefreshInterval string
	// Extract is where values come from.
	Extract []Extract
	// Template is the Secret's data: Go templates (the operator's engine v2) over the names of the extracted values.
	// Without it and Keys the Secret has the extracted values as they are.
	Template map[string]pulumi.StringInput
	// Keys are further data, from values of Store.
	Keys  map[string]Template
	Store StoreRef
	// Type of the Secret, for example kubernetes.io/tls. Default Opaque.
	Type string
}

// NewExternalSecret makes an ExternalSecret and waits until the Secret is there.
func NewExternalSecret(
	ctx *pulumi.Context, name string, args *ExternalSecretArgs, opts ...pulumi.ResourceOption,
) (*apiextensions.CustomResource, error) {
	data := pulumi.StringMap{}
	for key, text := range args.Template {
		data[key] = text
	}
	known := &values{store: args.Store}
	// In order, so that the same arguments are the same object.
	for _, key := range slices.Sorted(maps.Keys(args.Keys)) {
		data[key] = args.Keys[key].render(known)
	}
	var from pulumi.Array
	for _, extract := range args.Extract {
		from = append(from, pulumi.Map{
			"extract":   pulumi.Map{"key": extract.Key},
			"sourceRef": pulumi.Map{"storeRef": extract.Store.fields()},
		})
	}
	policy := args.RefreshPolicy
	if policy == "" {
		policy = Periodic
	}
	template := pulumi.Map{"engineVersion": pulumi.String("v2")}
	if len(data) > 0 {
		template["mergePolicy"], template["data"] = pulumi.String("Replace"), data
	}
	if args.Type != "" {
		template["type"] = pulumi.String(args.Type)
	}
	spec := pulumi.Map{
		"refreshPolicy":   pulumi.String(policy),
		"refreshInterval": pulumi.String(args.RefreshInterval),
		"target": pulumi.Map{
			"name": pulumi.String(args.Name),
			// The Secret goes with its ExternalSecret, but not with a moment in which the store has nothing.
			"creationPolicy": pulumi.String("Owner"),
			"deletionPolicy": pulumi.String("Retain"),
			"template":       template,
		},
	}
	if len(from) > 0 {
		spec["dataFrom"] = from
	}
	if len(known.data) > 0 {
		spec["data"] = known.data
	}
	return newCustomResource(ctx, name, "ExternalSecret", args.Namespace, args.Name, args.Labels, spec, opts...)
}

// newCustomResource makes an object of the operator's and waits until it is Ready: custom resources are not waited for
// by themselves.
func newCustomResource(
	ctx *pulumi.Context, name, kind, namespace, object string, labels pulumi.StringMap, spec pulumi.Map,
	opts ...pulumi.ResourceOption,
) (*apiextensions.CustomResource, error) {
	metadata := metav1.ObjectMetaArgs{Name: pulumi.String(object), Labels: labels, Annotations: pulumi.StringMap{
		"pulumi.com/waitFor": pulumi.String("condition=Ready"),
		// A role that was just made is not known everywhere in AWS at once, and the operator tries again at growing
		// intervals.
		"pulumi.com/timeoutSeconds": pulumi.String("300"),
	}}
	if namespace != "" {
		metadata.Namespace = pulumi.String(namespace)
	}
	resource, err := apiextensions.NewCustomResource(ctx, name, &apiextensions.CustomResourceArgs{
		ApiVersion:  pulumi.String(apiVersion),
		Kind:        pulumi.String(kind),
		Metadata:    metadata,
		OtherFields: kubernetes.UntypedArgs{"spec": spec},
	}, opts...)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", kind, object, err)
	}
	return resource, nil
}

// nameOf is the name of an object, known once it is Ready.
func nameOf(resource *apiextensions.CustomResource) pulumi.StringOutput {
	return resource.Metadata.Name().Elem()
}
