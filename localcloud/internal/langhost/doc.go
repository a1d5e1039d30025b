// Package langhost is the smallest language host that plain `pulumi up` needs for a program that is compiled already:
// attached with PULUMI_DEBUG_LANGUAGES=go:<port>, it starts the program where pulumi-language-go would build and start
// it.
package langhost
