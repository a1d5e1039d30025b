// Package contract has tests of the behaviour that AWS and the local stand-in share. They run against either, so a pass
// means more than that the stand-in agrees with itself.
//
// Without a build tag, the tests start a stand-in in the process. With the tag aws, they use the AWS account that the
// environment names, as any SDK finds it (AWS_PROFILE, AWS_REGION, AWS_ENDPOINT_URL, …):
//
//	go test -tags aws ./internal/aws/contract
//
// On AWS they create secrets and roles whose names begin with dbtier-contract-, and delete them. This costs a few cents
// at most. They need an identity that may use iam, sts, secretsmanager, kms and rds. The web identity tests also need a
// token and its provider: AWS_WEB_IDENTITY_TOKEN_FILE and DBTIER_CONTRACT_OIDC_PROVIDER_ARN, as in a pod of an EKS
// cluster.
package contract
