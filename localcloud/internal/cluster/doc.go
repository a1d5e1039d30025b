// Package cluster runs a one-node Kubernetes cluster and the AWS stand-in in separate Linux namespaces.
//
// # Processes
//
// `localcloud start` opens the two ports on the host, creates new network, mount, PID and IPC namespaces, and starts
// one process in them: PID 1 ([Init]). PID 1 only reaps orphaned processes. When it ends, the kernel ends everything in
// the namespaces, so neither a crash nor kill -9 can leave a process, mount, interface or rule behind.
//
// The only child of PID 1 is the supervisor ([Supervise]). It sets up the namespaces, runs etcd, containerd and the
// Kubernetes components, and restarts components that exit. The AWS stand-in, the database fronts and the control
// socket run in the supervisor's process.
//
// # Addresses
//
// 198.18.0.0/15 is reserved for benchmarks (RFC 2544), so it does not conflict with networks of the host. The node is
// 198.18.0.1, database endpoints are in 198.18.1.0/24, pods in 198.18.128.0/17 and Services in 198.19.0.0/24.
//
// A socket stays in the network namespace in which it was opened. The two listeners on the host's 127.0.0.1 are opened
// before the namespaces are created and passed down, so connections to them reach the cluster. The cluster has no route
// to the outside.
//
// # Files
//
// All files are below .localcloud in the project: state/ holds what the running cloud changes, cache/ holds build
// results. The sockets are in /run/localcloud-<hash>. The hash is computed from the project's path, so two projects can
// run side by side on different ports.
package cluster
