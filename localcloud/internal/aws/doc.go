// Package aws is a stand-in for AWS on one machine, and calls itself that: it keeps the account of a local cloud (IAM
// roles, KMS keys, secrets, DB instances and what belongs to them), speaks the AWS wire protocol to SDKs, the AWS CLI
// and the operator ([Cloud.Wire]), and is the resource provider's door ([Cloud.Control]).
//
// It enforces what AWS enforces: requests are verified by Signature Version 4, web identity tokens against the
// cluster's keys, roles by their trust policies, actions by identity policies, permissions boundaries and KMS key
// policies, deny by default. What it does not model it refuses, naming the action or the parameter; docs/local-aws.md
// lists both.
//
// Below it: package iam evaluates policies, sigv4 verifies signatures, wire speaks the protocols, rdsrules knows RDS's
// rules, store keeps the account on disk.
package aws
