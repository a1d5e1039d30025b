// Package verify checks a tier that is up, from where its users stand: inside a service pod, on the pool's console, and
// with the ServiceAccount's own token. It works on any cluster that kubectl reaches and prints no secret.
package verify
