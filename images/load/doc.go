// load puts a steady load on a database while a fault is caused, and keeps a ledger of its writes. `dbtier drill` runs
// it as a pod and reads its standard output.
//
// Three kinds of client write and read at a fixed rate: with a lasting connection (persistent), with a new connection
// for each request (reconnecting), and with repetitions until a request succeeds (retrying). Each second, the program
// prints what the clients saw in a line of JSON. After SIGTERM, it lets the requests in flight finish, looks up every
// write, prints the account as its last line, and exits with 0. If it cannot prepare or look up the writes, its last
// line is {"problem": …} and it exits with 1. output.go has the types.
//
// Usage:
//
//	load run --run ID [--writers N] [--readers N] [--rate N] [--request-timeout D] [--retry-for D]
//	  [--max-lifetime D]
//	load stop
//
// Environment:
//
//	DATABASE_URL  PostgreSQL URL of a role with SELECT, INSERT, UPDATE and DELETE on the tables of dbtier_drills
//
// An answer takes 8 bytes until the end and a write 2 more, so that the percentiles and the account are exact: 120
// requests a second, the default, take 4 MB in an hour. The rate is limited to 2000 a second, the time by the caller.
package main
