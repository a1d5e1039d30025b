// Package iam is the policy engine of the local AWS stand-in. It parses policy documents as IAM does and reports all
// faults of a document at once. It evaluates requests by IAM's documented logic: requests are denied by default, an
// explicit deny wins, an allow must pass the permissions boundary and the session policy, and a resource policy can
// grant access or delegate to the account.
//
// Parse fails on everything that the package does not model: NotPrincipal, canonical users, BinaryEquals, and condition
// keys that no request carries here. Nothing is ignored, because a skipped condition would allow what AWS denies.
//
// The logic follows the IAM user guide, "Policy evaluation logic" and "IAM JSON policy elements reference".
package iam
