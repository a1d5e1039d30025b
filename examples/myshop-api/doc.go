// myshop-api is the example consumer of a dbtier stack: a small order service on PostgreSQL.
//
// It shows the four things that a service must do on the tier:
//
//   - read everything about the database from DATABASE_URL, and never print it;
//   - query the database for /healthz, so that a pod that cannot reach it gets no requests;
//   - retry a request when its database session ends, as long as the client waits (again.go);
//   - migrate in a separate process (`myshop-api migrate up`), over a direct connection, before new pods start.
//
// Usage:
//
//	myshop-api [serve]                        serve HTTP until SIGTERM
//	myshop-api migrate [--migrations DIR] up  bring the schema to the newest version
//	myshop-api whoami                         connect as serve does, and print the database user
//	myshop-api soak [--clients N] [--reconnect] [--write]
//	                                          list orders as serve does, with N clients (default 50), until
//	                                          SIGTERM, then print the results; with --write, place orders
//	                                          and look for the acknowledged ones in the end
//
// Environment:
//
//	DATABASE_URL              PostgreSQL URL; sslmode=verify-full and sslrootcert=<file> are supported
//	DATABASE_AUTH             password (default), or iam: log in at DATABASE_IAM_URL with tokens of the pod's IAM role
//	DATABASE_IAM_URL          PostgreSQL URL without a password, with sslmode=verify-full
//	LISTEN_ADDRESS            default :8080
//	DATABASE_MAX_CONNECTIONS  most connections of this process, default 10
//	DATABASE_CONNECTION_MAX_LIFETIME_SECONDS
//	                          how long a connection is kept, default 3600
//	MIGRATIONS_DIR            use the migrations in this folder instead of those in the binary
package main
