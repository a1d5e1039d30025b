// Package terminal keeps an imported library from asking the terminal for its background colour. bubbletea, which the
// Pulumi SDK imports, asks when it is initialised and waits five seconds for a terminal that does not answer.
//
// Go initialises packages in the order of their import paths. This package imports only packages that bubbletea imports
// too, so it is initialised first. The program calls [Restore] at its start.
package terminal

import "os"

// named is TERM as the program found it.
var named, isNamed = os.LookupEnv("TERM")

// A terminal of this name is not asked.
func init() { _ = os.Setenv("TERM", "dumb") }

// Restore gives the program and its children the name of the terminal back.
func Restore() {
	if isNamed {
		_ = os.Setenv("TERM", named)
	} else {
		_ = os.Unsetenv("TERM")
	}
}
