// Package servicenamespace creates the namespace of a service. Its pods must meet the restricted Pod Security standard,
// and only pods that are declared to hold connections reach the database.
//
// The database's security group admits every pod of the cluster, because it sees nodes and not pods. The NetworkPolicy
// of this package narrows that: a pod that is not a declared holder (the pool, migrations, listed direct clients) can
// reach everything except the database's port. This works only where the cluster enforces NetworkPolicies: on EKS, with
// the VPC CNI's network policy agent or another CNI.
package servicenamespace
