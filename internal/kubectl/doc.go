// Package kubectl runs kubectl, the local cloud's or the one on PATH, and reads its errors.
package kubectl
