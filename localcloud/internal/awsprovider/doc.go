// Package awsprovider is the Pulumi provider "aws" of a local stack. The Pulumi engine attaches to this resource
// provider server (PULUMI_DEBUG_PROVIDERS) in place of the installed plugin. The server passes requests to the local
// cloud's AWS stand-in over its control socket.
//
// It behaves like pulumi-aws 6.83 for the resource types and properties in its tables (types*.go): names, defaults,
// auto-naming, properties that force a replacement, and outputs that a preview leaves unknown are the same. It refuses
// everything else by name. If it ignored a property, a program could pass here and do something else on AWS.
//
// Two guards keep it away from real stacks. Configure requires the marker of a local stack: provider endpoints that
// name this stand-in. An offline server (Options.Offline) accepts any configuration but only previews.
//
// The files follow a request: check.go validates and completes inputs, diff.go compares them, outputs.go builds the
// results of previews and updates, and control.go talks to the stand-in. provider.go serves the calls about the
// provider, and resources.go those about resources.
package awsprovider
