package config

import (
	"fmt"
	"net/netip"
	"slices"

	"dbtier/components/fault"
	"dbtier/validation"
)

// Network is the network of the database, and its clients.
type Network struct {
	// StackReference takes the keys that are not given here from the outputs of another stack.
	StackReference NetworkReference `json:"stackReference"`
	// VpcID of the cluster.
	VpcID string `json:"vpcId" example:"vpc-0b1c2d3e4f5a6b7c9"`
	// SubnetIDs of the database, in at least two zones.
	SubnetIDs []string `json:"subnetIds" example:"[subnet-0b1c2d3e4f5a6b7c4, subnet-0b1c2d3e4f5a6b7c5]"`
	// DatabaseCIDRs are the address ranges of these subnets. NetworkPolicies keep every pod out of them that is not a
	// declared holder of connections.
	DatabaseCIDRs []string `json:"databaseCidrs" example:"[10.0.64.0/20, 10.0.80.0/20]"`
	// DirectClients are pods in the service's namespace that may connect to the database directly, in addition to pool
	// and migration. Default none.
	DirectClients []DirectClient `json:"directClients"`
	// CABundle is the path of a PEM file with the authorities that sign the instance's certificate, relative to the
	// project. Default: the authorities of RDS in the stack's region, which are built in.
	CABundle string `json:"caBundle" example:"authorities.pem"`
	// Clients are security groups that may connect to the database, in addition to the cluster's nodes. Default none.
	Clients []Client `json:"clients"`
}

// DirectClient is a group of pods that connects to the database directly.
type DirectClient struct {
	// Name is the value of the pods' label app.kubernetes.io/name.
	Name string `json:"name" example:"reports"`
	// Connections that all pods together open at most.
	Connections int `json:"connections" example:"10"`
	// ConnectionsPerPod is how many connections each pod opens at most, instead of connections. They count twice,
	// because an update has old and new pods.
	ConnectionsPerPod int `json:"connectionsPerPod" example:"5"`
	// Replicas is the highest number of pods, for connectionsPerPod. Default: for the service itself the replicas of
	// consumer (with autoscaling, maxReplicas).
	Replicas int `json:"replicas" example:"2"`
}

// Client is a security group that may connect to the database.
type Client struct {
	// Name of the client, for example bastion.
	Name string `json:"name" example:"bastion"`
	// SecurityGroupID of the client's machines.
	SecurityGroupID string `json:"securityGroupId" example:"sg-0b1c2d3e4f5a6b7c0"`
}

func (n *Network) validate() error {
	var faults fault.List
	faults.Form("vpcId", n.VpcID, validation.VpcID)
	faults.Check(len(n.SubnetIDs) >= 2, "subnetIds", n.SubnetIDs,
		"want subnets in at least two zones, which RDS requires")
	for i, id := range n.SubnetIDs {
		path := fmt.Sprintf("subnetIds[%d]", i)
		faults.Form(path, id, validation.SubnetID)
		faults.Check(slices.Index(n.SubnetIDs, id) == i, path, id, "is named twice")
	}
	faults.Check(len(n.DatabaseCIDRs) > 0, "databaseCidrs", nil,
		"is missing: the address ranges of the subnets in subnetIds")
	n.validateCIDRs(&faults)
	for i, client := range n.DirectClients {
		path := fmt.Sprintf("directClients[%d]", i)
		faults.Form(path+".name", client.Name, validation.Label)
		same := func(other DirectClient) bool { return other.Name == client.Name }
		faults.Check(slices.IndexFunc(n.DirectClients, same) == i, path+".name", client.Name,
			"is named twice; add up the connections of its pods")
		if client.ConnectionsPerPod == 0 {
			faults.Between(path+".connections", client.Connections, 1, 5000, "that all pods together open at most")
			faults.Check(client.Replicas == 0, path+".replicas", client.Replicas,
				"is for connectionsPerPod; leave it out, or give connectionsPerPod instead of connections")
			continue
		}
		faults.Between(path+".connectionsPerPod", client.ConnectionsPerPod, 1, 5000,
			"that each pod opens at most")
		faults.Check(client.Connections == 0, path+".connections", client.Connections,
			"and connectionsPerPod are both given; keep one of them")
		faults.Between(path+".replicas", client.Replicas, 1, 500, "pods")
	}
	for i, client := range n.Clients {
		path := fmt.Sprintf("clients[%d]", i)
		if faults.Check(client.Name != "", path+".name", nil, "is missing: name the client") {
			faults.Form(path+".name", client.Name, validation.SecurityGroupRule)
		}
		faults.Form(path+".securityGroupId", client.SecurityGroupID, validation.SecurityGroupID)
	}
	return faults.Err()
}

// Lengths of the address ranges of subnets. Source: "Subnet sizing", Amazon VPC User Guide.
const (
	widestSubnet, narrowestSubnet         = 16, 28
	widestSubnetIPv6, narrowestSubnetIPv6 = 44, 64
)

func (n *Network) validateCIDRs(faults *fault.List) {
	var ranges []netip.Prefix
	for i, text := range n.DatabaseCIDRs {
		at := fmt.Sprintf("databaseCidrs[%d]", i)
		prefix, err := netip.ParsePrefix(text)
		if !faults.Check(err == nil, at, text, validation.CIDRRule) {
			continue
		}
		widest, narrowest := widestSubnet, narrowestSubnet
		if prefix.Addr().Is6() {
			widest, narrowest = widestSubnetIPv6, narrowestSubnetIPv6
		}
		if !faults.Check(prefix == prefix.Masked(), at, text, "has bits set after its prefix length; want %s",
			prefix.Masked()) ||
			!faults.Check(widest <= prefix.Bits() && prefix.Bits() <= narrowest, at, text,
				"is no range of a subnet, which AWS makes from /%d to /%d; want the ranges of the subnets in subnetIds",
				widest, narrowest) {
			continue
		}
		if j := slices.IndexFunc(ranges, prefix.Overlaps); j >= 0 {
			faults.Add(at, text, "overlaps with %s, which subnets of a VPC cannot; name each range once", ranges[j])
		}
		ranges = append(ranges, prefix)
	}
}

// checkSecurityGroups adds a fault for each security group that is admitted twice, which EC2 refuses
// (InvalidPermission.Duplicate).
func (s *Stack) checkSecurityGroups(faults *fault.List) {
	admitted := map[string]string{s.Cluster.NodeSecurityGroupID: "cluster.nodeSecurityGroupId"}
	for i, client := range s.Network.Clients {
		path := fmt.Sprintf("network.clients[%d].securityGroupId", i)
		if other, twice := admitted[client.SecurityGroupID]; twice && client.SecurityGroupID != "" {
			faults.Add(path, client.SecurityGroupID, "is the security group of %s, which is admitted already; "+
				"remove one", other)
			continue
		}
		admitted[client.SecurityGroupID] = path
	}
}
