// Package pods finds pods in the Kubernetes objects that make them.
package pods
