package validation

import "slices"

// Forms of AWS.
var (
	// Region is the name of an AWS region.
	Region = form(`[a-z]{2}(-[a-z]+)+-\d`, "want an AWS region such as ap-northeast-2")
	// AvailabilityZone is the name of a zone, local zones included.
	AvailabilityZone = form(`[a-z]{2}(-[a-z]+)+-\d(-[a-z]+-\d)?[a-z]`, "want a zone such as ap-northeast-2a")
	// AccountID is the number of an AWS account.
	AccountID = form(`\d{12}`, "want the 12 digits of the AWS account, in quotes")
	// VpcID, SubnetID and SecurityGroupID are ids of EC2.
	VpcID           = form(`vpc-[0-9a-f]{8,17}`, "want the id of the cluster's VPC, vpc-…")
	SubnetID        = form(`subnet-[0-9a-f]{8,17}`, "want the id of a subnet, subnet-…")
	SecurityGroupID = form(`sg-[0-9a-f]{8,17}`, "want the id of a security group, sg-…")
	// SecurityGroupRule is a description of a rule, as far as EC2 accepts it, of at most 100 characters.
	SecurityGroupRule = form(`[a-zA-Z0-9][a-zA-Z0-9 ._:/()#,@+=&;{}!$*-]{0,99}`,
		"want 1 to 100 characters that the description of a security group rule may have")
	// SecurityGroupText is the description of a security group or of an inline rule. It may be empty.
	SecurityGroupText = form(`[A-Za-z0-9 ._:/()#,@\[\]+=&;{}!$*-]{0,255}`,
		"want up to 255 letters, digits, spaces and characters of ._-:/()#,@[]+=&;{}!$*")

	// RoleName and PolicyName are names of IAM, RolePath the path before a role's name.
	RoleName   = form(`[\w+=,.@-]{1,64}`, "want 1 to 64 letters, digits and characters of +=,.@_-")
	PolicyName = form(`[\w+=,.@-]{1,128}`, "want 1 to 128 letters, digits and characters of +=,.@_-")
	RolePath   = form(`/([\x21-\x7e]{1,510}/)?`, "want a path that begins and ends with /, of at most 512 characters")

	// KeyAlias is the name of an alias of a KMS key.
	KeyAlias = form(`alias/[A-Za-z0-9/_-]{1,250}`, "want alias/ and 1 to 250 letters, digits and characters of /_-")
	// KeyArn is the ARN of a KMS key. The ARN of an alias is not one: AWS answers with the key's.
	KeyArn = form(`arn:[a-z-]+:kms:[a-z0-9-]+:\d{12}:key/[a-zA-Z0-9-]+`,
		"want the ARN of a KMS key (arn:aws:kms:<region>:<account>:key/<id>), not of an alias")
	// PolicyArn is the ARN of a managed policy, of an account or of AWS itself.
	PolicyArn = form(`arn:[a-z-]+:iam::(\d{12}|aws):policy/[\w+=,.@/-]+`,
		"want the ARN of a managed policy (arn:aws:iam::<account>:policy/<name>)")
	// RoleArn is the ARN of a role.
	RoleArn = form(`arn:[a-z-]+:iam::\d{12}:role/[\w+=,.@/-]+`,
		"want the ARN of a role (arn:aws:iam::<account>:role/<name>)")
	// SecretArn is the whole ARN of a secret. Its first group is the region.
	SecretArn = form(`arn:[a-z-]+:secretsmanager:([a-z0-9-]+):\d{12}:secret:[A-Za-z0-9/_+=.@!-]+-[A-Za-z0-9]{6}`,
		"want the whole ARN of a secret, with the six characters that Secrets Manager adds to its name")
	// SecretName is the name of a secret that no service manages.
	SecretName = form(`[A-Za-z0-9/_+=.@-]{1,512}`, "want 1 to 512 letters, digits and characters of /_+=.@-")
	// LogGroup is the name of a log group of CloudWatch Logs.
	LogGroup = form(`[A-Za-z0-9._/#-]{1,512}`, "want 1 to 512 letters, digits and characters of ._/#-")
	// TopicArn is the ARN of a standard SNS topic. FIFO topics end in .fifo and take no notifications of AWS services.
	TopicArn = form(`arn:[a-z-]+:sns:[a-z0-9-]+:\d{12}:[A-Za-z0-9_-]{1,256}`,
		"want the ARN of a standard SNS topic (arn:aws:sns:<region>:<account>:<name>)")
	// ClusterName is the name of an EKS cluster.
	ClusterName = form(`[0-9A-Za-z][A-Za-z0-9_-]{0,99}`, "want the name of the EKS cluster")

	// DBIdentifier is the identifier of an RDS instance or proxy in lower case, as AWS stores it.
	DBIdentifier = form(`[a-z](-?[a-z0-9])*`,
		"want 1 to 63 lower-case letters, digits and single hyphens, beginning with a letter and not ending with a "+
			"hyphen").atMost(63)
	// DBSubnetGroup is the name of a DB subnet group in lower case, as AWS stores it.
	DBSubnetGroup = form(`[a-z0-9 ._-]{1,255}`,
		"want 1 to 255 lower-case letters, digits, spaces and characters of ._-")
	// DBResourceID is the immutable id of an instance (db-…), Aurora cluster (cluster-…) or proxy (prx-…).
	DBResourceID = form(`(db|cluster|prx)-[a-zA-Z0-9]+`, "want the resource id of a database (db-…) or proxy (prx-…)")
)

// Partitions are the partitions that this project knows.
var Partitions = []string{"aws", "aws-cn", "aws-us-gov"}

// LogRetentions are the numbers of days for which CloudWatch Logs can keep a log group (PutRetentionPolicy).
var LogRetentions = []int{
	1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653,
}

// IsLogRetention reports whether CloudWatch Logs can keep a log group for so many days.
func IsLogRetention(days int) bool { return slices.Contains(LogRetentions, days) }
