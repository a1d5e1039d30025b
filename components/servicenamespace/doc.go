// Package servicenamespace is the namespace of a service: pods in it meet the restricted Pod Security standard, and
// only those that are declared to hold connections reach the database.
//
// The database's security group lets in every pod of the cluster, because it sees nodes and not pods. The NetworkPolicy
// here narrows that: what is not a declared holder (the pool, migrations, named direct clients) may go everywhere but
// to the database's port. It does so only where the cluster enforces NetworkPolicies: on EKS, with the VPC CNI's
// network policy agent or another CNI.
package servicenamespace
