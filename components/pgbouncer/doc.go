// Package pgbouncer runs PgBouncer in the cluster, in front of the RDS database of one service. The example of
// [NewPgBouncerPool] shows a pool.
//
// # Two credentials
//
// The service has its own login to the pool, which External Secrets' password generator creates once, in the cluster.
// Only the pool knows the database's credential and logs in with it for the service. When that credential is rotated,
// the service's Secret, environment and open connections stay as they are: the operator writes the new user and
// password into the pool's Secret, the kubelet updates the mounted file, and a sidecar makes PgBouncer reload it.
// Nothing restarts. An open server connection finishes its transaction; only new ones need the new password.
//
// The credential is a Secret of the namespace (package databaserole creates one for the application's role), or a
// secret of a store, such as RDS's secret of the master user.
//
// No password passes through this program. It writes templates that the operator fills in the cluster. Pulumi's state
// holds the templates and the names of the Secrets.
//
// # More databases and logins
//
// [PgBouncerPoolArgs].Logins are more logins, each with its own database user, size, mode and clients. PgBouncer's
// rules (hba.conf) let each login into its own databases and refuse the rest: a database user, or a login that uses the
// line of another. Such a login knows a database as <database>_<login>, because a line of the configuration sets the
// database user. Each pair of login and database has its own server connections, so a budget must count pairs.
//
// # What transaction pooling does not support
//
// In the default pool mode a server connection belongs to a client for one transaction. What outlives a transaction
// does not work: SET without LOCAL, session-level advisory locks, LISTEN, temporary tables, WITH HOLD cursors,
// SQL-level PREPARE. Protocol-level prepared statements work, see [Settings].MaxPreparedStatements. A service that
// needs the rest must use pool mode session, and then needs as many server connections as it has clients.
//
// # Restarts
//
// A terminating pod first sleeps until no node routes new connections to it. Then it stops listening and waits for its
// clients (SIGTERM, since PgBouncer 1.23). It is killed after [Settings].TerminationGracePeriodSeconds, so clients
// should not keep a connection for longer than that: `pool_recycle`, `maxLifetime`, `SetConnMaxLifetime`.
//
// # The console
//
// In the pool's container psql opens PgBouncer's console without a password, over a socket that only the pod can reach:
//
//	kubectl exec deployment/pgbouncer -- psql --command='SHOW POOLS'
//
// [PgBouncerPoolArgs].Console gives one group of pods access from outside, with a password: the Job that makes the pool
// RECONNECT after a migration. [Metrics] adds Prometheus's exporter to each pod, which may only read.
//
// # Cancel requests
//
// A cancel request is a separate connection. With several replicas it reaches the right one by chance, unless
// [Settings].ClientAffinity sends all connections of a client pod to one replica.
package pgbouncer
