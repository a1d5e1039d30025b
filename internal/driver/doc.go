// Package driver is the command line of dbtier: thin commands over the packages beside it. It knows the program only as
// a function it is given.
package driver
