// Package budget adds up the connections that a tier can open to its database, and compares them with the number that
// the instance accepts.
//
// PostgreSQL refuses connections above max_connections with "remaining connection slots are reserved". This happens
// first during a rolling update, when old and new pods hold connections at the same time. All numbers are known before
// anything is created, so the comparison is made at preview.
package budget
