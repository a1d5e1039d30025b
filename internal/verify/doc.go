// Package verify checks a running tier as its users see it: from a service pod, on the pool's console, and with the
// ServiceAccount's token. It works on every cluster that kubectl can reach, and prints no secret.
package verify
