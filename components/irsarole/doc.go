// Package irsarole is an IAM role that pods of one Kubernetes ServiceAccount can take, and nobody else (IAM roles for
// service accounts, IRSA).
//
//	role, err := irsarole.NewIrsaRole(ctx, "secrets-role", &irsarole.IrsaRoleArgs{
//		Name: "myshop-prod-ap-northeast-2-secrets", OIDCProviderArn: providerArn, Region: "ap-northeast-2",
//		Namespace: "myshop", ServiceAccount: "myshop-secrets",
//		Secrets: []irsarole.Secret{{Arn: database.MasterSecretArn, KmsKeyArn: database.KmsKeyArn}},
//	})
//
// The trust policy demands both the subject (one namespace, one ServiceAccount, no wildcard) and the audience
// sts.amazonaws.com: with only one of them any pod of the cluster, or a token made for another purpose, could take the
// role. The role's policy names exact secrets and exact keys, and a key only as Secrets Manager uses it.
package irsarole
