// Package naming makes the names of things in AWS and Kubernetes: readable, within the limit of the kind of thing, and
// the same for the same input. A name that has to be cut ends in a hash of the whole, so two long names do not become
// one.
package naming
