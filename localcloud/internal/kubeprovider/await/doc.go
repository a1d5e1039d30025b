// Package await waits until a Kubernetes object that was just applied is ready: a Deployment has rolled out, a Job has
// completed, a Service has endpoints, a custom resource has the condition in its pulumi.com/waitFor annotation.
//
// Every wait is a watch, so it ends within milliseconds of the event. kstatus decides what is ready for the kinds that
// it knows, with the exceptions of pulumi-kubernetes: a Job is ready when it is Complete (not when it has started), a
// Service when it has an endpoint, and a custom resource at once unless it has pulumi.com/waitFor.
//
// A failed wait reports the reasons of the pods, their Warning events and the last lines of their logs. Values of the
// Secrets that a pod uses are masked in the whole report, because it ends up in the state of the stack and in the logs
// of CI.
package await
