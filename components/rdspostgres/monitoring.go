package rdspostgres

import (
	"fmt"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/iam"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"dbtier/components/iampolicy"
	"dbtier/components/naming"
)

// monitoringRole returns the role with which RDS delivers the metrics of the instance's operating system, and what the
// instance must wait for. Both are nil if monitoring is off.
func (b *builder) monitoringRole() (pulumi.StringPtrInput, []pulumi.Resource, error) {
	switch {
	case b.args.MonitoringInterval == 0:
		return nil, nil, nil
	case b.args.MonitoringRoleArn != "":
		return pulumi.String(b.args.MonitoringRoleArn), nil, nil
	}
	trust, err := iampolicy.JSON(iampolicy.Statement{
		Principal: &iampolicy.Principal{Service: "monitoring.rds.amazonaws.com"},
		Actions:   []string{"sts:AssumeRole"},
		// Without this condition another account could make RDS use our role (the confused deputy problem).
		Condition: iampolicy.Condition{"StringEquals": {
			"aws:SourceAccount": {b.args.AccountID},
			"aws:SourceArn": {fmt.Sprintf("arn:%s:rds:%s:%s:db:%s", b.args.Partition, b.args.Region,
				b.args.AccountID, b.args.Identifier)},
		}},
	})
	if err != nil {
		return nil, nil, err
	}
	role, err := iam.NewRole(b.Ctx, b.Child("monitoring-role"), &iam.RoleArgs{
		// Roles are global to an account, and two regions may have an instance of the same name.
		Name: pulumi.String(naming.Join(naming.RoleLimit, b.args.Identifier, b.args.Region,
			"rds-monitoring")),
		Description:         pulumi.String("Enhanced monitoring of the RDS instance " + b.args.Identifier),
		AssumeRolePolicy:    pulumi.String(trust),
		PermissionsBoundary: optional(b.args.PermissionsBoundaryArn),
		Tags:                b.tags(),
	}, b.Parent)
	if err != nil {
		return nil, nil, fmt.Errorf("the monitoring role: %w", err)
	}
	attachment, err := iam.NewRolePolicyAttachment(b.Ctx, b.Child("monitoring-policy"), &iam.RolePolicyAttachmentArgs{
		Role: role.Name,
		PolicyArn: pulumi.Sprintf("arn:%s:iam::aws:policy/service-role/AmazonRDSEnhancedMonitoringRole",
			b.args.Partition),
	}, b.Parent)
	if err != nil {
		return nil, nil, fmt.Errorf("the monitoring role's policy: %w", err)
	}
	return role.Arn, []pulumi.Resource{attachment}, nil
}
