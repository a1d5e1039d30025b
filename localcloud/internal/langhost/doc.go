// Package langhost is a minimal Pulumi language host for a program that is already compiled. The engine attaches to it
// with PULUMI_DEBUG_LANGUAGES=go:<port>. It starts the compiled program where pulumi-language-go would build it first.
package langhost
