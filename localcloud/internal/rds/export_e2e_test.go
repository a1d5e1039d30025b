//go:build e2e

package rds

// Distribution is a PostgreSQL for tests outside this package, see distribution.
var Distribution = distribution
