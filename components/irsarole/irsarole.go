package irsarole

import (
	"fmt"
	"slices"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/iam"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"dbtier/components/iampolicy"
)

// Type is the component's type in URNs.
const Type = "dbtier:components:IrsaRole"

// IrsaRole is a role for the pods of one ServiceAccount.
type IrsaRole struct {
	pulumi.ResourceState

	// Arn of the role: the value of the ServiceAccount's annotation eks.amazonaws.com/role-arn. It is known only after
	// the role's policy is in place, so that whoever takes the role can use it.
	Arn pulumi.StringOutput `pulumi:"arn"`
	// Name of the role.
	Name pulumi.StringOutput `pulumi:"name"`
}

// NewIrsaRole makes the role. It returns every fault of the arguments at once, before it makes anything.
func NewIrsaRole(ctx *pulumi.Context, name string, args *IrsaRoleArgs, opts ...pulumi.ResourceOption) (*IrsaRole, error) {
	if args == nil {
		return nil, fmt.Errorf("role %s: no arguments given", name)
	}
	own := *args
	own.setDefaults()
	if err := own.Validate(); err != nil {
		return nil, fmt.Errorf("role %s: %w", name, err)
	}
	component := &IrsaRole{}
	if err := ctx.RegisterComponentResource(Type, name, component, opts...); err != nil {
		return nil, fmt.Errorf("registering role %s: %w", name, err)
	}
	parent := pulumi.Parent(component)
	trust, err := own.trustPolicy()
	if err != nil {
		return nil, fmt.Errorf("role %s: %w", name, err)
	}
	roleArgs := &iam.RoleArgs{
		Name:               pulumi.String(own.Name),
		Description:        pulumi.String(own.Description),
		AssumeRolePolicy:   pulumi.String(trust),
		MaxSessionDuration: pulumi.Int(own.MaxSessionDuration),
		Tags:               pulumi.ToStringMap(own.Tags),
	}
	if own.PermissionsBoundary != "" {
		roleArgs.PermissionsBoundary = pulumi.String(own.PermissionsBoundary)
	}
	role, err := iam.NewRole(ctx, name+"-role", roleArgs, parent)
	if err != nil {
		return nil, fmt.Errorf("role %s: %w", name, err)
	}
	policy, err := iam.NewRolePolicy(ctx, name+"-policy", &iam.RolePolicyArgs{
		Name:   pulumi.String("read-secrets"),
		Role:   role.Name,
		Policy: own.secretsPolicy(),
	}, parent)
	if err != nil {
		return nil, fmt.Errorf("role %s: its policy: %w", name, err)
	}
	component.Name = role.Name
	component.Arn = pulumi.All(role.Arn, policy.ID()).ApplyT(func(known []any) string { return known[0].(string) }).(pulumi.StringOutput)
	return component, ctx.RegisterResourceOutputs(component, pulumi.Map{"arn": component.Arn, "name": component.Name})
}

func (a *IrsaRoleArgs) trustPolicy() (string, error) {
	return iampolicy.JSON(iampolicy.Statement{
		Principal: &iampolicy.Principal{Federated: a.OIDCProviderArn},
		Actions:   []string{"sts:AssumeRoleWithWebIdentity"},
		Condition: iampolicy.Condition{"StringEquals": {
			a.issuer() + ":sub": a.subject(),
			a.issuer() + ":aud": a.Audience,
		}},
	})
}

// secretsPolicy waits for the secrets' ARNs: RDS puts a random name into them, and a wildcard would open other teams'
// secrets.
func (a *IrsaRoleArgs) secretsPolicy() pulumi.StringOutput {
	var secrets, keys []any
	for _, secret := range a.Secrets {
		secrets, keys = append(secrets, secret.Arn), append(keys, secret.KmsKeyArn)
	}
	service := fmt.Sprintf("secretsmanager.%s.%s", a.Region, iampolicy.Domain(a.partition()))
	return pulumi.All(slices.Concat(secrets, keys)...).ApplyT(func(arns []any) (string, error) {
		return iampolicy.JSON(
			iampolicy.Statement{
				Sid:       "ReadSecrets",
				Actions:   []string{"secretsmanager:GetSecretValue", "secretsmanager:DescribeSecret"},
				Resources: distinct(arns[:len(secrets)]),
			},
			iampolicy.Statement{
				Sid:       "DecryptAsSecretsManager",
				Actions:   []string{"kms:Decrypt"},
				Resources: distinct(arns[len(secrets):]),
				// The key encrypts the database's storage, too; the role may use it for secrets only.
				Condition: iampolicy.Condition{"StringEquals": {"kms:ViaService": service}},
			},
		)
	}).(pulumi.StringOutput)
}

func distinct(values []any) []string {
	out := make([]string, 0, len(values))
	for _, value := range values {
		out = append(out, value.(string))
	}
	slices.Sort(out)
	return slices.Compact(out)
}
