// Package e2e contains the tests that need the whole chain. They start the local cloud, let the real Pulumi engine
// deploy the stack `local` on it, and then try normal use, access by other tenants, and failures.
//
// They run the project's binaries like a user, and check the result with independent clients: kubectl, psql, pgbench
// and the AWS CLI. They need root and the binaries of `make build`:
//
//	make e2e
//
// The tests share one cloud and run in the order of their file numbers. Each leaves a working tier.
package e2e
