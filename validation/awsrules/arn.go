package awsrules

import (
	"fmt"
	"strings"
)

// ARN is an Amazon Resource Name, arn:<partition>:<service>:<region>:<account>:<resource>. Region and account are empty
// in the ARNs of some services.
type ARN struct{ Partition, Service, Region, Account, Resource string }

// ParseARN reads an ARN. ok is false for a text that is not one.
func ParseARN(text string) (arn ARN, ok bool) {
	parts := strings.SplitN(text, ":", 6)
	if len(parts) != 6 || parts[0] != "arn" || parts[1] == "" || parts[2] == "" || parts[5] == "" {
		return ARN{}, false
	}
	return ARN{Partition: parts[1], Service: parts[2], Region: parts[3], Account: parts[4], Resource: parts[5]}, true
}

// Place is a partition, and optionally a region and an account, in which something must be. An empty field is not
// compared.
type Place struct{ Partition, Region, Account string }

// Outside says how an ARN is not at the place. It returns "" if the ARN is there, and for a text that is not an ARN:
// its form is checked elsewhere. A region or account that the ARN leaves out is every one, and the account aws is AWS
// itself.
func (p Place) Outside(text string) string {
	arn, ok := ParseARN(text)
	switch {
	case !ok:
		return ""
	case p.Partition != "" && arn.Partition != p.Partition:
		return fmt.Sprintf("is in the partition %s, and the stack is in %s", arn.Partition, p.Partition)
	case p.Region != "" && arn.Region != "" && arn.Region != p.Region:
		return fmt.Sprintf("is in the region %s, and the stack is in %s", arn.Region, p.Region)
	case p.Account != "" && arn.Account != "" && arn.Account != "aws" && arn.Account != p.Account:
		return fmt.Sprintf("is of the account %s, and the stack is in %s", arn.Account, p.Account)
	}
	return ""
}

// IssuerRegion returns the region of the EKS cluster that an OpenID Connect issuer belongs to: the issuers of EKS are
// oidc.eks.<region>.<domain>/id/<id>. eks is false for the issuer of another cluster.
func IssuerRegion(issuer string) (region string, eks bool) {
	rest, eks := strings.CutPrefix(issuer, "oidc.eks.")
	if !eks {
		return "", false
	}
	region, _, eks = strings.Cut(rest, ".")
	return region, eks
}
