// Package pgbouncer runs PgBouncer in the cluster, in front of one service's RDS database.
//
//	args := &pgbouncer.PgBouncerPoolArgs{
//		Settings:  pgbouncer.Defaults(),
//		Service:   "myshop-api", Namespace: "myshop",
//		Databases: []pgbouncer.Database{{Name: "myshop", Host: database.Host, Port: database.Port, DBName: "myshop"}},
//		Credential: pgbouncer.Credential{Key: role.CredentialSecret},
//		CABundle:   bundle,
//	}
//	pool, err := pgbouncer.NewPgBouncerPool(ctx, "pool", args)
//
// # Two credentials
//
// The service has a login of its own for the pool, which External Secrets' password generator makes once, inside the
// cluster. Only the pool knows the database's credential, and logs in with it on behalf of the service. So when that is
// rotated, the service's Secret, environment and open connections stay as they are: the operator writes the new user
// and password into the pool's Secret, the kubelet updates the mounted file, and a sidecar has PgBouncer read it.
// Nothing restarts. A server connection that is open finishes its transaction; only new ones need the new password.
//
// The credential is a Secret of the namespace (package databaserole makes one for a role of the application's own), or
// a secret of a store, such as RDS' own for the master user.
//
// No password passes through this program. It writes templates that the operator fills in the cluster; what Pulumi's
// state holds are the templates, and the names of the Secrets.
//
// # More databases and logins
//
// [PgBouncerPoolArgs].Logins are further logins, each a database user of its own, with a size, mode and clients of its
// own. PgBouncer's rules (hba.conf) let each into its own databases, and nobody else in: not the database users, and
// not another login into its lines. A further login knows a database as <database>_<login>, because a line of the
// configuration says who one is there. Each pair of login and database is a pool of server connections: count pairs.
//
// # What transaction pooling forbids
//
// In the default pool mode a server connection belongs to a client for one transaction. What outlives a transaction
// does not work: SET without LOCAL, advisory locks of the session, LISTEN, temporary tables, WITH HOLD cursors,
// SQL-level PREPARE. Prepared statements of the protocol work, see [Settings].MaxPreparedStatements. Services that need
// the others take pool mode session, and then as many server connections as they have clients.
//
// # Restarts
//
// A pod that has to go first sleeps until nobody routes new connections to it, then stops listening and waits for its
// clients (SIGTERM, since PgBouncer 1.23). It is killed after [Settings].TerminationGracePeriodSeconds, so clients
// should keep a connection for less than that: `pool_recycle`, `maxLifetime`, `SetConnMaxLifetime`.
//
// # The console
//
// In the pool's container psql leads to PgBouncer's console without a password, over a socket that only the pod sees:
//
//	kubectl exec deployment/pgbouncer -- psql --command='SHOW POOLS'
//
// [PgBouncerPoolArgs].Console lets one group of pods in from outside, with a password: what has the pool RECONNECT
// after a migration. [Metrics] add Prometheus' exporter to each pod, which may look and do nothing.
//
// # Cancel requests
//
// They are connections of their own, and with several replicas reach the one that knows the query by chance, unless
// [Settings].ClientAffinity keeps all connections of a pod together.
package pgbouncer
