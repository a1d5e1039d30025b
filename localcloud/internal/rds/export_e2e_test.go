//go:build e2e

package rds

// Distribution exports distribution to the tests outside this package.
var Distribution = distribution
