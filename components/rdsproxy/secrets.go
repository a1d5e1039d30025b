package rdsproxy

import (
	"fmt"
	"slices"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/secretsmanager"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"dbtier/components/fault"
	"dbtier/validation"
)

// SecretsType is the component's type in URNs.
const SecretsType = "dbtier:components:RdsProxySecrets"

// ProxySecretsArgs is what [NewProxySecrets] needs.
type ProxySecretsArgs struct {
	// Prefix of the secrets' names: the instance's identifier. The secrets are <prefix>/proxy/<user>.
	Prefix string
	// Users that have a secret each.
	Users []string
	// KmsKeyArn is the key that encrypts them.
	KmsKeyArn pulumi.StringInput
	// Tags of the secrets.
	Tags map[string]string
}

// Validate reports every fault of the arguments.
func (a *ProxySecretsArgs) Validate() error {
	var faults fault.List
	faults.Check(validation.DBIdentifier.Matches(a.Prefix), "prefix", a.Prefix,
		"want the identifier of the instance")
	faults.Check(len(a.Users) > 0, "users", nil, "is missing")
	for i, user := range a.Users {
		path := fmt.Sprintf("users[%d]", i)
		faults.Form(path, user, validation.SQLName)
		faults.Check(slices.Index(a.Users, user) == i, path, user, "is named twice")
	}
	faults.Check(a.KmsKeyArn != nil, "kmsKeyArn", nil, "is missing")
	return faults.Err()
}

// ProxySecrets are secrets in Secrets Manager that exist and are empty. Whoever has the passwords puts them there.
type ProxySecrets struct {
	pulumi.ResourceState

	// Arns of the secrets, in the order of the users.
	Arns pulumi.StringArrayOutput `pulumi:"arns"`
	// Users with their secrets, in the order of the arguments.
	Users []User
}

// NewProxySecrets makes the secrets. It returns every fault of the arguments at once, before it makes anything.
func NewProxySecrets(
	ctx *pulumi.Context, name string, args *ProxySecretsArgs, opts ...pulumi.ResourceOption,
) (*ProxySecrets, error) {
	if args == nil {
		return nil, fmt.Errorf("proxy secrets %s: no arguments given", name)
	}
	if err := args.Validate(); err != nil {
		return nil, fmt.Errorf("proxy secrets %s: %w", name, err)
	}
	component := &ProxySecrets{}
	if err := ctx.RegisterComponentResource(SecretsType, name, component, opts...); err != nil {
		return nil, fmt.Errorf("registering proxy secrets %s: %w", name, err)
	}
	tags := pulumi.ToStringMap(args.Tags)
	if tags == nil {
		tags = pulumi.StringMap{}
	}
	// The operator pushes into no secret without it.
	tags["managed-by"] = pulumi.String("external-secrets")
	arns := pulumi.StringArray{}
	for _, user := range args.Users {
		secret, err := secretsmanager.NewSecret(ctx, name+"-"+user, &secretsmanager.SecretArgs{
			Name: pulumi.Sprintf("%s/proxy/%s", args.Prefix, user),
			Description: pulumi.Sprintf("What RDS Proxy logs in with as %s; the External Secrets Operator writes it",
				user),
			KmsKeyId: args.KmsKeyArn,
			// What is in it is made anew by another generation of the role; a name that stays taken for a month would
			// be in the way.
			RecoveryWindowInDays: pulumi.Int(0),
			Tags:                 tags,
		}, pulumi.Parent(component))
		if err != nil {
			return nil, fmt.Errorf("proxy secrets %s: that of %s: %w", name, user, err)
		}
		component.Users = append(component.Users, User{Name: user, SecretArn: secret.Arn, KmsKeyArn: args.KmsKeyArn})
		arns = append(arns, secret.Arn)
	}
	component.Arns = arns.ToStringArrayOutput()
	return component, ctx.RegisterResourceOutputs(component, pulumi.Map{"arns": component.Arns})
}
