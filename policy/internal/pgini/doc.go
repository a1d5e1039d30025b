// Package pgini reads pgbouncer.ini, and finds it in the objects that may hold it.
package pgini
