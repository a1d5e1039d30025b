// Package cli is the command line of localcloud. The driver (bin/dbtier) calls it, and it can be used directly.
package cli
