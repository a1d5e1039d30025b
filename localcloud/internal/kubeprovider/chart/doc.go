// Package chart renders Helm charts to Kubernetes objects with the Helm SDK. Like helm template, it creates no release
// and runs no hooks.
package chart
