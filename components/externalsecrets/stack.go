package externalsecrets

import (
	"fmt"

	"github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/apiextensions"
	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"dbtier/components/naming"
	"dbtier/components/workload"
)

// StackType is the component's type in URNs.
const StackType = "dbtier:components:ExternalSecretsStack"

const (
	// URLKey is the key of a Secret under which it holds a connection URL.
	URLKey = "DATABASE_URL"
	// CAKey is the key of the ConfigMap with the authorities of the instance's certificate.
	CAKey = "ca.pem"
)

// ExternalSecretsStack is what a service has of secrets.
type ExternalSecretsStack struct {
	pulumi.ResourceState

	// Store leads to the service's secrets in Secrets Manager.
	Store StoreRef
	// ServiceAccount that may take the role.
	ServiceAccount pulumi.StringOutput `pulumi:"serviceAccount"`
	// DirectSecret holds, under [URLKey] and in libpq's variables (PGHOST, …), the way to the instance itself as the
	// master user.
	DirectSecret pulumi.StringOutput `pulumi:"directSecret"`
	// CAConfigMap holds, under [CAKey], what verifies the instance's certificate. Whoever takes DirectSecret mounts it
	// at CAPath.
	CAConfigMap pulumi.StringOutput `pulumi:"caConfigMap"`
	// SecretNames are the Secrets of [ExternalSecretsStackArgs].Secrets by their names, known once they are there.
	SecretNames pulumi.StringMapOutput `pulumi:"secretNames"`
	// Names of all ExternalSecrets of this component.
	Names []string
}

// stack makes the parts of one service's secrets.
type stack struct {
	ctx    *pulumi.Context
	name   string
	args   *ExternalSecretsStackArgs
	parent pulumi.ResourceOption
	names  []string
}

// NewExternalSecretsStack makes a service's store and secrets; the operator must be there (pulumi.DependsOn). It
// returns every fault of the arguments at once, before it makes anything.
func NewExternalSecretsStack(
	ctx *pulumi.Context, name string, args *ExternalSecretsStackArgs, opts ...pulumi.ResourceOption,
) (*ExternalSecretsStack, error) {
	if args == nil {
		return nil, fmt.Errorf("secrets %s: no arguments given", name)
	}
	own := *args
	own.setDefaults()
	if err := own.Validate(); err != nil {
		return nil, fmt.Errorf("secrets %s: %w", name, err)
	}
	component := &ExternalSecretsStack{}
	if err := ctx.RegisterComponentResource(StackType, name, component, opts...); err != nil {
		return nil, fmt.Errorf("registering secrets %s: %w", name, err)
	}
	s := &stack{ctx: ctx, name: name, args: &own, parent: pulumi.Parent(component)}
	if err := s.build(component); err != nil {
		return nil, fmt.Errorf("secrets %s: %w", name, err)
	}
	return component, ctx.RegisterResourceOutputs(component, pulumi.Map{
		"serviceAccount": component.ServiceAccount,
		"directSecret":   component.DirectSecret,
		"caConfigMap":    component.CAConfigMap,
		"secretNames":    component.SecretNames,
	})
}

func (s *stack) build(component *ExternalSecretsStack) error {
	account, store, err := s.awsStore()
	if err != nil {
		return err
	}
	component.ServiceAccount = account.Metadata.Name().Elem()
	component.Store = StoreRef{Kind: s.args.StoreKind, Name: nameOf(store)}

	direct, err := s.directSecret(component.Store)
	if err != nil {
		return err
	}
	component.DirectSecret = nameOf(direct)

	authorities, err := s.authorities()
	if err != nil {
		return err
	}
	component.CAConfigMap = authorities.Metadata.Name().Elem()

	further := pulumi.StringMap{}
	for i := range s.args.Secrets {
		secret, err := s.further(component.Store, &s.args.Secrets[i])
		if err != nil {
			return err
		}
		further[s.args.Secrets[i].Name] = nameOf(secret)
	}
	component.SecretNames = further.ToStringMapOutput()
	component.Names = s.names
	return nil
}

func (s *stack) object(suffix ...string) string {
	return naming.Join(naming.LabelLimit, append([]string{s.args.Service}, suffix...)...)
}

func (s *stack) labels() pulumi.StringMap { return workload.Labels(s.args.Service, s.args.Service) }

func (s *stack) metadata(name string) metav1.ObjectMetaArgs {
	return metav1.ObjectMetaArgs{
		Name: pulumi.String(name), Namespace: pulumi.String(s.args.Namespace),
		Labels: s.labels(),
	}
}

func (s *stack) externalSecret(part string, args *ExternalSecretArgs) (*apiextensions.CustomResource, error) {
	args.Namespace, args.Labels = s.args.Namespace, s.labels()
	s.names = append(s.names, args.Name)
	return NewExternalSecret(s.ctx, s.name+"-"+part, args, s.parent)
}

// awsStore is the way to Secrets Manager: the operator asks the cluster for a token of the ServiceAccount, and STS for
// the role's credentials with it. The operator itself has no rights in AWS.
func (s *stack) awsStore() (*corev1.ServiceAccount, *apiextensions.CustomResource, error) {
	metadata := s.metadata(s.args.ServiceAccount)
	metadata.Annotations = pulumi.StringMap{"eks.amazonaws.com/role-arn": s.args.RoleArn}
	account, err := corev1.NewServiceAccount(s.ctx, s.name+"-service-account", &corev1.ServiceAccountArgs{
		Metadata: metadata,
		// It is for tokens that the operator asks for, and for no pod.
		AutomountServiceAccountToken: pulumi.Bool(false),
	}, s.parent)
	if err != nil {
		return nil, nil, fmt.Errorf("the ServiceAccount: %w", err)
	}
	reference := pulumi.Map{"name": account.Metadata.Name().Elem()}
	spec := pulumi.Map{"provider": pulumi.Map{"aws": pulumi.Map{
		"service": pulumi.String("SecretsManager"),
		"region":  pulumi.String(s.args.Region),
		"auth":    pulumi.Map{"jwt": pulumi.Map{"serviceAccountRef": reference}},
	}}}
	namespace := s.args.Namespace
	if s.args.StoreKind == ClusterSecretStore {
		namespace = ""
		reference["namespace"] = pulumi.String(s.args.Namespace)
		spec["conditions"] = pulumi.Array{pulumi.Map{
			"namespaces": pulumi.ToStringArray(append([]string{s.args.Namespace}, s.args.Namespaces...)),
		}}
	}
	store, err := newCustomResource(s.ctx, s.name+"-store", s.args.StoreKind, namespace, s.args.StoreName, s.labels(),
		spec, s.parent)
	return account, store, err
}

// directSecret leads to the instance itself, as the master user: for migrations and bootstrap only.
func (s *stack) directSecret(store StoreRef) (*apiextensions.CustomResource, error) {
	return s.externalSecret("direct", &ExternalSecretArgs{
		Name:            s.args.directName(),
		RefreshInterval: s.args.RefreshInterval,
		Extract:         []Extract{{Store: store, Key: s.args.MasterSecretArn}},
		// The password has characters that mean something in a URL, so it is encoded; host, port and database are not
		// secret and come from the instance.
		Template: map[string]pulumi.StringInput{
			URLKey: pulumi.Sprintf(
				"postgresql://{{ .username | urlquery }}:{{ .password | urlquery "+
					"}}@%s:%d/%s?sslmode=verify-full&sslrootcert=%s",
				s.args.DatabaseHost, s.args.DatabasePort, s.args.DatabaseName, s.args.CAPath),
			// libpq's variables, for psql: as an argument the URL would stand in the list of processes.
			"PGHOST":        s.args.DatabaseHost,
			"PGPORT":        pulumi.Sprintf("%d", s.args.DatabasePort),
			"PGDATABASE":    pulumi.String(s.args.DatabaseName),
			"PGUSER":        pulumi.String("{{ .username }}"),
			"PGPASSWORD":    pulumi.String("{{ .password }}"),
			"PGSSLMODE":     pulumi.String("verify-full"),
			"PGSSLROOTCERT": pulumi.String(s.args.CAPath),
		},
	})
}

// further is a Secret that has nothing to do with the database.
func (s *stack) further(store StoreRef, secret *Secret) (*apiextensions.CustomResource, error) {
	args := &ExternalSecretArgs{
		Name: secret.Name, RefreshPolicy: secret.RefreshPolicy, RefreshInterval: secret.RefreshInterval,
		Keys: secret.Keys, Store: store, Type: secret.Type,
	}
	for _, key := range secret.Extract {
		args.Extract = append(args.Extract, Extract{Store: store, Key: key})
	}
	return s.externalSecret("secret-"+secret.Name, args)
}

// authorities are public, so they are a ConfigMap.
func (s *stack) authorities() (*corev1.ConfigMap, error) {
	authorities, err := corev1.NewConfigMap(s.ctx, s.name+"-authorities", &corev1.ConfigMapArgs{
		Metadata: s.metadata(s.object("rds", "ca")),
		Data:     pulumi.StringMap{CAKey: pulumi.String(s.args.CABundle)},
	}, s.parent)
	if err != nil {
		return nil, fmt.Errorf("the authorities of the instance's certificate: %w", err)
	}
	return authorities, nil
}
