// Package localcloud is the driver's side of the local cloud: it starts the localcloud binary as a child and reads the
// files that a running cloud leaves. It shares no code with that binary, which is a module of its own.
package localcloud
