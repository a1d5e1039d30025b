// Package irsarole is an IAM role that pods of named Kubernetes ServiceAccounts can take, and nobody else.
//
//	role, err := irsarole.NewIrsaRole(ctx, "secrets-role", &irsarole.IrsaRoleArgs{
//		Name: "myshop-prod-ap-northeast-2-secrets", OIDCProviderArn: providerArn, Region: "ap-northeast-2",
//		ServiceAccounts: []irsarole.ServiceAccount{{Namespace: "myshop", Name: "myshop-secrets"}},
//		Permissions: []permission.Permission{
//			permission.ReadSecrets{Arns: []pulumi.StringInput{database.MasterSecretArn}},
//			permission.UseKeys{Arns: []pulumi.StringInput{database.KmsKeyArn}, Via: "secretsmanager"},
//		},
//	})
//
// # Bindings
//
// By [WebIdentity] (IAM roles for service accounts, IRSA) a pod exchanges a token of its ServiceAccount at STS. The
// trust policy demands both the subject (namespace and ServiceAccount, no wildcard) and the audience sts.amazonaws.com:
// with only one of them any pod of the cluster, or a token made for another purpose, could take the role.
//
// By [PodIdentity] an agent of EKS on the pod's node hands out the credentials, and the association of role and
// ServiceAccount is an object of EKS. The trust policy demands cluster, namespace and ServiceAccount, as EKS puts them
// into the session's tags.
//
// Pod Identity is not for the role with which the External Secrets Operator reads a service's secrets. The operator
// asks the cluster for a token of the service's ServiceAccount (auth.jwt) and takes the role with that; Pod Identity
// gives credentials to pods, so it could only give the operator's own pods one role that reads the secrets of every
// service.
package irsarole
