// Package drill causes a fault of a running stack under a load, waits until it has healed, and reports what the clients
// saw and whether a write was lost.
//
// The load runs in a pod of the service's namespace, through the pool. A ConfigMap in the same namespace is the lock of
// the drill, and records what must be undone. A command that finds the ConfigMap of a drill whose process is gone ends
// that drill first.
package drill
