package pgbouncer

import (
	"fmt"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"dbtier/components/component"
	"dbtier/components/contract"
	"dbtier/components/naming"
	"dbtier/components/object"
	"dbtier/components/workload"
)

// Type is the component's type in URNs.
const Type = "dbtier:components:PgBouncerPool"

// ContainerName is the container in which PgBouncer runs.
const ContainerName = "pgbouncer"

// PgBouncerPool is a pool that accepts connections.
type PgBouncerPool struct {
	pulumi.ResourceState

	// Host is the Service's name as pods of every namespace resolve it.
	Host pulumi.StringOutput `pulumi:"host"`
	// Port of the Service.
	Port pulumi.IntOutput `pulumi:"port"`
	// ServiceName and DeploymentName are names in the pool's namespace.
	ServiceName    pulumi.StringOutput `pulumi:"serviceName"`
	DeploymentName pulumi.StringOutput `pulumi:"deploymentName"`
	// ConsumerSecretName is the Secret with DATABASE_URL. It exists before the pool's pods do: what uses it must also
	// depend on Ready.
	ConsumerSecretName pulumi.StringOutput `pulumi:"consumerSecretName"`
	// ConsumerSecretNames are the Secrets of all logins by login, including the service's own.
	ConsumerSecretNames pulumi.StringMapOutput `pulumi:"consumerSecretNames"`
	// ConsumerRevision changes with the service's DATABASE_URL, except for the password, which only changes by hand.
	// Pods read the URL when they start, so the revision belongs in their template.
	ConsumerRevision pulumi.StringOutput `pulumi:"consumerRevision"`
	// LoginSecretName is the Secret with the service's login to the pool.
	LoginSecretName pulumi.StringOutput `pulumi:"loginSecretName"`
	// ConfigSecretName is the Secret with the pool's files.
	ConfigSecretName pulumi.StringOutput `pulumi:"configSecretName"`
	// ConsoleHost is a DNS name with the address of every pod, and ConsoleSecretName the Secret with the console's
	// username and password. Both are empty without [PgBouncerPoolArgs].Console.
	ConsoleHost       pulumi.StringOutput `pulumi:"consoleHost"`
	ConsoleSecretName pulumi.StringOutput `pulumi:"consoleSecretName"`
	// ExternalSecretNames are the names of all ExternalSecrets of the pool.
	ExternalSecretNames pulumi.StringArrayOutput `pulumi:"externalSecretNames"`
	// PodLabels select the pool's pods.
	PodLabels pulumi.StringMapOutput `pulumi:"podLabels"`
	// Ready is the Deployment. Depend on it and not on the component (package component).
	Ready []pulumi.Resource
}

type builder struct {
	component.Scope

	args *PgBouncerPoolArgs
}

// NewPgBouncerPool creates the pool.
func NewPgBouncerPool(
	ctx *pulumi.Context, name string, args *PgBouncerPoolArgs, opts ...pulumi.ResourceOption,
) (*PgBouncerPool, error) {
	return component.New(ctx, Type, name, args, build, opts...)
}

func build(s component.Scope, args *PgBouncerPoolArgs, pool *PgBouncerPool) error {
	b := &builder{s, args}
	service, err := b.service()
	if err != nil {
		return err
	}
	pool.ServiceName = service.Metadata.Name().Elem()
	pool.Host = pulumi.Sprintf("%s.%s.svc", pool.ServiceName, b.args.Namespace)
	pool.Port = pulumi.Int(b.args.Port).ToIntOutput()
	pool.PodLabels = workload.Selector(b.args.Name).ToStringMapOutput()
	config, err := b.secrets(pool)
	if err != nil {
		return err
	}
	authorities, err := b.authorities()
	if err != nil {
		return err
	}
	// The policy comes before the pods, so that it applies from their first packet.
	policy, err := b.networkPolicy()
	if err != nil {
		return err
	}
	deployment, err := b.deployment(config, authorities, policy)
	if err != nil {
		return err
	}
	pool.DeploymentName = deployment.Metadata.Name().Elem()
	pool.Ready = []pulumi.Resource{deployment}
	if err := workload.NewDisruptionBudget(b.Ctx, b.Child("disruption-budget"), b.meta(b.args.Name),
		b.options()); err != nil {
		return fmt.Errorf("the PodDisruptionBudget: %w", err)
	}
	if pool.ConsoleHost, err = b.podsService(); err != nil {
		return err
	}
	return b.serviceMonitor()
}

// secrets creates the logins, the Secrets of their owners and the pool's files, which it returns.
func (b *builder) secrets(pool *PgBouncerPool) (object.Object, error) {
	logins, err := b.logins()
	if err != nil {
		return object.Object{}, err
	}
	pool.LoginSecretName = logins.members[0].Name
	if logins.console != nil {
		pool.ConsoleSecretName = logins.console.Name
	}
	store, err := b.loginStore(logins)
	if err != nil {
		return object.Object{}, err
	}
	from, err := b.keep(logins, store)
	if err != nil {
		return object.Object{}, err
	}
	members := b.args.members()
	byLogin := pulumi.StringMap{}
	var names pulumi.StringArray
	for i := range members {
		consumer, err := b.consumerSecret(&members[i], from.logins[i], store, pool.Host)
		if err != nil {
			return object.Object{}, err
		}
		byLogin[members[i].Name] = consumer.Name
		forms, err := b.formsSecret(&members[i], logins.members[i], store, pool.Host)
		if err != nil {
			return object.Object{}, err
		}
		names = append(names, consumer.Name, forms.Name)
	}
	pool.ConsumerSecretName = byLogin[members[0].Name].ToStringOutput()
	pool.ConsumerSecretNames = byLogin.ToStringMapOutput()
	pool.ConsumerRevision = pool.Host.ApplyT(func(host string) (string, error) {
		return naming.Hash(b.args.databaseURL(host, &members[0]))
	}).(pulumi.StringOutput)
	config, err := b.configSecret(from)
	if err != nil {
		return object.Object{}, err
	}
	pool.ConfigSecretName = config.Name
	for _, login := range logins.all() {
		names = append(names, login.Name)
	}
	for i, login := range from.logins {
		names = append(names, login.Name)
		if members[i].Credential.Generated != "" {
			names = append(names, from.credentials[i].Key)
		}
	}
	pool.ExternalSecretNames = append(names, config.Name).ToStringArrayOutput()
	return config, nil
}

// options returns the options of every child. A child is below the component, and created after what the pool needs and
// after the given resources.
func (b *builder) options(after ...pulumi.Resource) pulumi.ResourceOption {
	return pulumi.Composite(b.Parent, pulumi.DependsOn(append(after, b.args.DependsOn...)))
}

// meta returns the metadata of an object in the pool's namespace.
func (b *builder) meta(name string) object.Meta {
	return object.Meta{
		Name: name, Namespace: b.args.Namespace, Labels: workload.Labels(b.args.Name, b.args.Service),
	}
}

// authorities creates the ConfigMap with the CA bundle. Its name follows its content: a new bundle is a new object and
// rolls the pods one by one, while an old pod can still restart with the old bundle.
func (b *builder) authorities() (object.Object, error) {
	bundle := strings.TrimSpace(b.args.CABundle) + "\n"
	hash, err := naming.Hash(bundle)
	if err != nil {
		return object.Object{}, err
	}
	return object.NewImmutableConfigMap(b.Ctx, b.Child("ca"),
		b.meta(contract.Object(b.args.Name, "ca", hash)), map[string]string{contract.CAKey: bundle}, b.options())
}
