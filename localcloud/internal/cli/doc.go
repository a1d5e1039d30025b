// Package cli is the command line of localcloud. The driver (bin/dbtier) calls it; people may too.
package cli
