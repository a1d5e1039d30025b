// Package kuberules holds rules of Kubernetes and of container images: resource quantities, image references, the names
// of environment variables and reserved namespaces. A rule names its source.
//
// The package is pure, so that the program, its policies and the local cloud judge by the same rules.
package kuberules
