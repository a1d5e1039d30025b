// Package engine holds the tests of the driver on the real Pulumi engine, with no cloud: resources are files in a
// folder that a provider of these tests keeps, and a program of these tests declares them from the stack's config. They
// need bin/pulumi:
//
//	make build && go test ./tests/engine
//
// The test binary plays three programs: by its own name the tests, as dbtier the driver around the program, and as
// localcloud the provider servers that the driver starts.
package engine
