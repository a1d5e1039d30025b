// Package netpol enforces NetworkPolicies on the only node of the local cluster.
//
// [Ruleset] translates policies, pods and namespaces into one nftables table. It is a pure function. [Run] watches the
// three kinds in the API server and replaces the whole table in the kernel whenever one of them changes.
//
// Pods are routed, not bridged. A packet between two pods passes the forward hook, after kube-proxy has replaced the
// Service's address by a pod's. A packet from a pod to a database endpoint passes the input hook, because the endpoints
// are addresses of this node that represent hosts elsewhere. The node itself (the kubelet's probes, the API server, the
// AWS stand-in) can always reach pods and can always be reached, as Kubernetes requires for a pod's own node.
//
// A packet that no policy allows is dropped, as by the VPC CNI of EKS: the client waits and times out.
package netpol
