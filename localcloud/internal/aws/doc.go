// Package aws is a stand-in for AWS on one machine. It keeps the account of a local cloud: IAM roles, KMS keys,
// secrets, DB instances and what belongs to them. It serves the AWS wire protocols to SDKs, the AWS CLI and the
// operator ([Cloud.Wire]), and a control API to the resource provider ([Cloud.Control]).
//
// It enforces what AWS enforces. Requests are verified by Signature Version 4 and web identity tokens by the cluster's
// keys. Roles are guarded by their trust policies, and actions by identity policies, permissions boundaries and KMS key
// policies. Everything is denied by default. Requests for anything that it does not model fail with an error that names
// the action or the parameter. docs/local-aws.md lists what it models.
//
// Its packages: iam evaluates policies, sigv4 verifies signatures, wire reads and writes the protocols, rdsrules holds
// RDS's rules, and store keeps the account on disk.
package aws
