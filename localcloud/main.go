// Command localcloud is the cloud on one machine: see package cluster for how it works, and `localcloud --help`.
package main

import (
	"os"

	"dbtier/localcloud/internal/cli"
)

func main() {
	os.Exit(cli.Main(os.Args[1:], os.Stdout, os.Stderr))
}
