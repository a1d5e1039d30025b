package aws

import "net/netip"

// The account that the stand-in presets. A local stack's config names the same values.
const (
	AccountID = "111122223333"
	Partition = "aws"

	// VPC and its subnets, one a zone; every region has the same.
	VPCID     = "vpc-0aaaaaaaaaaaaaaa1"
	SubnetIDA = "subnet-0aaaaaaaaaaaaaaa1"
	SubnetIDB = "subnet-0aaaaaaaaaaaaaaa2"
	SubnetIDC = "subnet-0aaaaaaaaaaaaaaa3"

	// NodeSecurityGroupID is the EKS node security group: the node and every pod count as its members.
	NodeSecurityGroupID = "sg-0aaaaaaaaaaaaaaa1"

	// AdministratorName is the user behind the access key for host clients and the provider.
	AdministratorName = "administrator"
)

// subnetZones are the letters of the zones that the subnets lie in.
var subnetZones = map[string]string{SubnetIDA: "a", SubnetIDB: "b", SubnetIDC: "c"}

// Addresses inside the local cloud that count as members of the node security group.
var nodeSecurityGroupMembers = []netip.Prefix{
	netip.MustParsePrefix("198.18.0.0/24"),   // the node
	netip.MustParsePrefix("198.18.128.0/17"), // pods
}
