// Package analyzer serves a pack of rules to the Pulumi engine.
//
// It implements the engine's analyzer protocol itself. The server of the SDK's policyx decodes a resource once per
// rule, does not tell a rule whether the run is a preview, gives no config to stack rules, and fails in `pulumi policy
// analyze`, which does not configure a stack. This server decodes only resources of types that a rule lists, and only
// the properties that a rule reads, once.
package analyzer
