package rdspostgres

import (
	"fmt"
	"strings"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/ec2"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/rds"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// clientGroup returns the security group whose members may connect, or nil if the settings do not ask for it. The group
// itself has no rules.
func (b *builder) clientGroup() (*ec2.SecurityGroup, error) {
	if !b.args.ClientSecurityGroup {
		return nil, nil //nolint:nilnil // no group and no error: none is wanted
	}
	group, err := ec2.NewSecurityGroup(b.Ctx, b.Child("client-security-group"), &ec2.SecurityGroupArgs{
		Name:        pulumi.String(b.args.Identifier + "-rds-clients"),
		Description: pulumi.String("Members may connect to the RDS instance " + b.args.Identifier),
		VpcId:       b.args.VpcID,
		Ingress:     ec2.SecurityGroupIngressArray{},
		Egress:      ec2.SecurityGroupEgressArray{},
		Tags:        b.tags(),
	}, b.Parent)
	if err != nil {
		return nil, fmt.Errorf("the security group of the clients: %w", err)
	}
	return group, nil
}

// securityGroup opens the port to the clients. The rules are part of the group, so a rule that is added by hand shows
// as a difference. Separate rule resources would not notice it.
func (b *builder) securityGroup(members *ec2.SecurityGroup) (*ec2.SecurityGroup, error) {
	rules := ec2.SecurityGroupIngressArray{}
	for _, client := range b.args.Clients {
		rule := b.rule(client.Name)
		if client.SecurityGroupID != nil {
			rule.SecurityGroups = pulumi.StringArray{client.SecurityGroupID}
		}
		var four, six pulumi.StringArray
		for _, cidr := range client.CIDRs {
			if strings.Contains(cidr, ":") {
				six = append(six, pulumi.String(cidr))
			} else {
				four = append(four, pulumi.String(cidr))
			}
		}
		if four != nil {
			rule.CidrBlocks = four
		}
		if six != nil {
			rule.Ipv6CidrBlocks = six
		}
		rules = append(rules, rule)
	}
	if members != nil {
		rule := b.rule("members of " + b.args.Identifier + "-rds-clients")
		rule.SecurityGroups = pulumi.StringArray{members.ID()}
		rules = append(rules, rule)
	}
	group, err := ec2.NewSecurityGroup(b.Ctx, b.Child("security-group"), &ec2.SecurityGroupArgs{
		Name:        pulumi.String(b.args.Identifier + "-rds"),
		Description: pulumi.String("Clients of the RDS instance " + b.args.Identifier),
		VpcId:       b.args.VpcID,
		Ingress:     rules,
		// A database opens no connections.
		Egress: ec2.SecurityGroupEgressArray{},
		Tags:   b.tags(),
	}, b.Parent)
	if err != nil {
		return nil, fmt.Errorf("the security group: %w", err)
	}
	return group, nil
}

// rule returns a rule of the port without a source.
func (b *builder) rule(client string) ec2.SecurityGroupIngressArgs {
	return ec2.SecurityGroupIngressArgs{
		Description: pulumi.String("PostgreSQL from " + client),
		Protocol:    pulumi.String("tcp"),
		FromPort:    pulumi.Int(b.args.Port),
		ToPort:      pulumi.Int(b.args.Port),
	}
}

func (b *builder) subnetGroup() (pulumi.StringInput, error) {
	if b.args.SubnetGroupName != "" {
		return pulumi.String(b.args.SubnetGroupName), nil
	}
	group, err := rds.NewSubnetGroup(b.Ctx, b.Child("subnet-group"), &rds.SubnetGroupArgs{
		Name:        pulumi.String(b.args.Identifier),
		Description: pulumi.String("Subnets of the RDS instance " + b.args.Identifier),
		SubnetIds:   b.args.SubnetIDs,
		Tags:        b.tags(),
	}, b.Parent)
	if err != nil {
		return nil, fmt.Errorf("the subnet group: %w", err)
	}
	return group.Name, nil
}
