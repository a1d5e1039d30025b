// Package registry is the one list of the pack's rules: what the engine is served, what the tests try, what the
// documentation and `dbtier policy list` show.
package registry
