// Package migrationjob runs a service's schema migration, once for each version, before the pods of that version start.
// See the example of [NewMigrationJob].
//
// Resources that depend on the component wait until the Job completes. If it fails, they are not updated, so the old
// pods continue to serve. The Job connects to the instance directly and not through the pool: migration tools hold
// advisory locks and other session state over several transactions, which transaction pooling does not support.
//
// The name of the Job follows its content. An unchanged version creates no new Job; a new image or command does; a
// failed Job is tried again by the next update. If the completed Job is deleted, the next update creates it again,
// which changes no schema, because every migration tool records what it has applied. The Job has no time to live:
// Kubernetes would delete it, and the next refresh would run it again.
//
// # Reconnecting the pool
//
// The server connections of a pool keep prepared statements. After a migration, PostgreSQL rejects a statement whose
// result type has changed ("cached plan must not change result type"). With [MigrationJobArgs].Pool, a second Job
// follows the migration. It logs in to the console of each of the pool's pods and runs RECONNECT: the pool closes each
// server connection when its client releases it, and clients do not notice. The content of this Job includes the name
// of the migration's Job, so it runs once for each migration that succeeds. Done is then this second Job. Running it
// again only replaces connections.
package migrationjob
