// Package artifacts makes everything that the local cloud runs and that no package manager installs: the third-party
// binaries (each from a pinned go.mod of its own below localcloud/build), the root file system and the container
// images, the operator's chart in the form in which it is released, and a PostgreSQL to stand for RDS's.
//
// Each artefact lands in the project's .localcloud/cache under a key made of what went into it, so a second build does
// nothing and a changed input rebuilds just what depends on it. Nothing here is secret and nothing here has a life:
// the cache survives `localcloud stop --purge`.
package artifacts
