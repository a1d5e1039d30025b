// Package awsprovider is the Pulumi provider "aws" of a local stack: a resource provider server that the Pulumi engine
// attaches to (PULUMI_DEBUG_PROVIDERS) in place of the installed plugin, and that hands what it is told to the AWS
// stand-in of the local cloud, over its control socket.
//
// It behaves like pulumi-aws 6.83 for the resource types and properties in its tables (types.go): the same names, the
// same defaults, the same auto-naming, the same properties that force a replacement, the same outputs that a preview
// leaves unknown. Everything else is refused by name. A stand-in that ignored a property would let a program pass here
// that does something else on AWS.
//
// Two guards keep it apart from real stacks. Configure demands the marker of a local stack: provider endpoints that
// name this very stand-in. And an offline server (Options.Offline), which takes any configuration, previews only.
//
// How a request runs: check.go validates and completes inputs, diff.go compares them without asking anybody,
// outputs.go makes what previews and states hold, door.go speaks to the stand-in, provider.go is the gRPC side.
package awsprovider
