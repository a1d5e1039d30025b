// Package migrationjob runs a service's schema migration, once a version, before the pods of that version start.
//
//	job, err := migrationjob.NewMigrationJob(ctx, "migration", &migrationjob.MigrationJobArgs{
//		Service: "myshop-api", Namespace: "myshop", Image: "registry.example/myshop-api:1.4.2",
//		Command: []string{"alembic", "upgrade", "head"},
//		ServiceAccount: account.Metadata.Name().Elem(), DirectSecret: pulumi.String("myshop-api-db-direct"),
//	})
//
// Whatever depends on the component waits until the Job has completed, and is not touched when it fails: the old pods
// go on serving. The Job speaks to the instance directly, past the pool, because migration tools hold advisory locks
// and other session state over several transactions, which transaction pooling forbids.
//
// Its name follows its content. An unchanged version makes no new Job, a new image or command makes one, and a failed
// one is tried again by the next update. Should the completed Job vanish, it is made again, and since every migration
// tool keeps a record of what it has applied, it then changes no schema. There is no time to live: a Job that
// Kubernetes removes by itself would run again after the next refresh.
//
// # The pool afterwards
//
// Server connections that a pool keeps have prepared statements, and PostgreSQL refuses those whose result has another
// type since the migration ("cached plan must not change result type"). With [MigrationJobArgs].Pool a second Job
// follows, which logs in to the console of each of the pool's pods and has it RECONNECT: the pool closes each server
// connection when its client gives it back, and no client notices. It has the migration's name in its own, so it runs
// once a migration, and not before that has succeeded; Done then is this Job. Made again, it changes nothing but
// connections.
package migrationjob
