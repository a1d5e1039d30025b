package externalsecrets

import (
	"maps"
	"slices"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"dbtier/components/component"
	"dbtier/components/contract"
	"dbtier/components/eso"
	"dbtier/components/object"
	"dbtier/components/workload"
)

// StackType is the component's type in URNs.
const StackType = "dbtier:components:ExternalSecretsStack"

// ExternalSecretsStack is a service's store and Secrets.
type ExternalSecretsStack struct {
	pulumi.ResourceState

	// Store reads the service's secrets in Secrets Manager.
	Store eso.StoreRef
	// ServiceAccount that may take the role.
	ServiceAccount pulumi.StringOutput `pulumi:"serviceAccount"`
	// DirectSecret holds the connection to the instance itself as the master user, under [contract.DatabaseURL] and in
	// libpq's variables (PGHOST, …).
	DirectSecret pulumi.StringOutput `pulumi:"directSecret"`
	// CAConfigMap holds, under [contract.CAKey], the certificates that verify the instance. Pods that use DirectSecret
	// mount it at [contract.CAPath].
	CAConfigMap pulumi.StringOutput `pulumi:"caConfigMap"`
	// SecretNames are the names of [ExternalSecretsStackArgs].Secrets, by name. Each resolves when its Secret exists.
	SecretNames pulumi.StringMapOutput `pulumi:"secretNames"`
}

type builder struct {
	component.Scope

	args *ExternalSecretsStackArgs
}

// NewExternalSecretsStack creates a service's store and Secrets. The operator must be installed: depend on it with
// [pulumi.DependsOn].
func NewExternalSecretsStack(
	ctx *pulumi.Context, name string, args *ExternalSecretsStackArgs, opts ...pulumi.ResourceOption,
) (*ExternalSecretsStack, error) {
	return component.New(ctx, StackType, name, args, build, opts...)
}

func build(s component.Scope, args *ExternalSecretsStackArgs, stack *ExternalSecretsStack) error {
	b := &builder{s, args}
	var err error
	if stack.ServiceAccount, stack.Store, err = b.store(); err != nil {
		return err
	}
	direct, err := b.directSecret(stack.Store)
	if err != nil {
		return err
	}
	stack.DirectSecret = direct.Name
	// The certificates are public, so they are in a ConfigMap.
	authorities, err := object.NewConfigMap(b.Ctx, b.Child("authorities"),
		b.meta(contract.DirectCA(b.args.Service)),
		map[string]string{contract.CAKey: b.args.CABundle}, b.Parent)
	if err != nil {
		return err
	}
	stack.CAConfigMap = authorities.Name
	names := pulumi.StringMap{}
	for i := range b.args.Secrets {
		secret, err := b.secret(stack.Store, &b.args.Secrets[i])
		if err != nil {
			return err
		}
		names[b.args.Secrets[i].Name] = secret.Name
	}
	stack.SecretNames = names.ToStringMapOutput()
	return nil
}

func (b *builder) meta(name string) object.Meta {
	return object.Meta{
		Name: name, Namespace: b.args.Namespace, Labels: workload.Labels(b.args.Service, b.args.Service),
	}
}

// store creates the ServiceAccount and the store that reads Secrets Manager with it. The operator itself has no rights
// in AWS.
func (b *builder) store() (pulumi.StringOutput, eso.StoreRef, error) {
	meta := b.meta(b.args.ServiceAccount)
	meta.Annotations = pulumi.StringMap{"eks.amazonaws.com/role-arn": b.args.RoleArn}
	// No pod runs as this account: the operator requests its tokens.
	account, err := object.NewServiceAccount(b.Ctx, b.Child("service-account"), meta, b.Parent)
	if err != nil {
		return pulumi.StringOutput{}, eso.StoreRef{}, err
	}
	args := &eso.StoreArgs{Meta: b.meta(b.args.StoreName), Kind: b.args.StoreKind, WaitSeconds: eso.WaitSeconds}
	accountNamespace := ""
	if args.Kind == eso.ClusterSecretStore {
		args.Namespace, accountNamespace = "", b.args.Namespace
		args.Namespaces = append([]string{b.args.Namespace}, b.args.Namespaces...)
	}
	args.Provider = eso.SecretsManager(b.args.Region, account.Name, accountNamespace)
	store, err := eso.NewStore(b.Ctx, b.Child("store"), args, b.Parent)
	return account.Name, store, err
}

func (b *builder) externalSecret(part string, args *eso.ExternalSecretArgs) (object.Object, error) {
	args.MergePolicy, args.WaitSeconds = "Replace", eso.WaitSeconds
	return eso.NewExternalSecret(b.Ctx, b.Child(part), args, b.Parent)
}

// directSecret holds the connection to the instance itself as the master user. It is for migrations and the bootstrap
// only.
func (b *builder) directSecret(store eso.StoreRef) (object.Object, error) {
	a := b.args
	url := pulumi.All(a.DatabaseHost, a.DatabasePort).ApplyT(func(known []any) string {
		return contract.URL(eso.URLLogin, known[0].(string), known[1].(int), a.DatabaseName, contract.CAPath)
	}).(pulumi.StringOutput)
	return b.externalSecret("direct", &eso.ExternalSecretArgs{
		Meta:            b.meta(contract.DirectSecret(a.Service)),
		RefreshPolicy:   eso.Periodic,
		RefreshInterval: a.RefreshInterval,
		Extract:         []eso.Extract{{Store: store, Key: a.MasterSecretArn}},
		Template: pulumi.StringMap{
			contract.DatabaseURL: url,
			// libpq's variables are for psql: as an argument the URL would be visible in the list of processes.
			"PGHOST":        a.DatabaseHost,
			"PGPORT":        pulumi.Sprintf("%d", a.DatabasePort),
			"PGDATABASE":    pulumi.String(a.DatabaseName),
			"PGUSER":        pulumi.String("{{ .username }}"),
			"PGPASSWORD":    pulumi.String("{{ .password }}"),
			"PGSSLMODE":     pulumi.String("verify-full"),
			"PGSSLROOTCERT": pulumi.String(contract.CAPath),
		},
	})
}

// secret creates a Secret that has nothing to do with the database.
func (b *builder) secret(store eso.StoreRef, secret *Secret) (object.Object, error) {
	args := &eso.ExternalSecretArgs{
		Meta: b.meta(secret.Name), RefreshPolicy: secret.RefreshPolicy, RefreshInterval: secret.RefreshInterval,
		Template: pulumi.StringMap{}, Type: secret.Type,
	}
	for _, key := range secret.Extract {
		args.Extract = append(args.Extract, eso.Extract{Store: store, Key: key})
	}
	known := &values{store: store}
	// Sort the keys, so that the same arguments give the same object.
	for _, key := range slices.Sorted(maps.Keys(secret.Keys)) {
		args.Template[key] = secret.Keys[key].render(known)
	}
	args.Values = known.list
	return b.externalSecret("secret-"+secret.Name, args)
}
