// Package chart renders Helm charts to Kubernetes objects with the Helm SDK, as helm template does: without a release,
// without running hooks.
package chart
