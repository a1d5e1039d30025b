// Package providers implements the command `localcloud providers`. It serves the Pulumi providers "aws" and
// "kubernetes", and optionally a Go language host, on loopback ports. An engine attaches to them with
// PULUMI_DEBUG_PROVIDERS and PULUMI_DEBUG_LANGUAGES.
package providers
