// Package types has the type tokens of the resources that rules know.
//
// Rules know resources by type alone, so that the pack works for programs in any language and does not need the SDKs of
// providers.
package types

import (
	"slices"
	"strings"
)

// Types of AWS.
const (
	DBInstance              = "aws:rds/instance:Instance"
	DBCluster               = "aws:rds/cluster:Cluster"
	DBClusterInstance       = "aws:rds/clusterInstance:ClusterInstance"
	DBParameterGroup        = "aws:rds/parameterGroup:ParameterGroup"
	DBClusterParameterGroup = "aws:rds/clusterParameterGroup:ClusterParameterGroup"
	DBSubnetGroup           = "aws:rds/subnetGroup:SubnetGroup"
	DBSnapshot              = "aws:rds/snapshot:Snapshot"
	DBClusterSnapshot       = "aws:rds/clusterSnapshot:ClusterSnapshot"
	DBSnapshotCopy          = "aws:rds/snapshotCopy:SnapshotCopy"
	DBBackupsReplication    = "aws:rds/instanceAutomatedBackupsReplication:InstanceAutomatedBackupsReplication"
	DBEventSubscription     = "aws:rds/eventSubscription:EventSubscription"
	DBProxy                 = "aws:rds/proxy:Proxy"
	DBProxyTarget           = "aws:rds/proxyTarget:ProxyTarget"
	DBProxyTargetGroup      = "aws:rds/proxyDefaultTargetGroup:ProxyDefaultTargetGroup"

	LogGroup    = "aws:cloudwatch/logGroup:LogGroup"
	MetricAlarm = "aws:cloudwatch/metricAlarm:MetricAlarm"

	Key       = "aws:kms/key:Key"
	KeyPolicy = "aws:kms/keyPolicy:KeyPolicy"

	ReplicaKey  = "aws:kms/replicaKey:ReplicaKey"
	ExternalKey = "aws:kms/externalKey:ExternalKey"

	IAMRole             = "aws:iam/role:Role"
	IAMRolePolicy       = "aws:iam/rolePolicy:RolePolicy"
	IAMPolicy           = "aws:iam/policy:Policy"
	IAMUserPolicy       = "aws:iam/userPolicy:UserPolicy"
	IAMGroupPolicy      = "aws:iam/groupPolicy:GroupPolicy"
	IAMRoleAttachment   = "aws:iam/rolePolicyAttachment:RolePolicyAttachment"
	IAMUserAttachment   = "aws:iam/userPolicyAttachment:UserPolicyAttachment"
	IAMGroupAttachment  = "aws:iam/groupPolicyAttachment:GroupPolicyAttachment"
	IAMPolicyAttachment = "aws:iam/policyAttachment:PolicyAttachment"

	// IAMRoleAttachments lists all policies of a role, and IAMUserAttachments all of a user.
	IAMRoleAttachments  = "aws:iam/rolePolicyAttachmentsExclusive:RolePolicyAttachmentsExclusive"
	IAMUserAttachments  = "aws:iam/userPolicyAttachmentsExclusive:UserPolicyAttachmentsExclusive"
	IAMGroupAttachments = "aws:iam/groupPolicyAttachmentsExclusive:GroupPolicyAttachmentsExclusive"

	VPC                  = "aws:ec2/vpc:Vpc"
	DefaultVPC           = "aws:ec2/defaultVpc:DefaultVpc"
	SecurityGroup        = "aws:ec2/securityGroup:SecurityGroup"
	DefaultSecurityGroup = "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup"
	SecurityGroupRule    = "aws:ec2/securityGroupRule:SecurityGroupRule"
	IngressRule          = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
	EgressRule           = "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule"

	ManagedSecret   = "aws:secretsmanager/secret:Secret"
	SecretVersion   = "aws:secretsmanager/secretVersion:SecretVersion"
	SecretRotation  = "aws:secretsmanager/secretRotation:SecretRotation"
	SecretPolicy    = "aws:secretsmanager/secretPolicy:SecretPolicy"
	SystemParameter = "aws:ssm/parameter:Parameter"
)

// Types of Kubernetes.
const (
	Deployment  = "kubernetes:apps/v1:Deployment"
	StatefulSet = "kubernetes:apps/v1:StatefulSet"
	DaemonSet   = "kubernetes:apps/v1:DaemonSet"
	ReplicaSet  = "kubernetes:apps/v1:ReplicaSet"
	Job         = "kubernetes:batch/v1:Job"
	CronJob     = "kubernetes:batch/v1:CronJob"
	Pod         = "kubernetes:core/v1:Pod"
	PodTemplate = "kubernetes:core/v1:PodTemplate"

	ReplicationController = "kubernetes:core/v1:ReplicationController"

	Namespace          = "kubernetes:core/v1:Namespace"
	Service            = "kubernetes:core/v1:Service"
	ServiceAccount     = "kubernetes:core/v1:ServiceAccount"
	ConfigMap          = "kubernetes:core/v1:ConfigMap"
	NetworkPolicy      = "kubernetes:networking.k8s.io/v1:NetworkPolicy"
	Ingress            = "kubernetes:networking.k8s.io/v1:Ingress"
	DisruptionBudget   = "kubernetes:policy/v1:PodDisruptionBudget"
	Autoscaler         = "kubernetes:autoscaling/v2:HorizontalPodAutoscaler"
	VolumeClaim        = "kubernetes:core/v1:PersistentVolumeClaim"
	ResourceQuota      = "kubernetes:core/v1:ResourceQuota"
	LimitRange         = "kubernetes:core/v1:LimitRange"
	Role               = "kubernetes:rbac.authorization.k8s.io/v1:Role"
	ClusterRole        = "kubernetes:rbac.authorization.k8s.io/v1:ClusterRole"
	RoleBinding        = "kubernetes:rbac.authorization.k8s.io/v1:RoleBinding"
	ClusterRoleBinding = "kubernetes:rbac.authorization.k8s.io/v1:ClusterRoleBinding"
	CustomResource     = "kubernetes:apiextensions.k8s.io/v1:CustomResourceDefinition"
)

// Types of Secrets, and of the External Secrets Operator. The operator served v1beta1 before v1.
//
//nolint:gosec // types, not credentials
const (
	Secret                 = "kubernetes:core/v1:Secret"
	ExternalSecret         = "kubernetes:external-secrets.io/v1:ExternalSecret"
	ExternalSecretBeta     = "kubernetes:external-secrets.io/v1beta1:ExternalSecret"
	SecretStore            = "kubernetes:external-secrets.io/v1:SecretStore"
	SecretStoreBeta        = "kubernetes:external-secrets.io/v1beta1:SecretStore"
	ClusterSecretStore     = "kubernetes:external-secrets.io/v1:ClusterSecretStore"
	ClusterSecretStoreBeta = "kubernetes:external-secrets.io/v1beta1:ClusterSecretStore"
	PushSecret             = "kubernetes:external-secrets.io/v1alpha1:PushSecret"
)

// Databases returns the types of databases.
func Databases() []string { return []string{DBInstance, DBCluster} }

// Servers returns the types of objects whose pods run until they are stopped.
func Servers() []string {
	return []string{Deployment, StatefulSet, DaemonSet, ReplicaSet, ReplicationController}
}

// Workloads returns the types of all objects that create pods, and the pod itself.
func Workloads() []string { return append([]string{Job, CronJob, Pod}, Servers()...) }

// Templates returns the types of all objects that hold a pod template, and the pod itself.
func Templates() []string { return append(Workloads(), PodTemplate) }

// Known returns the type under which rules know a type of Kubernetes. An older version of an API becomes the current
// one. Pulumi has a second type for each kind, such as DeploymentPatch, which changes an object that exists: it becomes
// the type of that object, and is reported as a patch.
func Known(resourceType string) (known string, patch bool) {
	rest, ok := strings.CutPrefix(resourceType, "kubernetes:")
	if !ok {
		return resourceType, false
	}
	version, kind, _ := strings.Cut(rest, ":")
	kind, patch = strings.CutSuffix(kind, "Patch")
	switch version {
	case "apps/v1beta1", "apps/v1beta2":
		version = "apps/v1"
	case "batch/v1beta1", "batch/v2alpha1":
		version = "batch/v1"
	case "extensions/v1beta1":
		version = "apps/v1"
		if kind == "Ingress" || kind == "NetworkPolicy" {
			version = "networking.k8s.io/v1"
		}
	case "networking.k8s.io/v1beta1":
		version = "networking.k8s.io/v1"
	case "policy/v1beta1":
		version = "policy/v1"
	case "rbac.authorization.k8s.io/v1beta1", "rbac.authorization.k8s.io/v1alpha1":
		version = "rbac.authorization.k8s.io/v1"
	case "autoscaling/v1", "autoscaling/v2beta1", "autoscaling/v2beta2":
		version = "autoscaling/v2"
	case "apiextensions.k8s.io/v1beta1":
		version = "apiextensions.k8s.io/v1"
	}
	return "kubernetes:" + version + ":" + kind, patch
}

// ExternalSecrets returns the types of ExternalSecrets.
func ExternalSecrets() []string { return []string{ExternalSecret, ExternalSecretBeta} }

// ClusterStores returns the types of ClusterSecretStores.
func ClusterStores() []string { return []string{ClusterSecretStore, ClusterSecretStoreBeta} }

// Stores returns the types of SecretStores and ClusterSecretStores.
func Stores() []string { return slices.Concat([]string{SecretStore, SecretStoreBeta}, ClusterStores()) }
