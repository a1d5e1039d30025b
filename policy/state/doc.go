// Package state judges an exported state (`pulumi stack export`) by a pack of rules, without an engine, a login,
// plugins or the program. It does not decrypt secrets: a rule that needs one reports that it was not evaluated.
package state
