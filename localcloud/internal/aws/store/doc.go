// Package store keeps one document on disk such that every moment of a kill leaves either the state before a change or
// the state after it: a change is written to a new file, synced, and renamed over the old one, and only then seen by
// readers.
package store
