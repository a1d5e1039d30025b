package rdspostgres

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"dbtier/components/fault"
	"dbtier/validation"
	"dbtier/validation/awsrules"
)

// Client is a group of machines that may connect: the members of a security group, or address ranges.
type Client struct {
	// Name of the clients in faults and in the description of the rule, for example "EKS nodes".
	Name string
	// SecurityGroupID of the machines. Prefer it to address ranges, because a group follows its machines.
	SecurityGroupID pulumi.StringInput
	// CIDRs are address ranges, for machines that cannot be in a security group of this VPC, for example behind a VPN.
	// The whole internet is refused.
	CIDRs []string
}

// RdsPostgresArgs is what [NewRdsPostgres] needs.
type RdsPostgresArgs struct {
	Settings

	// Region, for example ap-northeast-2, AccountID (12 digits) and Partition (default aws) are parts of policies and
	// ARNs. They are plain values, so that a preview needs no call to AWS.
	Region, AccountID, Partition string

	// PermissionsBoundaryArn is the permissions boundary of the monitoring role, for accounts that require one. Default
	// none.
	PermissionsBoundaryArn string

	// VpcID is the VPC of the instance.
	VpcID pulumi.StringInput
	// SubnetIDs are in at least two zones. Leave them out if SubnetGroupName is set.
	SubnetIDs pulumi.StringArrayInput
	// Clients and the members of the ClientSecurityGroup are the only machines that may connect to the port.
	Clients []Client

	// ConnectionLimit is how many connections may be open until the budget is used up, without RDS's reserved ones. The
	// alarm on connections is a share of it. Default 0: there is no such alarm.
	ConnectionLimit int

	// Tags of every resource.
	Tags map[string]string
}

// SetDefaults fills the fields that were left out and do not depend on the kind of environment.
func (a *RdsPostgresArgs) SetDefaults() {
	if a.Partition == "" {
		a.Partition = "aws"
	}
	// An existing group has its own parameters.
	if a.ParameterGroupName != "" {
		a.Parameters = nil
		return
	}
	parameters := make(map[string]Parameter, len(a.Parameters))
	for name, p := range a.Parameters {
		parameters[name] = a.withMethod(name, p)
	}
	a.Parameters = parameters
}

// Validate reports every fault of the arguments.
func (a *RdsPostgresArgs) Validate() error {
	var faults fault.List
	faults.Within("", a.Settings.Validate())
	faults.Form("region", a.Region, validation.Region)
	faults.Form("accountId", a.AccountID, validation.AccountID)
	faults.OptionalForm("permissionsBoundaryArn", a.PermissionsBoundaryArn, validation.PolicyArn)
	faults.Present("vpcId", a.VpcID)
	faults.Check(a.SubnetIDs != nil || a.SubnetGroupName != "", "subnetIds", nil, "is missing")
	faults.Check(a.SubnetIDs == nil || a.SubnetGroupName == "", "subnetIds", nil,
		"is not used with subnetGroupName, which names an existing group; leave one of them out")
	faults.Check(len(a.Clients) > 0 || a.ClientSecurityGroup, "clients", nil,
		"is missing: without clients nothing can connect")
	faults.Check(a.ConnectionLimit >= 0, "connectionLimit", a.ConnectionLimit,
		"want 0 for no alarm, or a number of connections")
	a.validateRegion(&faults)
	for i, client := range a.Clients {
		path := fmt.Sprintf("clients[%d]", i)
		faults.Form(path+".name", client.Name, validation.SecurityGroupRule)
		faults.Check(client.SecurityGroupID != nil || len(client.CIDRs) > 0, path+".securityGroupId", nil, "is missing")
		faults.Check(client.SecurityGroupID == nil || len(client.CIDRs) == 0, path+".cidrs", client.CIDRs,
			"and securityGroupId are both given; give one, or make two clients")
		for j, cidr := range client.CIDRs {
			validateCIDR(&faults, fmt.Sprintf("%s.cidrs[%d]", path, j), cidr)
		}
	}
	return faults.Err()
}

func validateCIDR(faults *fault.List, path, cidr string) {
	prefix, err := netip.ParsePrefix(cidr)
	if !faults.Check(err == nil, path, cidr, validation.CIDRRule) {
		return
	}
	faults.Check(prefix == prefix.Masked(), path, cidr, "has bits set after its prefix length; want %s",
		prefix.Masked())
	faults.Check(prefix.Bits() > 0, path, cidr, "is the whole internet; name the machines that connect")
}

// validateRegion refuses ARNs of another partition or region than the instance's: RDS and CloudWatch cannot use them.
func (a *RdsPostgresArgs) validateRegion(faults *fault.List) {
	if !validation.Region.Matches(a.Region) {
		return
	}
	place := awsrules.Place{Partition: a.Partition, Region: a.Region}
	here := func(path, arn string) {
		outside := place.Outside(arn)
		faults.Check(outside == "", path, arn, "%s; want one in the same region", outside)
	}
	here("kmsKeyArn", a.KmsKeyArn)
	here("logKmsKeyArn", a.LogKmsKeyArn)
	here("events.topicArn", a.Events.TopicArn)
	for i, arn := range a.Alarms.TopicArns {
		here(fmt.Sprintf("alarms.topicArns[%d]", i), arn)
	}
	faults.Check(a.AvailabilityZone == "" || strings.HasPrefix(a.AvailabilityZone, a.Region), "availabilityZone",
		a.AvailabilityZone,
		"is not a zone of %s", a.Region)
}
