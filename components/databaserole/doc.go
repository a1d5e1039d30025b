// Package databaserole creates the database role of an application: the user that its pool logs in as. The role has the
// rights that serving needs and no others, and its password can be rotated without an interruption. See the example of
// [NewDatabaseRole].
//
// # Rights
//
// A group role that cannot log in has the rights: CONNECT and TEMPORARY on the database, USAGE on the schemas, SELECT,
// INSERT, UPDATE and DELETE on the tables, USAGE and SELECT on the sequences. They cover the objects that the master
// user owns and, by default privileges, those that its migrations create later in any schema. The role cannot create or
// alter objects. Rights that a migration revokes stay revoked. PUBLIC loses CONNECT on the database and on postgres and
// template1, and CREATE on the schema public: every other user, such as a monitoring agent, needs GRANT CONNECT by
// name.
//
// # Rotation
//
// Two users, <name>_a and <name>_b, are members of the group. Each generation has another password, which a generator
// creates once in the cluster. Odd generations belong to a, even generations to b. A new generation sets the password
// of the other user, tests the login, and only then gives the pool the new user. The last generation's user continues
// to work until the next rotation, so no login fails while a pool still uses it or while its server connections are
// closed. A rotation waits for a user that still has sessions, and fails after WaitSeconds: they belong to a pool that
// has not applied the last generation yet.
//
// # The password
//
// The operator's generator writes the password into a Secret, which the Job's pod mounts as a file. psql computes the
// SCRAM verifier and sends only that. The password is therefore in no argument, no statement and no log of the server,
// and never in this program or its state.
package databaserole
