// Package artifacts builds what the local cloud runs and no package manager installs: the third-party binaries (each
// from its pinned go.mod below localcloud/build), the root file system and the container images, the operator's chart
// as released, and the PostgreSQL that plays RDS's.
//
// Each artefact is stored in the project's .localcloud/cache under a key of its inputs. A second build does nothing,
// and a changed input rebuilds only what depends on it. The cache holds no secrets and no state, so it survives
// `localcloud stop --purge`.
package artifacts
