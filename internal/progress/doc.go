// Package progress tells a person what the Pulumi engine does: one line a finished operation with its time, what is
// being waited for while nothing finishes, and each error once, without the engine's wrapping. It never shows a
// property's value that the engine marks secret.
package progress
