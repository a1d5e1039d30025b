// Package statelock lets one update at a time work on a stack, and clears what an update that was killed left behind.
//
// The file backend's own lock is written first and checked after, so two updates that start together can both lose, and
// it stays when its process is killed. Our lock is the kernel's (flock): taken before the engine starts, handed down to
// the engine so that it lasts as long as anything works on the stack, and gone with the last process that holds it.
package statelock
