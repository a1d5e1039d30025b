package pgbouncer

import (
	"fmt"
	"slices"

	rbacv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/rbac/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"dbtier/components/contract"
	"dbtier/components/eso"
	"dbtier/components/object"
	"dbtier/validation"
)

// passwordLength of a login, in characters.
const passwordLength = 32

// loginSecrets are the Secrets with the logins: those of the members in their order, and the console's.
type loginSecrets struct {
	members []object.Object
	// console is nil without [PgBouncerPoolArgs].Console.
	console *object.Object
}

// reader reads the Secrets of the pool's namespace.
type reader struct {
	store eso.StoreRef
	// logins are the Secrets that the pool and the owners of the logins read, in the order of the members.
	logins []object.Object
	// console is nil without [PgBouncerPoolArgs].Console.
	console *object.Object
	// credentials are where the pool reads the members' database users, in the same order.
	credentials []Credential
}

// all are the Secrets that must exist before the pool's files.
func (r *reader) all() []object.Object {
	all := slices.Clone(r.logins)
	if r.console != nil {
		all = append(all, *r.console)
	}
	return all
}

func (s *loginSecrets) all() []object.Object {
	if s.console == nil {
		return s.members
	}
	return append(slices.Clone(s.members), *s.console)
}

// logins creates a Secret for each login. Its password is generated once.
func (b *builder) logins() (*loginSecrets, error) {
	generator, err := eso.NewGenerator(b.Ctx, b.Child("login-generator"), b.meta(b.args.loginSecret()), passwordLength,
		b.options())
	if err != nil {
		return nil, err
	}
	login := func(part, secret, user string) (object.Object, error) {
		return eso.NewLogin(b.Ctx, b.Child(part), b.meta(secret), user, generator, b.options())
	}
	secrets := &loginSecrets{}
	for _, m := range b.args.members() {
		created, err := login("login"+m.suffix, m.loginSecret, m.Name)
		if err != nil {
			return nil, err
		}
		secrets.members = append(secrets.members, created)
	}
	if b.args.Console != nil {
		created, err := login("console", b.args.consoleSecret(), ConsoleLogin)
		secrets.console = &created
		return secrets, err
	}
	return secrets, nil
}

// keep creates the copies of generated Secrets that the pool reads instead of them. The operator generates another
// password when such a Secret is lost, or its ExternalSecret. The copy then keeps the one that is in use, and a copy
// that is lost is read again. The console needs none: its users are the pool, and a Job that reads it when it starts.
func (b *builder) keep(logins *loginSecrets, store eso.StoreRef) (*reader, error) {
	r := &reader{store: store, console: logins.console}
	for i, m := range b.args.members() {
		login, err := eso.NewLoginCopy(b.Ctx, b.Child("kept-login"+m.suffix),
			b.meta(KeptSecret(b.args.Name, m.loginSecret)), pulumi.String(m.Name), logins.members[i].Name, store,
			b.options(logins.members[i].Resource))
		if err != nil {
			return nil, err
		}
		r.logins = append(r.logins, login)
		credential := m.Credential
		if credential.Generated != "" {
			// The resource's name contains the generation: an update deletes the last generation's copy last.
			part := fmt.Sprintf("kept-credential%s-%d", m.suffix, credential.Generation)
			kept, err := eso.NewLoginCopy(b.Ctx, b.Child(part),
				b.meta(KeptSecret(b.args.Name, credential.Generated)), pulumi.String(credential.User),
				pulumi.String(credential.Generated), store, b.options(credential.After...))
			if err != nil {
				return nil, err
			}
			credential.Key = kept.Name
		}
		if credential.inCluster() {
			credential.Store = store
		}
		r.credentials = append(r.credentials, credential)
	}
	return r, nil
}

// loginStore creates the store that reads the Secrets of the pool's namespace. It can read the logins and those
// credentials of the databases that are Secrets, and no other Secret.
func (b *builder) loginStore(logins *loginSecrets) (eso.StoreRef, error) {
	name := b.args.loginReader()
	account, err := object.NewServiceAccount(b.Ctx, b.Child("login-reader"), b.meta(name), b.options())
	if err != nil {
		return eso.StoreRef{}, err
	}
	var readable pulumi.StringArray
	for _, login := range logins.all() {
		readable = append(readable, login.Name)
	}
	for _, m := range b.args.members() {
		readable = append(readable, pulumi.String(KeptSecret(b.args.Name, m.loginSecret)))
		if m.Credential.inCluster() {
			readable = append(readable, m.Credential.Key)
		}
		if generated := m.Credential.Generated; generated != "" {
			readable = append(readable, pulumi.String(KeptSecret(b.args.Name, generated)))
		}
	}
	role, err := rbacv1.NewRole(b.Ctx, b.Child("login-reader-role"), &rbacv1.RoleArgs{
		Metadata: object.Args(b.meta(name)),
		Rules: rbacv1.PolicyRuleArray{&rbacv1.PolicyRuleArgs{
			ApiGroups:     pulumi.ToStringArray([]string{""}),
			Resources:     pulumi.ToStringArray([]string{"secrets"}),
			ResourceNames: readable,
			Verbs:         pulumi.ToStringArray([]string{"get"}),
		}},
	}, b.options())
	if err != nil {
		return eso.StoreRef{}, fmt.Errorf("the Role that reads the logins: %w", err)
	}
	binding, err := rbacv1.NewRoleBinding(b.Ctx, b.Child("login-reader-binding"), &rbacv1.RoleBindingArgs{
		Metadata: object.Args(b.meta(name)),
		RoleRef: &rbacv1.RoleRefArgs{
			ApiGroup: pulumi.String("rbac.authorization.k8s.io"), Kind: pulumi.String("Role"),
			Name: role.Metadata.Name().Elem(),
		},
		Subjects: rbacv1.SubjectArray{&rbacv1.SubjectArgs{
			Kind: pulumi.String("ServiceAccount"), Name: account.Name, Namespace: pulumi.String(b.args.Namespace),
		}},
	}, b.options())
	if err != nil {
		return eso.StoreRef{}, fmt.Errorf("the RoleBinding that reads the logins: %w", err)
	}
	return eso.NewStore(b.Ctx, b.Child("login-store"), &eso.StoreArgs{
		Meta: b.meta(b.args.loginSecret()), Kind: eso.SecretStore,
		Provider: eso.Cluster(b.args.Namespace, account.Name),
	}, b.options(binding))
}

// secret creates a Secret that is filled from templates.
func (b *builder) secret(
	part, name string, template pulumi.StringMap, values []eso.Value, after ...object.Object,
) (object.Object, error) {
	return eso.NewExternalSecret(b.Ctx, b.Child(part), &eso.ExternalSecretArgs{
		Meta: b.meta(name), RefreshInterval: b.args.refresh(), Template: template, Values: values,
	}, b.options(object.Resources(after...)...))
}

// consumerSecret is the Secret with DATABASE_URL for the owner of a login.
func (b *builder) consumerSecret(
	m *member, login object.Object, store eso.StoreRef, host pulumi.StringOutput,
) (object.Object, error) {
	url := host.ApplyT(func(host string) string { return b.args.databaseURL(host, m) }).(pulumi.StringOutput)
	return b.secret("consumer-secret"+m.suffix, m.Secret, pulumi.StringMap{contract.DatabaseURL: url},
		loginValues(m, login, store), login)
}

// formsSecret is the Secret with the parts and other forms of a login. It is a Secret of its own, because a service
// that takes all keys of a Secret as variables must not get these.
func (b *builder) formsSecret(
	m *member, login object.Object, store eso.StoreRef, host pulumi.StringOutput,
) (object.Object, error) {
	template := pulumi.StringMap{}
	for key := range b.args.forms("", m) {
		form := func(host string) string { return b.args.forms(host, m)[key] }
		template[key] = host.ApplyT(form).(pulumi.StringOutput)
	}
	return b.secret("consumer-login"+m.suffix, formsSecret(m.Secret), template, loginValues(m, login, store), login)
}

// formsSecret returns the name of the Secret with the other forms of the login in a Secret with DATABASE_URL.
func formsSecret(secret string) string { return contract.Object(secret, "login") }

// configSecret is the Secret with the pool's files. They contain the logins and the databases' credentials.
func (b *builder) configSecret(from *reader) (object.Object, error) {
	var values []eso.Value
	for i, m := range b.args.members() {
		credential := from.credentials[i]
		values = append(values, loginValues(&m, from.logins[i], from.store)...)
		values = append(values,
			secretValue(m.value(databaseUserValue), credential.Store, credential.Key, contract.UsernameKey),
			secretValue(m.value(databasePasswordValue), credential.Store, credential.Key, contract.PasswordKey))
	}
	if from.console != nil {
		values = append(values, secretValue(consolePasswordValue, from.store, from.console.Name, contract.PasswordKey))
	}
	return b.secret("config", b.args.configSecret(), pulumi.StringMap{
		"pgbouncer.ini": b.configTemplate(),
		"hba.conf":      pulumi.String(b.args.hba()),
		"userlist.txt":  pulumi.String(b.args.users()),
	}, values, from.all()...)
}

// configTemplate returns the template of pgbouncer.ini, once the instances' addresses are known.
func (b *builder) configTemplate() pulumi.StringOutput {
	var inputs []any
	for _, d := range b.args.Databases {
		inputs = append(inputs, d.Host, d.Port)
	}
	args := b.args
	return pulumi.All(inputs...).ApplyT(func(known []any) (string, error) {
		endpoints := map[string]endpoint{}
		for i, d := range args.Databases {
			host, port := known[2*i].(string), known[2*i+1].(int)
			// The host comes from AWS and goes into the file unescaped, where a quote or brace would break it.
			if !validation.Hostname.Matches(host) {
				return "", fmt.Errorf("databases[%d].host: %q: %s", i, host, validation.Hostname.Rule)
			}
			endpoints[d.Name] = endpoint{host: host, port: port, dbName: d.DBName}
		}
		return args.config(endpoints), nil
	}).(pulumi.StringOutput)
}

// loginValues are the values of a login under the names that the templates use.
func loginValues(m *member, login object.Object, store eso.StoreRef) []eso.Value {
	return []eso.Value{
		secretValue(m.value(loginUserValue), store, login.Name, contract.UsernameKey),
		secretValue(m.value(loginPasswordValue), store, login.Name, contract.PasswordKey),
	}
}

func secretValue(name string, store eso.StoreRef, key pulumi.StringInput, property string) eso.Value {
	return eso.Value{Name: name, Store: store, Key: key, Property: property}
}
