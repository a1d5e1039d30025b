package irsarole

import (
	"fmt"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/iam"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"dbtier/components/permission"
)

// Type is the component's type in URNs.
const Type = "dbtier:components:IrsaRole"

// IrsaRole is a role for the pods of its ServiceAccounts.
type IrsaRole struct {
	pulumi.ResourceState

	// Arn of the role: with WebIdentity the value of the ServiceAccount's annotation eks.amazonaws.com/role-arn. It is
	// known only after the role's policy and associations are in place, so that whoever takes the role can use it.
	Arn pulumi.StringOutput `pulumi:"arn"`
	// Name of the role.
	Name pulumi.StringOutput `pulumi:"name"`
}

// NewIrsaRole makes the role. It returns every fault of the arguments at once, before it makes anything; a resource of
// a permission that turns out to be none, once it is known, fails the update.
func NewIrsaRole(
	ctx *pulumi.Context, name string, args *IrsaRoleArgs, opts ...pulumi.ResourceOption,
) (*IrsaRole, error) {
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
	if err := own.build(ctx, name, component); err != nil {
		return nil, fmt.Errorf("role %s: %w", name, err)
	}
	return component, ctx.RegisterResourceOutputs(component, pulumi.Map{"arn": component.Arn, "name": component.Name})
}

func (a *IrsaRoleArgs) build(ctx *pulumi.Context, name string, component *IrsaRole) error {
	parent := pulumi.Parent(component)
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
	role, err := iam.NewRole(ctx, name+"-role", args, parent)
	if err != nil {
		return err
	}
	policy, err := iam.NewRolePolicy(ctx, name+"-policy", &iam.RolePolicyArgs{
		Name:   pulumi.String(a.PolicyName),
		Role:   role.Name,
		Policy: permission.Policy(a.place(), a.Permissions...),
	}, parent)
	if err != nil {
		return fmt.Errorf("its policy: %w", err)
	}
	usable := []any{role.Arn, policy.ID()}
	if a.Binding == PodIdentity {
		bound, err := a.associate(ctx, name, role.Arn, parent)
		if err != nil {
			return err
		}
		for _, b := range bound {
			usable = append(usable, b.(pulumi.CustomResource).ID())
		}
	}
	component.Name = role.Name
	component.Arn = pulumi.All(usable...).ApplyT(func(known []any) string {
		return known[0].(string)
	}).(pulumi.StringOutput)
	return nil
}
