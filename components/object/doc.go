// Package object creates the small Kubernetes objects that several components need. Its errors name the kind and the
// object.
//
// It takes and returns types without Kubernetes' metadata, because a package that names that metadata takes 4.5 s more
// to compile (docs/benchmarks.md).
package object
