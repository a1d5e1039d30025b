// Package guard knows which resources of a tier hold what cannot be made again: the database, the keys and secrets
// without which it cannot be read or reached, the definitions whose deletion takes every team's objects along, and the
// pool that connections hang on. It tells which of them a run would take away, and what protects them from being
// destroyed.
package guard
