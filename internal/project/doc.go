// Package project finds the Pulumi project of a folder and reads what its files say about a stack: the cloud, the
// config, the place of the state, and the place of the driver's own files.
package project
