package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"dbtier/components/fault"
	"dbtier/validation/awsrules"
)

// checkPlaces adds a fault for each ARN that AWS would not accept because of its partition, region or account.
func (s *Stack) checkPlaces(faults *fault.List) {
	partition := awsrules.Place{Partition: s.AWS.Partition}
	regional, account := partition, partition
	regional.Region, account.Account = s.AWS.Region, s.AWS.AccountID
	in := func(place awsrules.Place, path, arn, fix string) bool {
		outside := place.Outside(arn)
		return faults.Check(outside == "", path, arn, "%s; %s", outside, fix)
	}
	// IAM attaches boundaries, passes roles and trusts providers of the role's own account only.
	in(account, "aws.permissionsBoundaryArn", s.AWS.PermissionsBoundaryArn, "want a policy of the stack's account")
	if in(account, "cluster.oidcProviderArn", s.Cluster.OIDCProviderArn,
		"want the provider of the cluster in the stack's account") {
		s.checkIssuer(faults)
	}
	if !s.HoldsService() {
		return
	}
	// RDS, CloudWatch and SNS accept keys and topics of other accounts, and none of other regions.
	d := &s.Database
	in(regional, "database.kmsKeyArn", d.KmsKeyArn, "want a key of the instance's region")
	in(regional, "database.logKmsKeyArn", d.LogKmsKeyArn, "want a key of the instance's region")
	in(regional, "database.events.topicArn", d.Events.TopicArn, "want a topic of the instance's region")
	for i, arn := range d.Alarms.TopicArns {
		in(regional, fmt.Sprintf("database.alarms.topicArns[%d]", i), arn, "want a topic of the instance's region")
	}
	in(regional, "database.restore.snapshotIdentifier", d.Restore.SnapshotIdentifier,
		"copy the snapshot to the stack's region and name the copy")
	backups := regional
	backups.Account = s.AWS.AccountID
	in(backups, "database.restore.pointInTime.sourceDbInstanceAutomatedBackupsArn",
		d.Restore.PointInTime.BackupsArn, "want backups that were copied to the stack's region")
	in(account, "database.monitoringRoleArn", d.MonitoringRoleArn, "want a role of the stack's account")
	for _, feature := range slices.Sorted(maps.Keys(d.Roles)) {
		in(account, "database.roles."+feature, d.Roles[feature], "want a role of the stack's account")
	}
	secret := func(path, name, arn, key string) {
		in(regional, path+name, arn, "the operator reads secrets of the stack's region; replicate it there")
		in(regional, path+"kmsKeyArn", key, "want a key of the stack's region")
		// "Permissions for AWS Secrets Manager secrets in a different account": the AWS managed key cannot be shared.
		outside := (awsrules.Place{Account: s.AWS.AccountID}).Outside(arn)
		faults.Check(outside == "" || key != "", path+name, arn,
			"%s, from which it can be read only if a key of that account encrypts it: name the key in "+
				"kmsKeyArn", outside)
	}
	for i := range s.Secrets.Further {
		f := &s.Secrets.Further[i]
		secret(fmt.Sprintf("secrets.further[%d].", i), "arn", f.Arn, f.KmsKeyArn)
	}
	for i := range s.Pool.Logins {
		login := &s.Pool.Logins[i]
		secret(fmt.Sprintf("pool.logins[%d].", i), "credentialArn", login.CredentialArn, login.KmsKeyArn)
	}
	faults.Check(d.AvailabilityZone == "" || strings.HasPrefix(d.AvailabilityZone, s.AWS.Region),
		"database.availabilityZone", d.AvailabilityZone, "is not a zone of %s", s.AWS.Region)
}

// checkIssuer adds a fault if the identity provider is that of an EKS cluster in another region. The database admits
// the nodes of the cluster by their security group, which only works within a region.
func (s *Stack) checkIssuer(faults *fault.List) {
	_, issuer, _ := strings.Cut(s.Cluster.OIDCProviderArn, ":oidc-provider/")
	region, eks := awsrules.IssuerRegion(issuer)
	faults.Check(!eks || region == s.AWS.Region, "cluster.oidcProviderArn", s.Cluster.OIDCProviderArn,
		"is the provider of a cluster in %s, and the stack is in %s; want the provider of the cluster that the "+
			"service "+
			"runs in, or that cluster's region", region, s.AWS.Region)
}
