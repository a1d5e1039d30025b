// Package analyzer serves the rules of the pack to the Pulumi engine.
//
// It speaks the engine's analyzer protocol itself. The server of policyx decodes a resource once for every rule, tells
// no rule whether the run is a preview, gives stack rules no config, and fails `pulumi policy analyze`, which
// configures no stack. Here a resource is decoded once and only where a rule asks for its type, and of it only the
// properties that the rules read.
package analyzer
