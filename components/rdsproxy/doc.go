// Package rdsproxy puts RDS Proxy between a service and its database. It is the managed alternative to PgBouncer and
// has the same outputs for the service. The examples of [NewProxySecrets] and [NewRdsProxy] show how to create one.
//
// # Credentials
//
// The proxy logs in to the database with secrets of Secrets Manager, which its role reads. Its clients log in to it
// with the same usernames and passwords (SCRAM), or with IAM tokens. The password of the application's role is
// generated in the cluster. The operator pushes it into an existing empty secret, so it never passes through a program
// or a state. The role has two users that alternate, and the proxy knows both.
//
// The proxy logs in to the database with a password in both cases: end-to-end IAM authentication (default
// authentication scheme IAM_AUTH) is not in the types of pulumi-aws 6.
//
// # TLS
//
// The proxy accepts only TLS connections. Its certificate is from AWS Certificate Manager, so clients verify it with
// the roots of Amazon Trust Services (package amazontrust) and not with those of RDS.
//
// # What a service must avoid
//
// RDS Proxy shares server connections per transaction. When it sees session state, it pins the client to a server
// connection for the rest of the session: SET, temporary objects, LISTEN, session-level advisory locks, SQL-level
// PREPARE, and the extended query protocol with named statements. A pinned connection is no longer shared. The metric
// is DatabaseConnectionsCurrentlySessionPinned.
package rdsproxy
