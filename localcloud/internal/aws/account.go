package aws

import "net/netip"

// The account that every stand-in has. The config of a local stack names the same values.
const (
	AccountID = "111122223333"
	Partition = "aws"

	// The VPC and its subnets, one in each zone. They are the same in every region.
	VPCID     = "vpc-0aaaaaaaaaaaaaaa1"
	SubnetIDA = "subnet-0aaaaaaaaaaaaaaa1"
	SubnetIDB = "subnet-0aaaaaaaaaaaaaaa2"
	SubnetIDC = "subnet-0aaaaaaaaaaaaaaa3"

	// NodeSecurityGroupID is the EKS node security group. The node and all pods are its members.
	NodeSecurityGroupID = "sg-0aaaaaaaaaaaaaaa1"

	// AdministratorName is the user whose access key host clients and the provider use.
	AdministratorName = "administrator"
)

// subnetZones maps each subnet to the letter of its zone.
var subnetZones = map[string]string{SubnetIDA: "a", SubnetIDB: "b", SubnetIDC: "c"}

// nodeSecurityGroupMembers are the address ranges inside the local cloud that belong to the node security group.
var nodeSecurityGroupMembers = []netip.Prefix{
	netip.MustParsePrefix("198.18.0.0/24"),   // the node
	netip.MustParsePrefix("198.18.128.0/17"), // pods
}
