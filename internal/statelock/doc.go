// Package statelock lets one update at a time work on a stack, and removes the locks that a killed update left.
//
// The file backend writes its own lock first and checks for others after that, so two updates that start at the same
// time can both fail; and the lock stays when its process is killed. The driver's lock is the kernel's (flock). The
// driver takes it before the engine starts and passes it to the engine, so the lock lasts as long as any process works
// on the stack and ends with the last of them.
package statelock
