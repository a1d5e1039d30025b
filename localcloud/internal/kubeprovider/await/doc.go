// Package await waits until a Kubernetes object that was just applied has become what it is for: a Deployment has
// rolled out, a Job has completed, a Service has endpoints, a custom resource shows the condition that its
// pulumi.com/waitFor annotation names.
//
// Every wait is a watch, so it ends within milliseconds of the event it waits for. What is ready is decided by kstatus
// where kstatus knows the kind, with the exceptions that pulumi-kubernetes makes: a Job counts when it is Complete (not
// when it has started), a Service when it has an endpoint, a custom resource at once unless it carries
// pulumi.com/waitFor.
//
// A wait that fails says why in the words of the cluster: the reasons of the pods, their Warning events and the last
// lines of their logs. Values of the Secrets that a pod uses are masked in all of it, because what is reported here
// ends up in the state of the stack and in the logs of CI.
package await
