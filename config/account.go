package config

import (
	"fmt"
	"net/url"

	"dbtier/components/fault"
	"dbtier/internal/suggest"
	"dbtier/validation"
	"dbtier/validation/awsrules"
)

// Account is the AWS account of the stack. Everything that a preview needs to know of it is config, so that a preview
// makes no call to AWS.
type Account struct {
	// Region, for example ap-northeast-2.
	Region string `json:"region" example:"<region>"`
	// AccountID is 12 digits, in quotes. The provider refuses credentials of another account.
	AccountID string `json:"accountId" example:"<account>"`
	// Partition is aws (default), aws-cn or aws-us-gov.
	Partition string `json:"partition"`
	// Endpoint of the AWS stand-in as the engine reaches it. Required for local stacks, and refused for others: the
	// stand-in serves only stacks that name it.
	Endpoint string `json:"endpoint" example:"http://127.0.0.1:14566"`
	// ClusterEndpoint of the stand-in as pods reach it. For local stacks only.
	ClusterEndpoint string `json:"clusterEndpoint" example:"http://aws.localcloud.internal:4566"`
	// PermissionsBoundaryArn is the permissions boundary of every role of the stack, if the account requires one.
	// Default none.
	PermissionsBoundaryArn string `json:"permissionsBoundaryArn" example:"arn:aws:iam::<account>:policy/boundary"`
	// Tags of every AWS resource, in addition to service, environment and managed-by.
	Tags map[string]string `json:"tags" example:"{cost-center: shop}"`
}

func (a *Account) validate(cloud Cloud) error {
	var faults fault.List
	faults.Form("accountId", a.AccountID, validation.AccountID)
	a.validateRegion(&faults)
	for _, tag := range awsrules.CheckTags(a.Tags, builtInTags("", "")) {
		path, value := "tags", any(nil)
		if _, one := a.Tags[tag.Key]; one {
			path, value = "tags."+tag.Key, a.Tags[tag.Key]
		}
		faults.Add(path, value, "%s", tag.Reason)
	}
	faults.OptionalForm("permissionsBoundaryArn", a.PermissionsBoundaryArn, validation.PolicyArn)
	for name, endpoint := range map[string]string{"endpoint": a.Endpoint, "clusterEndpoint": a.ClusterEndpoint} {
		switch cloud {
		case Local:
			at, err := url.Parse(endpoint)
			faults.Check(err == nil && at.Scheme != "" && at.Host != "", name, endpoint,
				"want the URL of the local cloud's AWS stand-in, for example http://127.0.0.1:14566, because cloud is "+
					string(Local))
		case AWS:
			faults.Check(endpoint == "", name, endpoint,
				"is for local stacks; leave it out, or set dbtier:cloud to local")
		}
	}
	return faults.Err()
}

// validateRegion checks that the region exists and is one of the partition: the partition is part of every ARN.
func (a *Account) validateRegion(faults *fault.List) {
	known := fault.OneOf(faults, "partition", a.Partition, validation.Partitions...)
	if !faults.Form("region", a.Region, validation.Region) {
		return
	}
	partition, exists := awsrules.Partition(a.Region)
	if !exists {
		reason := "is not a region of AWS"
		if nearest := suggest.Nearest(a.Region, awsrules.Regions()); nearest != "" {
			reason += fmt.Sprintf("; did you mean %s?", nearest)
		}
		faults.Add("region", a.Region, "%s", reason)
		return
	}
	faults.Check(!known || a.Partition == partition, "partition", a.Partition,
		"is not the partition of %s; want %s", a.Region, partition)
}

// builtInTags are the tags that every AWS resource of a stack has.
func builtInTags(service, environment string) map[string]string {
	return map[string]string{"service": service, "environment": environment, "managed-by": Namespace}
}
