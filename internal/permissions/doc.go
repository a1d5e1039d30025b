// Package permissions makes the IAM policy of the identity that deploys a stack: what the AWS provider calls for the
// stack's resources, and what AWS asks of its caller.
//
// The table of calls was read in the sources of terraform-provider-aws, which the provider is built from, and in AWS's
// documentation; each entry names its file. Versions 4 to 6 of these files were read, not exactly the one in the
// provider. No call was checked on AWS or against the stand-in.
package permissions
