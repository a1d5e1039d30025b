// Package kubeprovider is a Pulumi provider server for the package "kubernetes". It does what pulumi-kubernetes does
// for the programs of this project and waits less. The engine attaches to it with PULUMI_DEBUG_PROVIDERS where the
// plugin cannot be installed.
//
// # How it works
//
// The provider uses client-go's dynamic client. It creates objects by a plain POST, so that an object that already
// exists is an error. It updates them by server-side apply under the object's own field manager. A diff compares the
// new inputs with those of the last update, so a run without changes sends no request to the cluster. A preview of a
// change is a server-side dry run. Package await decides what counts as ready. Package chart renders charts with the
// Helm SDK, and their objects are registered as children.
//
// A server serves one provider configuration. The engine does not tell a provider server which provider resource a
// request is for, so a second configuration with other inputs is refused.
//
// # Interrupted creations
//
// An engine that is killed between the creation of an object and its recording creates the object again in its next
// run. The field manager of an object is derived from its URN and the ID of the provider resource, which only this
// stack's state contains. It therefore identifies the creator. The provider takes over an existing object if it has
// this field manager and is in no state that this run has seen. It applies the inputs, or recreates the object if
// immutable fields differ or if it is a Job that has failed.
//
// Objects that Helm's annotation keeps when their stack is destroyed, such as CRDs, must be recognized by the next
// stack, which has another provider resource. Their field manager is derived from the URN alone.
//
// # Differences from pulumi-kubernetes 4.30
//
//   - Patch and List resources, functions such as kubernetes:yaml:decode, helm.sh/v3 Releases, YAML and Kustomize
//     components, YAML rendering and client-side apply are not supported. The error names the resource or function.
//   - The diff compares inputs with inputs, not with the pruned live object. A value that the server rewrites is not
//     reported as a change in every run. A refresh finds every field of the inputs that changed in the cluster.
//   - An update of an object that no longer exists creates it again. The plugin fails.
//   - metadata.managedFields is left out of the outputs.
//   - The preview of a creation returns the inputs after a dry run. The plugin returns the object of the dry run, whose
//     uid and clusterIP differ from those of the creation.
//   - Waits are watches. A Service is ready with its first ready endpoint (the plugin waits until endpoints have been
//     stable for ten seconds). Ingresses, quotas, volumes and replication controllers are not awaited.
//     CustomResourceDefinitions are awaited until they are established.
//   - Messages of failed waits contain the reasons, events and last log lines of the pods, with secrets masked.
//   - Calls that a webhook or the API server refuses for a temporary reason are retried for up to a minute.
//   - A deletion never removes an object that another client has created under the same name.
//   - An unreachable cluster is one error when the provider is configured, unless deleteUnreachable or
//     skipUpdateUnreachable is set.
//   - In a chart, every object depends on the chart's CustomResourceDefinitions, so that a controller starts after its
//     kinds exist. If a value of the chart is secret, the contents of its objects are secret.
package kubeprovider
