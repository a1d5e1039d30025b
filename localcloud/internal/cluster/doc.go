// Package cluster runs a one-node Kubernetes, and the stand-in for AWS beside it, in namespaces of its own.
//
// # Processes
//
// `localcloud start` opens the two ports of the host, makes new network, mount, PID and IPC namespaces, and leaves one
// process in them: PID 1 ([Init]). It reaps orphans and does nothing else, and when it ends the kernel ends everything
// in the namespaces, so that neither a crash nor kill -9 can leave a process, mount, interface or rule behind. Its one
// child, the supervisor ([Supervise]), sets the namespaces up, runs etcd, containerd and the Kubernetes components,
// restarts what dies, and holds the AWS stand-in, the database fronts and the control socket in its own process.
//
// # Addresses
//
// 198.18.0.0/15 is reserved for benchmarks (RFC 2544) and so meets no network of the host: the node is 198.18.0.1,
// database endpoints are 198.18.1.0/24, pods 198.18.128.0/17 and Services 198.19.0.0/24. Sockets keep the network
// namespace in which they were opened, so the two listeners that were opened on the host's 127.0.0.1 and handed down
// lead into the cluster; nothing leads out of it.
//
// # Files
//
// All below the project's .localcloud: state/ has everything with a life, cache/ what was built. /run/localcloud-<hash>
// holds the sockets, under a name made from the project's folder so that two projects can run side by side on other
// ports.
package cluster
