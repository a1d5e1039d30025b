// Package databaserole makes the database role of an application: what its pool logs in as, with the rights that
// serving needs and no more, and with a password that can be rotated while everything runs.
//
//	role, err := databaserole.NewDatabaseRole(ctx, "role", &databaserole.DatabaseRoleArgs{
//		Settings: databaserole.Settings{Name: "myshop_app", Generation: 1, Image: "edoburu/pgbouncer:v1.25.2-p0"},
//		Service:  "myshop-api", Namespace: "myshop", ObjectName: "pgbouncer",
//		DirectSecret: secrets.DirectSecret, CAConfigMap: secrets.CAConfigMap,
//	})
//	// role.CredentialSecret: a Secret with username and password, for pgbouncer.PgBouncerPoolArgs.
//
// # Rights
//
// A group role that cannot log in has the rights: CONNECT and TEMPORARY on the database, USAGE of the schemas, SELECT,
// INSERT, UPDATE and DELETE on the tables, USAGE and SELECT on the sequences; those of the master user's objects that
// are there, and by default privileges those of what the master user's migrations make later, in whatever schema. It
// makes no objects and changes none. What a migration revokes stays revoked. PUBLIC loses CONNECT to the database and
// to postgres and template1, and CREATE in the schema public: whoever else logs in (a monitoring agent, a person) needs
// GRANT CONNECT by name.
//
// # Rotation
//
// Two users, <name>_a and <name>_b, are members of the group. Each generation has a password of its own, which a
// generator makes once in the cluster; odd generations belong to a, even ones to b. With another generation a Job gives
// the other user its password, tries the login, and only then does the pool take it. The last generation's user goes on
// working until the next rotation: while some pool has not taken the new one, or its server connections are killed,
// nobody is refused. The Job leaves a user alone who still has sessions, since those belong to a pool that has not
// taken the last generation.
//
// # The password
//
// It goes from the operator's generator into a Secret, and from there into the Job's pod as a file. psql computes the
// SCRAM verifier and sends that: the password is in no argument, no statement and so in no log of the server, and never
// in the program or its state.
package databaserole
