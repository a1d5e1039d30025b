// Package externalsecrets brings secrets from AWS Secrets Manager into Kubernetes with the External Secrets Operator.
// No secret passes through the program: the program says where a value is and what to make of it, and the operator
// reads, renders and refreshes it.
//
//   - [ExternalSecretsOperator] is for a cluster: the operator's namespace, chart and CRDs. One stack of a cluster
//     installs it. The CRDs outlive it, because deleting a CRD deletes every object of its kind in every team's
//     namespace.
//   - [ExternalSecretsStack] is for a service: the ServiceAccount whose role reads only the service's secrets, the
//     store that uses it, which only the listed namespaces may use, and the ExternalSecrets.
//
// RDS owns the master user and its password. What needs the instance itself, such as a migration, uses the direct
// Secret. The service does not: it logs in to the pool with its own login, which the pool creates (package pgbouncer).
package externalsecrets
