// Package engine runs the program on a stack with the Pulumi engine, through the Automation API as an inline program.
//
// It decides what the engine gets to see: which backend holds the state, which passphrase, and above all which cloud.
// Only a stack marked local and an offline preview ever run with attached provider servers; from the environment of
// every other run PULUMI_DEBUG_PROVIDERS and its like are removed, whoever set them.
package engine
