// Package pool holds the rules for PgBouncer: its configuration, wherever that lies, and the Deployment that runs it.
package pool
