package pgbouncer

import (
	"errors"
	"fmt"
	"strings"

	"github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/apiextensions"
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

// PgBouncerPool is a pool that takes connections. Give the consumer of ConsumerSecretName [pulumi.DependsOn] the field
// Ready, too: the Secret is there before the pool's pods are.
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
	// ConsumerSecretNames are those of all logins by their names, the service's own among them.
	ConsumerSecretNames pulumi.StringMapOutput `pulumi:"consumerSecretNames"`
	// ConsumerRevision changes with the service's DATABASE_URL, its password excepted, which changes only by hand. Pods
	// read the URL when they start, so it belongs into their template.
	ConsumerRevision pulumi.StringOutput `pulumi:"consumerRevision"`
	// LoginSecretName is the Secret with the service's login to the pool.
	LoginSecretName pulumi.StringOutput `pulumi:"loginSecretName"`
	// ConfigSecretName is the Secret with the pool's files.
	ConfigSecretName pulumi.StringOutput `pulumi:"configSecretName"`
	// ConsoleHost is a name with the address of every pod, and ConsoleSecretName the Secret with the console's username
	// and password; both are empty without [PgBouncerPoolArgs].Console.
	ConsoleHost       pulumi.StringOutput `pulumi:"consoleHost"`
	ConsoleSecretName pulumi.StringOutput `pulumi:"consoleSecretName"`
	// ExternalSecretNames are the names of all ExternalSecrets of the pool.
	ExternalSecretNames pulumi.StringArrayOutput `pulumi:"externalSecretNames"`
	// PodLabels select the pool's pods.
	PodLabels pulumi.StringMapOutput `pulumi:"podLabels"`
	// Ready is the Deployment. The component itself is no safe dependency: the SDK adds children to it in goroutines of
	// their own, so who names it right after it was made may find none, and wait for nothing.
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
func NewPgBouncerPool(
	ctx *pulumi.Context, name string, args *PgBouncerPoolArgs, opts ...pulumi.ResourceOption,
) (*PgBouncerPool, error) {
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
		"host":                component.Host,
		"port":                component.Port,
		"serviceName":         component.ServiceName,
		"deploymentName":      component.DeploymentName,
		"consumerSecretName":  component.ConsumerSecretName,
		"consumerRevision":    component.ConsumerRevision,
		"consumerSecretNames": component.ConsumerSecretNames,
		"loginSecretName":     component.LoginSecretName,
		"configSecretName":    component.ConfigSecretName,
		"consoleHost":         component.ConsoleHost,
		"consoleSecretName":   component.ConsoleSecretName,
		"externalSecretNames": component.ExternalSecretNames,
		"podLabels":           component.PodLabels,
	})
}

func (b *builder) build(component *PgBouncerPool) error {
	service, err := b.service()
	if err != nil {
		return err
	}
	host := pulumi.Sprintf("%s.%s.svc", service.Metadata.Name().Elem(), b.args.Namespace)
	logins, err := b.logins()
	if err != nil {
		return err
	}
	store, err := b.loginStore(logins)
	if err != nil {
		return err
	}
	members := b.args.members()
	consumers := make([]*apiextensions.CustomResource, len(members))
	for i := range members {
		if consumers[i], err = b.consumerSecret(&members[i], logins.logins[i], store, host); err != nil {
			return err
		}
	}
	config, err := b.configSecret(logins, store)
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
	if component.ConsoleHost, err = b.pods(); err != nil {
		return err
	}
	if err := b.serviceMonitor(); err != nil {
		return err
	}
	component.Host = host
	component.Port = pulumi.Int(b.args.Port).ToIntOutput()
	component.ServiceName = service.Metadata.Name().Elem()
	component.Ready = []pulumi.Resource{deployment}
	component.DeploymentName = deployment.Metadata.Name().Elem()
	component.ConsumerSecretName = consumers[0].Metadata.Name().Elem()
	component.ConsumerRevision = host.ApplyT(func(host string) (string, error) {
		return naming.Hash(b.args.databaseURL(host, &members[0]))
	}).(pulumi.StringOutput)
	component.LoginSecretName = logins.logins[0].Metadata.Name().Elem()
	component.ConfigSecretName = config.Metadata.Name().Elem()
	component.ConsoleSecretName = pulumi.String("").ToStringOutput()
	if logins.console != nil {
		component.ConsoleSecretName = logins.console.Metadata.Name().Elem()
	}
	byLogin := pulumi.StringMap{}
	var names pulumi.StringArray
	for i, consumer := range consumers {
		byLogin[members[i].Name] = consumer.Metadata.Name().Elem()
		names = append(names, consumer.Metadata.Name().Elem())
	}
	for _, login := range logins.all() {
		names = append(names, login.Metadata.Name().Elem())
	}
	component.ConsumerSecretNames = byLogin.ToStringMapOutput()
	component.ExternalSecretNames = append(names, config.Metadata.Name().Elem()).ToStringArrayOutput()
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
	spec := &corev1.ServiceSpecArgs{
		Type:     pulumi.String("ClusterIP"),
		Selector: workload.Selector(b.args.Name),
		Ports: corev1.ServicePortArray{&corev1.ServicePortArgs{
			Name: pulumi.String("postgresql"), Port: pulumi.Int(b.args.Port), TargetPort: pulumi.String(portName),
			Protocol: pulumi.String("TCP"),
		}},
	}
	if b.args.ClientAffinity {
		spec.SessionAffinity = pulumi.String("ClientIP")
	}
	service, err := corev1.NewService(b.ctx, b.name+"-service", &corev1.ServiceArgs{
		// The pods come later than the Service, whose name is in their clients' Secret: nothing to wait for here.
		Metadata: b.metadata(b.args.Name, map[string]string{"pulumi.com/skipAwait": "true"}),
		Spec:     spec,
	}, b.options())
	if err != nil {
		return nil, fmt.Errorf("its service: %w", err)
	}
	return service, nil
}

// pods is a Service without an address of its own: its name has the address of every pod, also of one that drains, for
// who has to reach each of them.
func (b *builder) pods() (pulumi.StringOutput, error) {
	none := pulumi.String("").ToStringOutput()
	if b.args.Console == nil && !b.args.Metrics.Enabled {
		return none, nil
	}
	ports := corev1.ServicePortArray{&corev1.ServicePortArgs{
		Name: pulumi.String(portName), Port: pulumi.Int(b.args.ContainerPort), TargetPort: pulumi.String(portName),
		Protocol: pulumi.String("TCP"),
	}}
	if b.args.Metrics.Enabled {
		ports = append(ports, &corev1.ServicePortArgs{
			Name: pulumi.String(metricsPort), Port: pulumi.Int(b.args.Metrics.Port),
			TargetPort: pulumi.String(metricsPort), Protocol: pulumi.String("TCP"),
		})
	}
	meta := b.metadata(b.args.podsService(), map[string]string{"pulumi.com/skipAwait": "true"})
	// Its own name: by the pool's a ServiceMonitor would find both Services.
	meta.Labels = workload.Labels(b.args.podsService(), b.args.Service)
	service, err := corev1.NewService(b.ctx, b.name+"-pods", &corev1.ServiceArgs{
		Metadata: meta,
		Spec: &corev1.ServiceSpecArgs{
			ClusterIP: pulumi.String("None"), PublishNotReadyAddresses: pulumi.Bool(true),
			Selector: workload.Selector(b.args.Name), Ports: ports,
		},
	}, b.options())
	if err != nil {
		return none, fmt.Errorf("the service of its pods: %w", err)
	}
	if b.args.Console == nil {
		return none, nil
	}
	return pulumi.Sprintf("%s.%s.svc", service.Metadata.Name().Elem(), b.args.Namespace), nil
}

// authorities is the ConfigMap with the CA bundle. Its name follows its content: a new bundle is a new object and so
// rolls the pods, one by one, while an old pod can still be made again with the old one.
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
