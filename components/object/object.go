package object

import (
	"fmt"

	"github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes"
	"github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/apiextensions"
	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// Meta is the metadata of an object.
type Meta struct {
	Name string
	// Namespace is empty for an object of the whole cluster.
	Namespace   string
	Labels      pulumi.StringMap
	Annotations pulumi.StringMap
}

// Args returns the metadata in the form that Kubernetes resources take. It is a function because a method of Meta with
// such a type in its signature would make every package that names Meta compile the metadata's types again.
func Args(m Meta) metav1.ObjectMetaArgs {
	args := metav1.ObjectMetaArgs{Name: pulumi.String(m.Name)}
	if m.Namespace != "" {
		args.Namespace = pulumi.String(m.Namespace)
	}
	if m.Labels != nil {
		args.Labels = m.Labels
	}
	if m.Annotations != nil {
		args.Annotations = m.Annotations
	}
	return args
}

// Object is an object in the cluster.
type Object struct {
	// Name is known once the object is ready. An input that takes it waits for the object.
	Name pulumi.StringOutput
	// Resource is for [pulumi.DependsOn].
	Resource pulumi.Resource
	// Created is the time at which the API server created the object, as in RFC 3339. Only [NewCustom] sets it.
	Created pulumi.StringOutput
}

// failed returns an error that names the kind and the object, so that callers need not.
func (m Meta) failed(kind string, err error) (Object, error) {
	return Object{}, fmt.Errorf("%s %s: %w", kind, m.Name, err)
}

// Resources returns the resources of objects, for [pulumi.DependsOn].
func Resources(objects ...Object) []pulumi.Resource {
	var all []pulumi.Resource
	for _, object := range objects {
		all = append(all, object.Resource)
	}
	return all
}

// NewConfigMap creates a ConfigMap.
func NewConfigMap(
	ctx *pulumi.Context, name string, meta Meta, data map[string]string, opts ...pulumi.ResourceOption,
) (Object, error) {
	return newConfigMap(ctx, name, meta, &corev1.ConfigMapArgs{Data: pulumi.ToStringMap(data)}, opts)
}

// NewImmutableConfigMap creates a ConfigMap that cannot change. Its name must follow its content.
func NewImmutableConfigMap(
	ctx *pulumi.Context, name string, meta Meta, data map[string]string, opts ...pulumi.ResourceOption,
) (Object, error) {
	return newConfigMap(ctx, name, meta, &corev1.ConfigMapArgs{
		Immutable: pulumi.Bool(true), Data: pulumi.ToStringMap(data),
	}, opts)
}

func newConfigMap(
	ctx *pulumi.Context, name string, meta Meta, args *corev1.ConfigMapArgs, opts []pulumi.ResourceOption,
) (Object, error) {
	args.Metadata = Args(meta)
	created, err := corev1.NewConfigMap(ctx, name, args, opts...)
	if err != nil {
		return meta.failed("ConfigMap", err)
	}
	return Object{Name: created.Metadata.Name().Elem(), Resource: created}, nil
}

// NewServiceAccount creates a ServiceAccount whose token is not mounted into pods.
func NewServiceAccount(
	ctx *pulumi.Context, name string, meta Meta, opts ...pulumi.ResourceOption,
) (Object, error) {
	created, err := corev1.NewServiceAccount(ctx, name, &corev1.ServiceAccountArgs{
		Metadata: Args(meta), AutomountServiceAccountToken: pulumi.Bool(false),
	}, opts...)
	if err != nil {
		return meta.failed("ServiceAccount", err)
	}
	return Object{Name: created.Metadata.Name().Elem(), Resource: created}, nil
}

// NewNamespace creates a namespace.
func NewNamespace(ctx *pulumi.Context, name string, meta Meta, opts ...pulumi.ResourceOption) (Object, error) {
	created, err := corev1.NewNamespace(ctx, name, &corev1.NamespaceArgs{Metadata: Args(meta)}, opts...)
	if err != nil {
		return meta.failed("namespace", err)
	}
	return Object{Name: created.Metadata.Name().Elem(), Resource: created}, nil
}

// NewCustom creates an object of a CustomResourceDefinition.
func NewCustom(
	ctx *pulumi.Context, name, apiVersion, kind string, meta Meta, spec pulumi.Map, opts ...pulumi.ResourceOption,
) (Object, error) {
	created, err := apiextensions.NewCustomResource(ctx, name, &apiextensions.CustomResourceArgs{
		ApiVersion:  pulumi.String(apiVersion),
		Kind:        pulumi.String(kind),
		Metadata:    Args(meta),
		OtherFields: kubernetes.UntypedArgs{"spec": spec},
	}, opts...)
	if err != nil {
		return meta.failed(kind, err)
	}
	return Object{
		Name: created.Metadata.Name().Elem(), Resource: created, Created: created.Metadata.CreationTimestamp().Elem(),
	}, nil
}
