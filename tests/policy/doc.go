//go:build e2e

// Package policy runs the policy pack in the real Pulumi engine, on the resources in the golden file of the stack prod.
// A provider in these tests pretends to create them. The tests need bin/pulumi, but no cloud:
//
//	make build && go test -tags e2e ./tests/policy
package policy
