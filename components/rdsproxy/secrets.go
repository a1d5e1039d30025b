package rdsproxy

import (
	"fmt"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/secretsmanager"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"dbtier/components/component"
	"dbtier/components/fault"
	"dbtier/validation"
)

// SecretsType is the component's type in URNs.
const SecretsType = "dbtier:components:RdsProxySecrets"

// ProxySecretsArgs is what [NewProxySecrets] needs.
type ProxySecretsArgs struct {
	// Prefix of the secrets' names: the instance's identifier. The secrets are <prefix>/proxy/<user>.
	Prefix string
	// Users that get a secret each.
	Users []string
	// KmsKeyArn is the key that encrypts the secrets.
	KmsKeyArn pulumi.StringInput
	// Tags of the secrets.
	Tags map[string]string
}

// SetDefaults does nothing: every field but Tags is required.
func (a *ProxySecretsArgs) SetDefaults() {}

// Validate reports every fault of the arguments.
func (a *ProxySecretsArgs) Validate() error {
	var faults fault.List
	faults.Check(validation.DBIdentifier.Matches(a.Prefix), "prefix", a.Prefix,
		"want the identifier of the instance")
	faults.Check(len(a.Users) > 0, "users", nil, "is missing")
	faults.Names("users", a.Users, validation.SQLName)
	faults.Present("kmsKeyArn", a.KmsKeyArn)
	return faults.Err()
}

// ProxySecrets are empty secrets in Secrets Manager. The External Secrets Operator writes the passwords into them.
type ProxySecrets struct {
	pulumi.ResourceState

	// Arns of the secrets, in the order of the users.
	Arns pulumi.StringArrayOutput `pulumi:"arns"`
	// Users with their secrets, in the order of the arguments.
	Users []User
}

// NewProxySecrets creates the secrets.
func NewProxySecrets(
	ctx *pulumi.Context, name string, args *ProxySecretsArgs, opts ...pulumi.ResourceOption,
) (*ProxySecrets, error) {
	return component.New(ctx, SecretsType, name, args, addSecrets, opts...)
}

func addSecrets(s component.Scope, args *ProxySecretsArgs, secrets *ProxySecrets) error {
	tags := pulumi.StringMap{}
	for key, value := range args.Tags {
		tags[key] = pulumi.String(value)
	}
	// The operator pushes only into secrets with this tag. It replaces a tag managed-by of the arguments.
	tags["managed-by"] = pulumi.String("external-secrets")
	arns := pulumi.StringArray{}
	for _, user := range args.Users {
		secret, err := secretsmanager.NewSecret(s.Ctx, s.Child(user), &secretsmanager.SecretArgs{
			Name: pulumi.Sprintf("%s/proxy/%s", args.Prefix, user),
			Description: pulumi.Sprintf("What RDS Proxy logs in with as %s; the External Secrets Operator writes it",
				user),
			KmsKeyId: args.KmsKeyArn,
			// Another generation of the role writes a new value, so nothing in the secret is worth recovering. With a
			// recovery window its name would stay taken for a month.
			RecoveryWindowInDays: pulumi.Int(0),
			Tags:                 tags,
		}, s.Parent)
		if err != nil {
			return fmt.Errorf("the secret of %s: %w", user, err)
		}
		secrets.Users = append(secrets.Users, User{Name: user, SecretArn: secret.Arn, KmsKeyArn: args.KmsKeyArn})
		arns = append(arns, secret.Arn)
	}
	secrets.Arns = arns.ToStringArrayOutput()
	return nil
}
