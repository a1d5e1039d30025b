// Package engine runs the program on a stack with the Pulumi engine, through the Automation API as an inline program.
//
// A [Reader] looks at a stack and takes no lock. A [Run] changes a stack and holds its lock.
//
// The package decides what the engine sees: the backend of the state, the passphrase, and the cloud. Only local stacks
// and offline previews run with attached provider servers. For every other run PULUMI_DEBUG_PROVIDERS and similar
// variables are removed from the environment.
package engine
