// Package pulumicli finds or builds the pinned Pulumi CLI and runs it for the Automation API.
//
// It brings a PulumiCommand of its own because the Automation API's shares the driver's process group, where a
// terminal's ^C reaches the engine twice, and kills the engine ten seconds after a cancel, in the midst of whatever it
// then does.
package pulumicli
