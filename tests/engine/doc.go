// Package engine tests the driver on the real Pulumi engine without a cloud. The resources are files in a folder, kept
// by a provider of these tests and declared by a program of these tests from the stack's config. The tests need
// bin/pulumi:
//
//	make build && go test ./tests/engine
//
// The test binary plays several programs. Under the name dbtier it is the driver around the program, as localcloud the
// provider servers that the driver starts, and under its own name the tests.
package engine
