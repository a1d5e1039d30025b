// Package dns keeps the hosts file from which the cluster's CoreDNS answers names that no Kubernetes Service has:
// database endpoints and the AWS stand-in. CoreDNS reads it again within a second of a change.
package dns
