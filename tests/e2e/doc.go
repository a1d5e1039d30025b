// Package e2e holds the tests that need the whole chain running: they start the local cloud, let the real Pulumi engine
// bring up the stack `local` on it, and then try what a user, a neighbour and a bad day would do to it.
//
// They drive the project's own binaries, as a person does, and look at the outcome with clients that nobody here wrote:
// kubectl, psql, pgbench and the AWS CLI. They need root and the binaries of `make build`:
//
//	make e2e
//
// The tests share one cloud and run in the order of their files' numbers; each leaves the tier serving.
package e2e
