// Package externalsecrets brings secrets from AWS Secrets Manager into Kubernetes with the External Secrets Operator.
// No secret passes through the program: it says where a value is and what to make of it, and the operator fetches,
// renders and refreshes.
//
// A cluster has one operator; a service has its own everything else:
//
//   - [ExternalSecretsOperator] is the cluster's: namespace, chart, CRDs. One stack of a cluster installs it. Its CRDs outlive it, because
//     deleting a CRD deletes every object of its kind, in every team's namespace.
//   - [ExternalSecretsStack] is a service's: the ServiceAccount whose role reads the service's secrets and no others, the store that uses
//     it and that only named namespaces may use, and the ExternalSecrets.
//
// Master user and password are RDS's. Whoever needs the instance itself (migrations) finds the way in the direct
// Secret. The service does not: it logs in to the pool with a login of its own, which belongs to the pool (package
// pgbouncer).
package externalsecrets
