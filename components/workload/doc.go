// Package workload contains what the pods of the tier have in common: labels, the restricted Pod Security standard,
// resources, volumes, and Jobs. Components build their pods with it, so that no component misses a part of the
// standard.
//
// The arguments of this package are plain types. A package that names Kubernetes' own types takes 4.5 s more to compile
// (docs/benchmarks.md).
package workload
