// Command policy-pack is the policy pack of dbtier. The Pulumi engine starts it:
//
//	pulumi preview --policy-pack bin/policy-pack
//
// It works for programs in any language, because its rules know resources by their types.
package main

import (
	"fmt"
	"os"

	"dbtier/policy/analyzer"
	"dbtier/policy/registry"
)

// version is set by the linker. The engine is told registry.Version, the version of the rules.
var version = "development"

func main() {
	for _, arg := range os.Args[1:] {
		switch arg {
		case "--version":
			fmt.Printf("%s %s (build %s)\n", registry.Name, registry.Version, version)
			return
		case "-h", "--help":
			fmt.Println("usage: pulumi preview|up --policy-pack policy-pack [--policy-pack-config FILE]\n" +
				"To list the rules: dbtier policy list")
			return
		}
	}
	if err := analyzer.Serve(registry.Pack(), os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "policy-pack:", err)
		os.Exit(1)
	}
}
