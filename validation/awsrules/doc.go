// Package awsrules holds rules that several services of AWS share: regions and their partitions, ARNs, tags, and the
// schedules of Secrets Manager. A rule names the page of AWS's documentation that it is from.
//
// The package is pure, so that the program, its policies and the local cloud judge by the same rules.
package awsrules
