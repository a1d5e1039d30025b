// Command localcloud runs the local cloud on one machine. Package cluster documents how it works; `localcloud --help`
// lists the commands.
package main

import (
	"os"

	"dbtier/localcloud/internal/cli"
)

func main() {
	os.Exit(cli.Main(os.Args[1:], os.Stdout, os.Stderr))
}
