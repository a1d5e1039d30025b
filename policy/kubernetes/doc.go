// Package kubernetes holds the rules for Kubernetes objects: the pod security standards, and what keeps pods and
// secrets apart.
package kubernetes
