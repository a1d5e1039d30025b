//go:build e2e

// Package policy runs the policy pack in the real Pulumi engine, on the resources of the stack prod as the golden file
// has them, which a provider of these tests pretends to make. It needs bin/pulumi, and no cloud:
//
//	make build && go test -tags e2e ./tests/policy
package policy
