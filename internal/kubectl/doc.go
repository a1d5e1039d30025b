// Package kubectl runs kubectl, the local cloud's own or the one on PATH, and tells its failures apart.
package kubectl
