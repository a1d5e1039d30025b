// Package pulumicli finds or builds the pinned Pulumi CLI and runs it for the Automation API.
//
// It implements PulumiCommand itself for two reasons. The Automation API's own runs in the driver's process group,
// where a terminal's ^C reaches the engine twice. And it kills the engine ten seconds after a cancel, whatever the
// engine is doing.
package pulumicli
