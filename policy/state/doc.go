// Package state judges an exported state (`pulumi stack export`) by the rules of the pack, without an engine: no login,
// no plugins, no program. Encrypted secrets stay encrypted, and what depends on them is said to be not judged.
package state
