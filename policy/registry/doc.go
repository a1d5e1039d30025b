// Package registry lists the rules of the pack. The server, the tests, docs/policies.md and `dbtier policy list` use
// this list.
package registry
