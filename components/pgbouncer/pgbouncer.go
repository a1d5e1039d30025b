package pgbouncer

import (
	"errors"
	"fmt"
	"strings"

	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"dbtier/components/naming"
	"dbtier/components/workload"
)

// Type is the component's type in URNs.
const Type = "dbtier:components:PgBouncerPool"

// ContainerName is the container in which PgBouncer runs.
const ContainerName = "pgbouncer"

// PgBouncerPool is a pool that takes connections. Give the consumer of ConsumerSecretName [pulumi.DependsOn] the field Ready, too: the
// Secret is there before the pool's pods are.
type PgBouncerPool struct {
	pulumi.ResourceState

	// Host is the Service's name as pods of every namespace resolve it.
	Host pulumi.StringOutput `pulumi:"host"`
	// Port of the Service.
	Port pulumi.IntOutput `pulumi:"port"`
	// ServiceName and DeploymentName are in the pool's namespace.
	ServiceName    pulumi.StringOutput `pulumi:"serviceName"`
	DeploymentName pulumi.StringOutput `pulumi:"deploymentName"`
	// ConsumerSecretName is the Secret with DATABASE_URL.
	ConsumerSecretName pulumi.StringOutput `pulumi:"consumerSecretName"`
	// LoginSecretName is the Secret with the service's login to the pool.
	LoginSecretName pulumi.StringOutput `pulumi:"loginSecretName"`
	// ConfigSecretName is the Secret with the pool's files.
	ConfigSecretName pulumi.StringOutput `pulumi:"configSecretName"`
	// PodLabels select the pool's pods.
	PodLabels pulumi.StringMapOutput `pulumi:"podLabels"`
	// Ready is the Deployment. The component itself is no safe dependency: the SDK adds children to it in goroutines of their own, so who
	// names it right after it was made may find none, and wait for nothing.
	Ready []pulumi.Resource
}

// builder makes the parts of one pool.
type builder struct {
	ctx    *pulumi.Context
	name   string
	args   *PgBouncerPoolArgs
	parent pulumi.ResourceOption
}

// NewPgBouncerPool makes the pool. It returns every fault of the arguments at once, before it makes anything.
func NewPgBouncerPool(ctx *pulumi.Context, name string, args *PgBouncerPoolArgs, opts ...pulumi.ResourceOption) (*PgBouncerPool, error) {
	if args == nil {
		return nil, fmt.Errorf("pool %s: %w", name, errors.New("no arguments given"))
	}
	// A copy: defaults must not show up in the caller's value.
	own := *args
	own.setDefaults()
	if err := own.Validate(); err != nil {
		return nil, fmt.Errorf("pool %s: %w", name, err)
	}
	component := &PgBouncerPool{}
	if err := ctx.RegisterComponentResource(Type, name, component, opts...); err != nil {
		return nil, fmt.Errorf("registering pool %s: %w", name, err)
	}
	b := &builder{ctx: ctx, name: name, args: &own, parent: pulumi.Parent(component)}
	if err := b.build(component); err != nil {
		return nil, fmt.Errorf("pool %s: %w", name, err)
	}
	return component, ctx.RegisterResourceOutputs(component, pulumi.Map{
		"host":               component.Host,
		"port":               component.Port,
		"serviceName":        component.ServiceName,
		"deploymentName":     component.DeploymentName,
		"consumerSecretName": component.ConsumerSecretName,
		"loginSecretName":    component.LoginSecretName,
		"configSecretName":   component.ConfigSecretName,
		"podLabels":          component.PodLabels,
	})
}

func (b *builder) build(component *PgBouncerPool) error {
	service, err := b.service()
	if err != nil {
		return err
	}
	host := pulumi.Sprintf("%s.%s.svc", service.Metadata.Name().Elem(), b.args.Namespace)
	login, err := b.login()
	if err != nil {
		return err
	}
	store, err := b.loginStore(login)
	if err != nil {
		return err
	}
	consumer, err := b.consumerSecret(login, store, host)
	if err != nil {
		return err
	}
	config, err := b.configSecret(login, store)
	if err != nil {
		return err
	}
	authorities, err := b.authorities()
	if err != nil {
		return err
	}
	// Before the pods: the rule holds from their first packet on.
	policy, err := b.networkPolicy()
	if err != nil {
		return err
	}
	deployment, err := b.deployment(config, authorities, policy)
	if err != nil {
		return err
	}
	if err := b.disruptionBudget(); err != nil {
		return err
	}
	component.Host = host
	component.Port = pulumi.Int(b.args.Port).ToIntOutput()
	component.ServiceName = service.Metadata.Name().Elem()
	component.Ready = []pulumi.Resource{deployment}
	component.DeploymentName = deployment.Metadata.Name().Elem()
	component.ConsumerSecretName = consumer.Metadata.Name().Elem()
	component.LoginSecretName = login.Metadata.Name().Elem()
	component.ConfigSecretName = config.Metadata.Name().Elem()
	component.PodLabels = workload.Selector(b.args.Name).ToStringMapOutput()
	return nil
}

// options are those of every child: below the component, and after what the pool needs.
func (b *builder) options(more ...pulumi.ResourceOption) pulumi.ResourceOption {
	after := pulumi.DependsOn(b.args.DependsOn)
	return pulumi.Composite(append([]pulumi.ResourceOption{b.parent, after}, more...)...)
}

// metadata of an object in the pool's namespace.
func (b *builder) metadata(name string, annotations map[string]string) *metav1.ObjectMetaArgs {
	meta := &metav1.ObjectMetaArgs{
		Name:      pulumi.String(name),
		Namespace: pulumi.String(b.args.Namespace),
		Labels:    workload.Labels(b.args.Name, b.args.Service),
	}
	if annotations != nil {
		meta.Annotations = pulumi.ToStringMap(annotations)
	}
	return meta
}

func (b *builder) service() (*corev1.Service, error) {
	service, err := corev1.NewService(b.ctx, b.name+"-service", &corev1.ServiceArgs{
		// The pods come later than the Service, whose name is in their clients' Secret: nothing to wait for here.
		Metadata: b.metadata(b.args.Name, map[string]string{"pulumi.com/skipAwait": "true"}),
		Spec: &corev1.ServiceSpecArgs{
			Type:     pulumi.String("ClusterIP"),
			Selector: workload.Selector(b.args.Name),
			Ports: corev1.ServicePortArray{&corev1.ServicePortArgs{
				Name: pulumi.String("postgresql"), Port: pulumi.Int(b.args.Port), TargetPort: pulumi.String(portName), Protocol: pulumi.String("TCP"),
			}},
		},
	}, b.options())
	if err != nil {
		return nil, fmt.Errorf("its service: %w", err)
	}
	return service, nil
}

// authorities is the ConfigMap with the CA bundle. Its name follows its content: a new bundle is a new object and so rolls the pods, one by one,
// while an old pod can still be made again with the old one.
func (b *builder) authorities() (*corev1.ConfigMap, error) {
	bundle := strings.TrimSpace(b.args.CABundle) + "\n"
	hash, err := naming.Hash(bundle)
	if err != nil {
		return nil, err
	}
	configMap, err := corev1.NewConfigMap(b.ctx, b.name+"-ca", &corev1.ConfigMapArgs{
		Metadata:  b.metadata(naming.Join(naming.LabelLimit, b.args.Name, "ca", hash), nil),
		Immutable: pulumi.Bool(true),
		Data:      pulumi.ToStringMap(map[string]string{caKey: bundle}),
	}, b.options())
	if err != nil {
		return nil, fmt.Errorf("its certificate authorities: %w", err)
	}
	return configMap, nil
}
