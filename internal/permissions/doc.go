// Package permissions makes the IAM policy of the identity that deploys a stack: what the AWS provider calls for the
// stack's resources, and what AWS asks of its caller.
//
// The table of calls was read in the sources of terraform-provider-aws, which the provider is built from, and in AWS's
// documentation; each entry names its file. Versions 4 to 6 of these files were read, not exactly the one in the
// provider. The calls that the local cloud knows were tried there, and none on AWS.
package permissions
