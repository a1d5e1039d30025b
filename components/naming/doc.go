// Package naming builds names of resources in AWS and Kubernetes. A name is readable, stays within the limit of its
// kind, and is the same for the same input. A name that is too long is cut and ends in a hash of the whole, so that two
// long names stay different.
package naming
