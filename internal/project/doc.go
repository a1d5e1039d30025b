// Package project finds the Pulumi project a person stands in and answers what its files say about a stack: which cloud
// the stack lives on, where its state is kept, and where the driver may keep files of its own.
package project
