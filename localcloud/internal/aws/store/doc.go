// Package store keeps one document on disk. If the process is killed at any moment, the file holds the state before a
// change or after it: a change is written to a new file, synced, and renamed over the old one. Readers see it only
// then.
package store
