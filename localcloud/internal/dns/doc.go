// Package dns maintains the hosts file that the cluster's CoreDNS serves for names that are not Kubernetes Services:
// database endpoints and the AWS stand-in. CoreDNS picks up a change within a second.
package dns
