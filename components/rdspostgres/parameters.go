package rdspostgres

import (
	"fmt"
	"maps"
	"slices"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/rds"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// parameterGroup returns the name of the parameter group. The name contains the family, so the group of a new major
// version is created beside the old one. The old one is deleted after the instance has left it. Where changes wait for
// the maintenance window, that is after the update, and RDS would refuse to delete the group: then it stays.
func (b *builder) parameterGroup() (pulumi.StringInput, error) {
	if b.args.ParameterGroupName != "" {
		return pulumi.String(b.args.ParameterGroupName), nil
	}
	parameters := rds.ParameterGroupParameterArray{}
	for _, name := range slices.Sorted(maps.Keys(b.args.Parameters)) {
		parameters = append(parameters, rds.ParameterGroupParameterArgs{
			Name:        pulumi.String(name),
			Value:       pulumi.String(b.args.Parameters[name].Value),
			ApplyMethod: pulumi.String(b.args.Parameters[name].ApplyMethod),
		})
	}
	group, err := rds.NewParameterGroup(b.Ctx, b.Child("parameter-group"), &rds.ParameterGroupArgs{
		Name:        pulumi.String(b.args.Identifier + "-" + b.args.Family()),
		Description: pulumi.String("Parameters of the RDS instance " + b.args.Identifier),
		Family:      pulumi.String(b.args.Family()),
		Parameters:  parameters,
		Tags:        b.tags(),
	}, b.Parent, pulumi.RetainOnDelete(!b.args.ApplyImmediately))
	if err != nil {
		return nil, fmt.Errorf("the parameter group: %w", err)
	}
	return group.Name, nil
}
