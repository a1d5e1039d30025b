// Package changed finds the files that changed since a Git revision, and the files that a Go program is built of. The
// driver selects stacks by them. It needs git, but not the go command.
package changed
