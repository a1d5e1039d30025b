package config

import (
	"net/url"

	"dbtier/components/fault"
	"dbtier/validation"
)

// Account is the AWS account of the stack. Everything that a preview needs to know of it is config, so that a preview
// makes no call to AWS.
type Account struct {
	// Region, for example ap-northeast-2.
	Region string `json:"region"`
	// AccountID is 12 digits, in quotes. The provider refuses credentials of another account.
	AccountID string `json:"accountId"`
	// Partition is aws (default), aws-cn or aws-us-gov.
	Partition string `json:"partition"`
	// Endpoint of the AWS stand-in as the engine reaches it. Required for local stacks, and refused for others: the
	// stand-in serves only stacks that name it.
	Endpoint string `json:"endpoint"`
	// ClusterEndpoint of the stand-in as pods reach it. For local stacks only.
	ClusterEndpoint string `json:"clusterEndpoint"`
	// PermissionsBoundaryArn is the permissions boundary of every role of the stack, if the account requires one.
	// Default none.
	PermissionsBoundaryArn string `json:"permissionsBoundaryArn"`
	// Tags of every AWS resource, in addition to service, environment and managed-by.
	Tags map[string]string `json:"tags"`
}

func (a *Account) validate(cloud Cloud) error {
	var faults fault.List
	faults.Form("region", a.Region, validation.Region)
	faults.Form("accountId", a.AccountID, validation.AccountID)
	fault.OneOf(&faults, "partition", a.Partition, validation.Partitions...)
	faults.OptionalForm("permissionsBoundaryArn", a.PermissionsBoundaryArn, validation.PolicyArn)
	for name, endpoint := range map[string]string{"endpoint": a.Endpoint, "clusterEndpoint": a.ClusterEndpoint} {
		switch cloud {
		case Local:
			at, err := url.Parse(endpoint)
			faults.Check(err == nil && at.Scheme != "" && at.Host != "", name, endpoint,
				"want the URL of the local cloud's AWS stand-in, for example http://127.0.0.1:14566")
		case AWS:
			faults.Check(endpoint == "", name, endpoint,
				"is for local stacks; leave it out, or set dbtier:cloud to local")
		}
	}
	return faults.Err()
}
