// Package contract holds what the local AWS stand-in and AWS have in common, as tests that run against either, so that
// green means more than that the stand-in agrees with itself.
//
// Without a build tag the tests start a stand-in in the process. With the tag aws they talk to the AWS account that the
// environment names, as any SDK would find it (AWS_PROFILE, AWS_REGION, AWS_ENDPOINT_URL, …):
//
//	go test -tags aws ./internal/aws/contract
//
// There they make secrets and roles whose names begin with dbtier-contract-, and delete them; nothing they make costs
// more than cents. They need an identity that may use iam, sts, secretsmanager, kms and rds. The web identity tests
// also need a token and its provider: AWS_WEB_IDENTITY_TOKEN_FILE and DBTIER_CONTRACT_OIDC_PROVIDER_ARN, as in a pod of
// an EKS cluster.
package contract
