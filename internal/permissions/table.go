package permissions

// A kind is what the provider does with the resources of one type.
type kind struct {
	// source is the file of terraform-provider-aws, below internal/service.
	source string
	grants []grant
}

// A grant allows actions of one service on some resources.
type grant struct {
	// actions are names without the service, separated by spaces.
	service, actions string
	// on are the resources. {partition}, {region} and {account} are those of the stack, {<input>} is an input of the
	// resource. A pattern with an input that the resource does not have is left out.
	on []string
	// where limits the grant further.
	where where
}

// where names the condition of a grant.
type where int

const (
	always where = iota
	// named is for actions that each apply to one type of resources. The named grants of a service share a statement,
	// because a policy must be short.
	named
	// tagged limits a grant to resources that have the tags of this one.
	tagged
	// tagging limits a grant to requests that give a resource the tags of this one.
	tagging
	// attached limits a grant to the managed policy that the resource attaches.
	attached
	// bounded limits a grant to the permissions boundary of the resource, if it has one.
	bounded
	// trusted limits a grant to the services that the role's trust policy names. Without one there is no grant.
	trusted
	// toRDS limits a grant to roles that are given to RDS.
	toRDS
	// linkedToRDS limits a grant to RDS's own role.
	linkedToRDS
	// withKey is for the customer's key that the resource names: its ARN, or the stack's own key by its tags.
	withKey
)

const (
	rdsARN    = "arn:{partition}:rds:{region}:{account}:"
	roleARN   = "arn:{partition}:iam::{account}:role"
	keyARN    = "arn:{partition}:kms:{region}:{account}:key/*"
	secretARN = "arn:{partition}:secretsmanager:{region}:{account}:secret:" //nolint:gosec // A pattern of names.
	groupARN  = "arn:{partition}:ec2:{region}:{account}:security-group/*"
)

// everywhere is for actions that take no resource.
var everywhere = []string{"*"}

// anyRDS is for reads. The provider reads an instance by its random id.
var anyRDS = []string{rdsARN + "*"}

// provider is what the provider calls when it starts.
var provider = kind{
	source: "../conns/config.go",
	grants: []grant{{service: "sts", actions: "GetCallerIdentity", on: everywhere}},
}

// linked lets RDS make its own role with the account's first resource. Source: "Using service-linked roles for Amazon
// RDS" in AWS's user guide.
var linked = grant{
	service: "iam", actions: "CreateServiceLinkedRole",
	on: []string{roleARN + "/aws-service-role/rds.amazonaws.com/AWSServiceRoleForRDS"}, where: linkedToRDS,
}

// useKey is what RDS and Secrets Manager ask of a caller who names a customer's key. Sources: "Encrypting Amazon RDS
// resources" and "Password management with Amazon RDS and AWS Secrets Manager" in AWS's user guide.
var useKey = grant{
	service: "kms", actions: "CreateGrant DescribeKey GenerateDataKey Decrypt", on: []string{keyARN}, where: withKey,
}

var kinds = map[string]kind{
	"aws:cloudwatch/logGroup:LogGroup": {
		source: "logs/group.go",
		grants: []grant{
			{
				service: "logs", actions: "CreateLogGroup DeleteLogGroup PutRetentionPolicy DeleteRetentionPolicy " +
					"AssociateKmsKey DisassociateKmsKey ListTagsForResource TagResource UntagResource",
				on: []string{
					"arn:{partition}:logs:{region}:{account}:log-group:{name}",
					"arn:{partition}:logs:{region}:{account}:log-group:{name}:*",
				},
			},
			{service: "logs", actions: "DescribeLogGroups", on: everywhere},
		},
	},
	"aws:cloudwatch/metricAlarm:MetricAlarm": {
		source: "cloudwatch/metric_alarm.go",
		grants: []grant{
			{
				service: "cloudwatch",
				actions: "PutMetricAlarm DeleteAlarms ListTagsForResource TagResource UntagResource",
				// All alarms of an instance in one pattern, because a policy must be short.
				on: []string{
					"arn:{partition}:cloudwatch:{region}:{account}:alarm:{dimensions.DBInstanceIdentifier}-*",
				},
			},
			{
				service: "cloudwatch", actions: "DescribeAlarms",
				on: []string{"arn:{partition}:cloudwatch:{region}:{account}:alarm:*"},
			},
		},
	},
	"aws:cloudwatch/dashboard:Dashboard": {
		source: "cloudwatch/dashboard.go",
		grants: []grant{{
			service: "cloudwatch", actions: "PutDashboard GetDashboard DeleteDashboards",
			// The ARN of a dashboard has no region.
			on: []string{"arn:{partition}:cloudwatch::{account}:dashboard/{dashboardName}"},
		}},
	},
	"aws:ec2/securityGroup:SecurityGroup": {
		source: "ec2/vpc_security_group.go",
		grants: []grant{
			{
				service: "ec2", actions: "CreateSecurityGroup",
				on: []string{"arn:{partition}:ec2:{region}:{account}:vpc/{vpcId}"},
			},
			{service: "ec2", actions: "CreateSecurityGroup CreateTags", on: []string{groupARN}, where: tagging},
			{
				service: "ec2", actions: "DeleteSecurityGroup CreateTags DeleteTags AuthorizeSecurityGroupIngress " +
					"AuthorizeSecurityGroupEgress RevokeSecurityGroupIngress RevokeSecurityGroupEgress",
				on: []string{groupARN}, where: tagged,
			},
			{service: "ec2", actions: "DescribeSecurityGroups DescribeNetworkInterfaces", on: everywhere},
		},
	},
	"aws:eks/podIdentityAssociation:PodIdentityAssociation": {
		source: "eks/pod_identity_association.go",
		grants: []grant{
			{
				service: "eks", actions: "CreatePodIdentityAssociation DescribePodIdentityAssociation " +
					"UpdatePodIdentityAssociation DeletePodIdentityAssociation TagResource UntagResource",
				on: []string{
					"arn:{partition}:eks:{region}:{account}:cluster/{clusterName}",
					"arn:{partition}:eks:{region}:{account}:podidentityassociation/{clusterName}/*",
				},
			},
		},
	},
	"aws:iam/role:Role": {
		source: "iam/role.go",
		grants: []grant{
			{
				service: "iam", actions: "CreateRole PutRolePermissionsBoundary",
				on: []string{roleARN + "{path}{name}"}, where: bounded,
			},
			{
				service: "iam", actions: "GetRole DeleteRole UpdateRole UpdateRoleDescription " +
					"UpdateAssumeRolePolicy ListRolePolicies PutRolePolicy GetRolePolicy DeleteRolePolicy " +
					"ListAttachedRolePolicies ListInstanceProfilesForRole TagRole UntagRole",
				on: []string{roleARN + "{path}{name}"},
			},
			{service: "iam", actions: "PassRole", on: []string{roleARN + "{path}{name}"}, where: trusted},
		},
	},
	// The role's own grants have the calls for its policies.
	"aws:iam/rolePolicy:RolePolicy": {source: "iam/role_policy.go"},
	"aws:iam/rolePolicyAttachment:RolePolicyAttachment": {
		source: "iam/role_policy_attachment.go",
		grants: []grant{
			{
				service: "iam", actions: "AttachRolePolicy DetachRolePolicy", on: []string{roleARN + "{role}"},
				where: attached,
			},
		},
	},
	"aws:kms/alias:Alias": {
		source: "kms/alias.go",
		grants: []grant{
			{
				service: "kms", actions: "CreateAlias UpdateAlias DeleteAlias",
				on: []string{"arn:{partition}:kms:{region}:{account}:{name}"},
			},
			{service: "kms", actions: "ListAliases", on: everywhere},
		},
	},
	"aws:kms/key:Key": {
		source: "kms/key.go",
		grants: []grant{
			{service: "kms", actions: "CreateKey", on: everywhere, where: tagging},
			{service: "kms", actions: "TagResource", on: []string{keyARN}, where: tagging},
			{
				service: "kms", actions: "DescribeKey GetKeyPolicy PutKeyPolicy GetKeyRotationStatus " +
					"EnableKeyRotation DisableKeyRotation UpdateKeyDescription ListResourceTags TagResource " +
					"UntagResource ScheduleKeyDeletion CreateAlias UpdateAlias DeleteAlias",
				on: []string{keyARN}, where: tagged,
			},
		},
	},
	"aws:rds/eventSubscription:EventSubscription": {
		source: "rds/event_subscription.go",
		grants: []grant{
			{
				service: "rds", actions: "CreateEventSubscription ModifyEventSubscription DeleteEventSubscription " +
					"AddSourceIdentifierToSubscription RemoveSourceIdentifierFromSubscription " +
					"ListTagsForResource AddTagsToResource RemoveTagsFromResource",
				on: []string{rdsARN + "es:{name}"}, where: named,
			},
			{service: "rds", actions: "DescribeEventSubscriptions", on: anyRDS},
			linked,
		},
	},
	"aws:rds/instance:Instance": {
		source: "rds/instance.go",
		grants: []grant{
			{
				service: "rds", actions: "CreateDBInstance RestoreDBInstanceFromDBSnapshot " +
					"RestoreDBInstanceToPointInTime ModifyDBInstance DeleteDBInstance CreateDBSnapshot " +
					"ListTagsForResource AddTagsToResource RemoveTagsFromResource",
				on: []string{
					rdsARN + "db:{identifier}", rdsARN + "db:{restoreToPointInTime.sourceDbInstanceIdentifier}",
					rdsARN + "snapshot:{identifier}*", rdsARN + "snapshot:{snapshotIdentifier}",
					rdsARN + "auto-backup:*",
					rdsARN + "subgrp:{dbSubnetGroupName}", rdsARN + "pg:{parameterGroupName}", rdsARN + "og:default:*",
				}, where: named,
			},
			{service: "rds", actions: "DescribeDBInstances", on: anyRDS},
			{
				service: "secretsmanager", actions: "CreateSecret TagResource RotateSecret",
				on: []string{secretARN + "rds!db-*"},
			},
			linked,
			useKey,
		},
	},
	"aws:rds/parameterGroup:ParameterGroup": {
		source: "rds/parameter_group.go",
		grants: []grant{
			{
				service: "rds", actions: "CreateDBParameterGroup ModifyDBParameterGroup ResetDBParameterGroup " +
					"DeleteDBParameterGroup DescribeDBParameters ListTagsForResource AddTagsToResource " +
					"RemoveTagsFromResource",
				on: []string{rdsARN + "pg:{name}"}, where: named,
			},
			{service: "rds", actions: "DescribeDBParameterGroups", on: anyRDS},
		},
	},
	"aws:rds/proxy:Proxy": {
		source: "rds/proxy.go",
		grants: []grant{
			{service: "rds", actions: "CreateDBProxy", on: everywhere, where: tagging},
			{
				service: "rds", actions: "ModifyDBProxy DeleteDBProxy DescribeDBProxies ListTagsForResource " +
					"AddTagsToResource RemoveTagsFromResource",
				on: []string{rdsARN + "db-proxy:*"},
			},
			linked,
		},
	},
	"aws:rds/proxyDefaultTargetGroup:ProxyDefaultTargetGroup": {
		source: "rds/proxy_default_target_group.go",
		grants: []grant{
			{
				service: "rds", actions: "ModifyDBProxyTargetGroup DescribeDBProxyTargetGroups",
				on: []string{rdsARN + "db-proxy:*", rdsARN + "target-group:*"},
			},
		},
	},
	"aws:rds/proxyTarget:ProxyTarget": {
		source: "rds/proxy_target.go",
		grants: []grant{
			{
				service: "rds", actions: "RegisterDBProxyTargets DeregisterDBProxyTargets DescribeDBProxyTargets",
				on: []string{rdsARN + "db-proxy:*", rdsARN + "target-group:*", rdsARN + "db:{dbInstanceIdentifier}"},
			},
		},
	},
	"aws:rds/roleAssociation:RoleAssociation": {
		source: "rds/instance_role_association.go",
		grants: []grant{
			{
				service: "rds", actions: "AddRoleToDBInstance RemoveRoleFromDBInstance",
				on: []string{rdsARN + "db:{dbInstanceIdentifier}"},
			},
			{service: "iam", actions: "PassRole", on: []string{"{roleArn}"}, where: toRDS},
		},
	},
	"aws:rds/subnetGroup:SubnetGroup": {
		source: "rds/subnet_group.go",
		grants: []grant{
			{
				service: "rds", actions: "CreateDBSubnetGroup ModifyDBSubnetGroup DeleteDBSubnetGroup " +
					"ListTagsForResource AddTagsToResource RemoveTagsFromResource",
				on: []string{rdsARN + "subgrp:{name}"}, where: named,
			},
			{service: "rds", actions: "DescribeDBSubnetGroups", on: anyRDS},
			linked,
		},
	},
	"aws:secretsmanager/secret:Secret": {
		source: "secretsmanager/secret.go",
		grants: []grant{
			{
				service: "secretsmanager", actions: "CreateSecret UpdateSecret DeleteSecret DescribeSecret " +
					"GetResourcePolicy TagResource UntagResource",
				on: []string{secretARN + "{name}-*"},
			},
			useKey,
		},
	},
	"aws:secretsmanager/secretRotation:SecretRotation": {
		source: "secretsmanager/secret_rotation.go",
		grants: []grant{
			{
				service: "secretsmanager", actions: "RotateSecret CancelRotateSecret DescribeSecret",
				on: []string{secretARN + "rds!db-*"},
			},
		},
	},
}
