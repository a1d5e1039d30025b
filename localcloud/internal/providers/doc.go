// Package providers is the command `localcloud providers`: it serves the Pulumi providers "aws" and "kubernetes", and
// when asked a Go language host, on loopback ports that an engine attaches to with PULUMI_DEBUG_PROVIDERS and
// PULUMI_DEBUG_LANGUAGES.
package providers
