package pgbouncer

import (
	"fmt"
	"slices"

	"github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes"
	"github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/apiextensions"
	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	rbacv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/rbac/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"dbtier/validation"
)

const (
	secretsAPI    = "external-secrets.io/v1"
	generatorsAPI = "generators.external-secrets.io/v1alpha1"
)

// untilReady has Pulumi wait until the operator has done its part.
var untilReady = map[string]string{"pulumi.com/waitFor": "condition=Ready"}

// generator makes the passwords of the logins. Characters that mean nothing in a URL, a shell or an ini file: tools
// that read DATABASE_URL carelessly get it right.
func (b *builder) generator() (*apiextensions.CustomResource, error) {
	generator, err := apiextensions.NewCustomResource(b.ctx, b.name+"-login-generator",
		&apiextensions.CustomResourceArgs{
			ApiVersion: pulumi.String(generatorsAPI),
			Kind:       pulumi.String("Password"),
			Metadata:   b.metadata(b.args.loginSecret(), nil),
			OtherFields: kubernetes.UntypedArgs{"spec": pulumi.Map{
				"length":           pulumi.Int(32),
				"digits":           pulumi.Int(8),
				"symbols":          pulumi.Int(4),
				"symbolCharacters": pulumi.String("-_.~"),
				"noUpper":          pulumi.Bool(false),
				"allowRepeat":      pulumi.Bool(true),
			}},
		}, b.options())
	if err != nil {
		return nil, fmt.Errorf("the generator of its logins: %w", err)
	}
	return generator, nil
}

// login makes a login once. The operator runs a generator at every refresh, hence CreatedOnce and an ExternalSecret of
// its own.
func (b *builder) login(
	generator *apiextensions.CustomResource, part, name, user string,
) (*apiextensions.CustomResource, error) {
	login, err := b.externalSecret(part, name, pulumi.Map{
		"refreshPolicy":   pulumi.String("CreatedOnce"),
		"refreshInterval": pulumi.String("0s"),
		"target": target(name, pulumi.Map{
			"username": pulumi.String(user),
			"password": pulumi.String(value("password")),
		}),
		"dataFrom": pulumi.Array{pulumi.Map{"sourceRef": pulumi.Map{"generatorRef": pulumi.Map{
			"apiVersion": pulumi.String(generatorsAPI),
			"kind":       pulumi.String("Password"),
			"name":       generator.Metadata.Name().Elem(),
		}}}},
	},
		// The operator does not look at a created login again, so another user needs another one.
		pulumi.ReplaceOnChanges([]string{"spec"}), pulumi.DeleteBeforeReplace(true))
	if err != nil {
		return nil, fmt.Errorf("the login of %s: %w", user, err)
	}
	return login, nil
}

// made are the Secrets of the logins: those of the members in their order, and the console's where there is one.
type made struct {
	logins  []*apiextensions.CustomResource
	console *apiextensions.CustomResource
}

// all are the logins' Secrets.
func (m *made) all() []*apiextensions.CustomResource {
	if m.console == nil {
		return m.logins
	}
	return append(slices.Clone(m.logins), m.console)
}

func (b *builder) logins() (*made, error) {
	generator, err := b.generator()
	if err != nil {
		return nil, err
	}
	m := &made{}
	for _, member := range b.args.members() {
		login, err := b.login(generator, "login"+member.suffix, member.loginSecret, member.Name)
		if err != nil {
			return nil, err
		}
		m.logins = append(m.logins, login)
	}
	if b.args.Console != nil {
		m.console, err = b.login(generator, "console", b.args.consoleSecret(), ConsoleLogin)
	}
	return m, err
}

// loginStore lets the operator read the logins, the databases' credentials where those are Secrets, and nothing else of
// the namespace, into the other Secrets.
func (b *builder) loginStore(logins *made) (*apiextensions.CustomResource, error) {
	name := b.args.loginReader()
	account, err := corev1.NewServiceAccount(b.ctx, b.name+"-login-reader", &corev1.ServiceAccountArgs{
		Metadata:                     b.metadata(name, nil),
		AutomountServiceAccountToken: pulumi.Bool(false),
	}, b.options())
	if err != nil {
		return nil, fmt.Errorf("the reader of the service's login: %w", err)
	}
	var readable pulumi.StringArray
	for _, login := range logins.all() {
		readable = append(readable, login.Metadata.Name().Elem())
	}
	for _, member := range b.args.members() {
		if member.Credential.inCluster() {
			readable = append(readable, member.Credential.Key)
		}
	}
	role, err := rbacv1.NewRole(b.ctx, b.name+"-login-reader-role", &rbacv1.RoleArgs{
		Metadata: b.metadata(name, nil),
		Rules: rbacv1.PolicyRuleArray{&rbacv1.PolicyRuleArgs{
			ApiGroups:     pulumi.ToStringArray([]string{""}),
			Resources:     pulumi.ToStringArray([]string{"secrets"}),
			ResourceNames: readable,
			Verbs:         pulumi.ToStringArray([]string{"get"}),
		}},
	}, b.options())
	if err != nil {
		return nil, fmt.Errorf("the role of the login's reader: %w", err)
	}
	binding, err := rbacv1.NewRoleBinding(b.ctx, b.name+"-login-reader-binding", &rbacv1.RoleBindingArgs{
		Metadata: b.metadata(name, nil),
		RoleRef: &rbacv1.RoleRefArgs{
			ApiGroup: pulumi.String("rbac.authorization.k8s.io"), Kind: pulumi.String("Role"),
			Name: role.Metadata.Name().Elem(),
		},
		Subjects: rbacv1.SubjectArray{&rbacv1.SubjectArgs{
			Kind: pulumi.String("ServiceAccount"), Name: account.Metadata.Name().Elem(),
			Namespace: pulumi.String(b.args.Namespace),
		}},
	}, b.options())
	if err != nil {
		return nil, fmt.Errorf("the binding of the login's reader: %w", err)
	}
	store, err := apiextensions.NewCustomResource(b.ctx, b.name+"-login-store", &apiextensions.CustomResourceArgs{
		ApiVersion: pulumi.String(secretsAPI),
		Kind:       pulumi.String("SecretStore"),
		Metadata:   b.metadata(b.args.loginSecret(), untilReady),
		OtherFields: kubernetes.UntypedArgs{"spec": pulumi.Map{"provider": pulumi.Map{"kubernetes": pulumi.Map{
			"remoteNamespace": pulumi.String(b.args.Namespace),
			"server": pulumi.Map{
				"url": pulumi.String("https://kubernetes.default.svc"),
				// Kubernetes puts this ConfigMap into every namespace.
				"caProvider": pulumi.Map{
					"type": pulumi.String("ConfigMap"), "name": pulumi.String("kube-root-ca.crt"),
					"key": pulumi.String("ca.crt"),
				},
			},
			"auth": pulumi.Map{"serviceAccount": pulumi.Map{"name": account.Metadata.Name().Elem()}},
		}}}},
	}, b.options(pulumi.DependsOn([]pulumi.Resource{binding})))
	if err != nil {
		return nil, fmt.Errorf("the store of the service's login: %w", err)
	}
	return store, nil
}

// consumerSecret is DATABASE_URL as the owner of a login gets it.
func (b *builder) consumerSecret(
	m *member, login, store *apiextensions.CustomResource, host pulumi.StringOutput,
) (*apiextensions.CustomResource, error) {
	url := host.ApplyT(func(host string) string { return b.args.databaseURL(host, m) }).(pulumi.StringOutput)
	secret, err := b.externalSecret("consumer-secret"+m.suffix, m.Secret, pulumi.Map{
		"refreshInterval": pulumi.String(b.args.refresh()),
		"target":          target(m.Secret, pulumi.Map{"DATABASE_URL": url}),
		"data":            loginData(m, login, store),
	}, pulumi.DependsOn([]pulumi.Resource{login}))
	if err != nil {
		return nil, fmt.Errorf("the secret of %s: %w", m.Name, err)
	}
	return secret, nil
}

// configSecret is the pool's files, from the logins and the databases' credentials.
func (b *builder) configSecret(
	logins *made, store *apiextensions.CustomResource,
) (*apiextensions.CustomResource, error) {
	var data pulumi.Array
	var after []pulumi.Resource
	for i, member := range b.args.members() {
		from := ownStore(store)
		credential := member.Credential
		if !credential.inCluster() {
			from = pulumi.Map{"kind": pulumi.String(credential.Store.Kind), "name": credential.Store.Name}
		}
		data = append(data, loginData(&member, logins.logins[i], store)...)
		data = append(data,
			datum(member.value(databaseUserValue), credential.Key, "username", from),
			datum(member.value(databasePasswordValue), credential.Key, "password", from))
	}
	if logins.console != nil {
		data = append(data, datum(consolePasswordValue, logins.console.Metadata.Name().Elem(), "password",
			ownStore(store)))
	}
	for _, login := range logins.all() {
		after = append(after, login)
	}
	secret, err := b.externalSecret("config", b.args.configSecret(), pulumi.Map{
		"refreshInterval": pulumi.String(b.args.refresh()),
		"target": target(b.args.configSecret(), pulumi.Map{
			"pgbouncer.ini": b.configTemplate(),
			"hba.conf":      pulumi.String(b.args.hba()),
			"userlist.txt":  pulumi.String(b.args.users()),
		}),
		"data": data,
	}, pulumi.DependsOn(after))
	if err != nil {
		return nil, fmt.Errorf("its configuration: %w", err)
	}
	return secret, nil
}

// configTemplate waits for the instances' addresses.
func (b *builder) configTemplate() pulumi.StringOutput {
	var known []any
	for _, d := range b.args.Databases {
		known = append(known, d.Host, d.Port)
	}
	args := b.args
	return pulumi.All(known...).ApplyT(func(known []any) (string, error) {
		endpoints := map[string]endpoint{}
		for i, d := range args.Databases {
			host, port := known[2*i].(string), known[2*i+1].(int)
			// It comes from AWS, and goes where a stray quote or brace would be read as something else.
			if !validation.Hostname.Matches(host) {
				return "", fmt.Errorf("databases[%d].host: %q: want the name of a host", i, host)
			}
			endpoints[d.Name] = endpoint{host: host, port: port, dbName: d.DBName}
		}
		return args.config(endpoints), nil
	}).(pulumi.StringOutput)
}

// ownStore is the store of the namespace's Secrets.
func ownStore(store *apiextensions.CustomResource) pulumi.Map {
	return pulumi.Map{"kind": pulumi.String("SecretStore"), "name": store.Metadata.Name().Elem()}
}

// loginData are the values of a login under the names that the templates use.
func loginData(m *member, login, store *apiextensions.CustomResource) pulumi.Array {
	from := ownStore(store)
	key := login.Metadata.Name().Elem()
	return pulumi.Array{
		datum(m.value(loginUserValue), key, "username", from),
		datum(m.value(loginPasswordValue), key, "password", from),
	}
}

// datum is a value that the operator fetches.
func datum(name string, key pulumi.StringInput, property string, store pulumi.Map) pulumi.Map {
	return pulumi.Map{
		"secretKey": pulumi.String(name),
		"remoteRef": pulumi.Map{"key": key, "property": pulumi.String(property)},
		"sourceRef": pulumi.Map{"storeRef": store},
	}
}

// target is a Secret that belongs to its ExternalSecret and is filled from templates.
func target(name string, templates pulumi.Map) pulumi.Map {
	return pulumi.Map{
		"name":           pulumi.String(name),
		"creationPolicy": pulumi.String("Owner"),
		// A secret that is missing for a moment must not take the pool's files away.
		"deletionPolicy": pulumi.String("Retain"),
		"template":       pulumi.Map{"engineVersion": pulumi.String("v2"), "data": templates},
	}
}

func (b *builder) externalSecret(
	part, name string, spec pulumi.Map, opts ...pulumi.ResourceOption,
) (*apiextensions.CustomResource, error) {
	return apiextensions.NewCustomResource(b.ctx, b.name+"-"+part, &apiextensions.CustomResourceArgs{
		ApiVersion:  pulumi.String(secretsAPI),
		Kind:        pulumi.String("ExternalSecret"),
		Metadata:    b.metadata(name, untilReady),
		OtherFields: kubernetes.UntypedArgs{"spec": spec},
	}, b.options(opts...))
}
