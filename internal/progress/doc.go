// Package progress shows a person what the Pulumi engine does: one line with its duration for each finished operation,
// the operation that is being waited for when nothing finishes, and each error once, without the engine's prefixes. It
// never shows the value of a property that the engine marks as secret.
package progress
