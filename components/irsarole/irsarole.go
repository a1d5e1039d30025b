package irsarole

import (
	"fmt"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/iam"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"dbtier/components/component"
	"dbtier/components/permission"
)

// Type is the component's type in URNs.
const Type = "dbtier:components:IrsaRole"

// IrsaRole is a role for the pods of its ServiceAccounts.
type IrsaRole struct {
	pulumi.ResourceState

	// Arn of the role. With WebIdentity it is the value of the ServiceAccount's annotation eks.amazonaws.com/role-arn.
	// It resolves when the role's policy and associations exist, so what takes the ARN can use the role.
	Arn pulumi.StringOutput `pulumi:"arn"`
	// Name of the role.
	Name pulumi.StringOutput `pulumi:"name"`
}

// NewIrsaRole creates the role. A resource of a permission that turns out to be invalid once it is known fails the
// update.
func NewIrsaRole(
	ctx *pulumi.Context, name string, args *IrsaRoleArgs, opts ...pulumi.ResourceOption,
) (*IrsaRole, error) {
	return component.New(ctx, Type, name, args, build, opts...)
}

func build(s component.Scope, a *IrsaRoleArgs, out *IrsaRole) error {
	trust, err := a.trustPolicy()
	if err != nil {
		return err
	}
	args := &iam.RoleArgs{
		Name:               pulumi.String(a.Name),
		Description:        pulumi.String(a.Description),
		AssumeRolePolicy:   pulumi.String(trust),
		MaxSessionDuration: pulumi.Int(a.MaxSessionDuration),
		Tags:               pulumi.ToStringMap(a.Tags),
	}
	if a.Path != "/" {
		args.Path = pulumi.String(a.Path)
	}
	if a.PermissionsBoundaryArn != "" {
		args.PermissionsBoundary = pulumi.String(a.PermissionsBoundaryArn)
	}
	role, err := iam.NewRole(s.Ctx, s.Child("role"), args, s.Parent)
	if err != nil {
		return fmt.Errorf("the role: %w", err)
	}
	policy, err := iam.NewRolePolicy(s.Ctx, s.Child("policy"), &iam.RolePolicyArgs{
		Name:   pulumi.String(a.PolicyName),
		Role:   role.Name,
		Policy: permission.Policy(a.place(), a.Permissions...),
	}, s.Parent)
	if err != nil {
		return fmt.Errorf("the policy: %w", err)
	}
	usable := []any{role.Arn, policy.ID()}
	if a.Binding == PodIdentity {
		for _, account := range a.ServiceAccounts {
			bound, err := associate(s, a, account, role.Arn)
			if err != nil {
				return err
			}
			usable = append(usable, bound.ID())
		}
	}
	out.Name = role.Name
	out.Arn = pulumi.All(usable...).ApplyT(func(known []any) string {
		return known[0].(string)
	}).(pulumi.StringOutput)
	return nil
}
