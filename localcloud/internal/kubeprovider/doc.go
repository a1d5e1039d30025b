// Package kubeprovider is a Pulumi provider server for the package "kubernetes": what pulumi-kubernetes does for the
// programs of this project, attached to the engine through PULUMI_DEBUG_PROVIDERS where the plugin cannot be installed,
// and faster in its waits.
//
// # How it works
//
// Objects are created by a plain POST, so that an object that exists already is an error, and updated by server-side
// apply under a field manager of their own, with client-go's dynamic client. A diff compares the new inputs with those
// of the last update, so a run without changes asks the cluster nothing; a preview of a change is a server-side dry
// run. What counts as ready is decided by package await. The chart component of package chart is rendered with the
// Helm SDK, and its objects are registered as children.
//
// One server serves one provider configuration: the engine does not tell a provider server which provider instance a
// request is for, so a second, different configuration is refused.
//
// # Interrupted creations
//
// An engine that is killed between creating an object and recording it creates it again at its next run. The field
// manager of an object is derived from its URN and the ID of the provider resource, which only this stack's state has,
// and serves as the mark of who made it: an object that exists already, carries the mark of the very resource that is
// being created, and is in no state that this run has seen, is taken over instead of refused. It is brought to the
// inputs by server-side apply, or made anew where its immutable fields differ or where it is a Job that has failed
// meanwhile.
//
// An object that Helm's annotation keeps when its stack goes, such as a CRD, is met by the next life of the stack,
// whose provider resource is another one: its field manager is derived from the URN alone.
//
// # Differences from pulumi-kubernetes 4.30
//
//   - Patch and List resources, the functions (kubernetes:yaml:decode and so on), helm.sh/v3 Releases, YAML and
//     Kustomize components, YAML rendering and client-side apply are refused by name.
//   - The diff compares inputs with inputs, not with the pruned live object: a value that the server rewrites does not
//     show up as a change for ever. A refresh notices every field of the inputs that changed in the cluster.
//   - An update of an object that is gone makes it again; the plugin fails.
//   - metadata.managedFields is left out of the outputs.
//   - A preview of a creation returns the inputs after a dry run; the plugin returns the dry run's object, whose uid and
//     clusterIP are not those that the creation will give.
//   - Waits are watches: a Service is ready with its first ready endpoint (the plugin waits for ten quiet seconds).
//     Ingresses, quotas, volumes and replication controllers are not awaited. CustomResourceDefinitions are awaited until
//     they are established.
//   - Messages of failed waits carry the reasons, events and last log lines of the pods, with secrets masked.
//   - Calls that a webhook or the API server refuses for a passing reason are repeated for up to a minute.
//   - Deleting never removes an object of the same name that somebody else made in place of ours.
//   - An unreachable cluster is one error when the provider is configured, unless deleteUnreachable or
//     skipUpdateUnreachable is set.
//   - In a chart every object depends on the chart's CustomResourceDefinitions, so a controller does not start before
//     its kinds exist. Secret values among the chart's values make the children's contents secret.
package kubeprovider
