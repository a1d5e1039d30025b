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
	OIDCProviderArn string `json:"oidcProviderArn" example:"arn:aws:iam::<account>:oidc-provider/<issuer>"`
	// NodeSecurityGroupID is the security group of the nodes. With the VPC CNI it is that of the pods too.
	NodeSecurityGroupID string `json:"nodeSecurityGroupId" example:"sg-0b1c2d3e4f5a6b7c8"`
	// Kubeconfig is the path of a kubeconfig, relative to the project. Default: the one that kubectl uses. A local
	// stack uses the local cloud's.
	Kubeconfig string `json:"kubeconfig" example:"kubeconfig.yaml"`
	// Context in the kubeconfig. Default: its current context. Set it, so that a stack does not follow kubectl to
	// another cluster.
	Context string `json:"context" example:"production"`
}

func (c *Cluster) validate(cloud Cloud) error {
	var faults fault.List
	if reason := irsarole.CheckProviderArn(c.OIDCProviderArn); reason != "" {
		faults.Add("oidcProviderArn", c.OIDCProviderArn, "%s", reason)
	}
	faults.Form("nodeSecurityGroupId", c.NodeSecurityGroupID, validation.SecurityGroupID)
	if cloud == Local {
		for _, key := range []struct{ path, value string }{{"kubeconfig", c.Kubeconfig}, {"context", c.Context}} {
			faults.Check(key.value == "", key.path, key.value,
				"has no effect, because cloud is %s and such a stack uses the local cloud's kubeconfig; leave it out",
				Local)
		}
	}
	return faults.Err()
}
