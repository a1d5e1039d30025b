// Package localcloud is the driver's side of the local cloud: it starts the localcloud binary and reads the files of a
// running cloud. It shares no code with that binary, which is a separate module.
package localcloud
