package pgbouncer

import _ "embed"

// LoginCheck is a script for the shell of the pool's container. It logs in to each database with the users, passwords
// and addresses of the pool's own files, and prints a line for each user: "accepted <user>", or "failed <user>:" and
// what psql said. It prints no password.
//
//go:embed logins.sh
var LoginCheck string
