// Package driver is the command line of dbtier. Each command is in a file of its name; the work itself is done by the
// other internal packages. The program that it runs on stacks is a function that main passes to it.
package driver
