// Package netpol enforces NetworkPolicies on the one node of the local cluster.
//
// [Ruleset] translates policies, pods and namespaces into one nftables table, and nothing else: it is a function of its
// arguments. [Run] watches the three in the API server and hands the kernel a new table, whole, whenever one changes.
//
// Pods are routed, not bridged, so every packet between two pods passes the forward hook, after kube-proxy has replaced
// a Service's address by a pod's. A packet from a pod to a database endpoint passes the input hook instead, because the
// endpoints are addresses of this node that stand for hosts elsewhere. The node itself (the kubelet's probes, the API
// server, the AWS stand-in) always reaches pods and is always reached, as Kubernetes demands of a pod's own node.
//
// A packet that no policy allows is dropped, as the VPC CNI of EKS does it: the peer waits and times out.
package netpol
