// myshop-api is the example consumer of a dbtier stack: a small order service on PostgreSQL.
//
// It shows the four things a service has to do to live well on the tier:
//
//   - take everything about the database from DATABASE_URL, and never print it;
//   - answer /healthz from the database, so that a pod that cannot reach it gets no requests;
//   - ask again when the session that was asked ends, as long as its own client waits (again.go);
//   - migrate in a run of its own (`myshop-api migrate up`), over a direct connection, before new pods start.
//
// Usage:
//
//	myshop-api [serve]                        serve HTTP until SIGTERM
//	myshop-api migrate [--migrations DIR] up  bring the schema to the newest version
//	myshop-api whoami                         connect as serve does, and print the database user
//	myshop-api soak [--clients N] [--reconnect]
//	                                          list orders as serve does, by 50 or N clients, until SIGTERM; print what they got
//
// Environment:
//
//	DATABASE_URL              PostgreSQL URL; sslmode=verify-full and sslrootcert=<file> are honoured
//	DATABASE_AUTH             password (default), or iam: log in at DATABASE_IAM_URL with tokens of the pod's IAM role
//	DATABASE_IAM_URL          PostgreSQL URL without a password, with sslmode=verify-full
//	LISTEN_ADDRESS            default :8080
//	DATABASE_MAX_CONNECTIONS  most connections of this process, default 10
//	MIGRATIONS_DIR            migrations of this folder instead of those in the binary
package main
