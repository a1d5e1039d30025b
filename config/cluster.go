package config

import (
	"dbtier/components/fault"
	"dbtier/components/irsarole"
	"dbtier/validation"
)

// Cluster is the Kubernetes cluster: EKS, or the one of the local cloud.
type Cluster struct {
	// StackReference takes the keys that are not given here from the outputs of another stack.
	StackReference ClusterReference `json:"stackReference"`
	// OIDCProviderArn is the ARN of the cluster's identity provider in IAM.
	OIDCProviderArn string `json:"oidcProviderArn"`
	// NodeSecurityGroupID is the security group of the nodes. With the VPC CNI it is that of the pods too.
	NodeSecurityGroupID string `json:"nodeSecurityGroupId"`
	// Kubeconfig is the path of a kubeconfig, relative to the project. Default: the one that kubectl uses. A local
	// stack uses the local cloud's.
	Kubeconfig string `json:"kubeconfig"`
	// Context in the kubeconfig. Default: its current context. Set it, so that a stack does not follow kubectl to
	// another cluster.
	Context string `json:"context"`
}

func (c *Cluster) validate(cloud Cloud) error {
	var faults fault.List
	if reason := irsarole.CheckProviderArn(c.OIDCProviderArn); reason != "" {
		faults.Add("oidcProviderArn", c.OIDCProviderArn, "%s", reason)
	}
	faults.Form("nodeSecurityGroupId", c.NodeSecurityGroupID, validation.SecurityGroupID)
	if cloud == Local {
		faults.Check(c.Kubeconfig == "" && c.Context == "", "kubeconfig", c.Kubeconfig+c.Context,
			"a local stack uses the local cloud's kubeconfig; leave kubeconfig and context out")
	}
	return faults.Err()
}
