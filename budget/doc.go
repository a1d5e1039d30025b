// Package budget adds up the connections that a tier can open to its database, and compares them with what the instance
// takes.
//
// PostgreSQL refuses connections above max_connections with "remaining connection slots are reserved", first of all
// during a rolling update, when old and new pods hold theirs at once. The arithmetic is known before anything is made,
// so it is done at preview.
package budget
