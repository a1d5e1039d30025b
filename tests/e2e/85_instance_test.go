//go:build e2e

package e2e

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Another instance begins without role and schema, or with those of its backup: what prepares the first one must run for it, too, and an
// update that ends between the two must not leave it undone. The old instance goes last and only when that was meant.
func TestAnotherInstanceIsPreparedAndServesLikeTheFirst(t *testing.T) {
	settled(t)
	first := output(t, "databaseIdentifier")
	const second = "myshop-local-second"
	moved := withConfig(t, "config:\n", "config:\n  dbtier:database: {identifier: "+second+"}\n")

	r := moved.run(t, "bin/dbtier", "up", "--stack", "local")
	require.Equal(t, 3, r.code, "%s", r)
	assert.Contains(t, r.stderr, "--allow-data-loss database-instance")
	assert.Equal(t, first, output(t, "databaseIdentifier"))

	r = moved.run(t, "bin/dbtier", "up", "--stack", "local", "--allow-data-loss", "database-instance")
	require.Zero(t, r.code, "%s", r)
	assert.Equal(t, second, output(t, "databaseIdentifier"))
	assert.Equal(t, second, strings.TrimSpace(aws(t, "rds", "describe-db-instances", "--query", "DBInstances[].DBInstanceIdentifier", "--output", "text").stdout))
	r = moved.run(t, "bin/dbtier", "verify", "--stack", "local")
	require.Zero(t, r.code, "%s", r)
	r = inServicePod(t, `psql "$DATABASE_URL" -XAtc 'select count(*) from orders'`)
	assert.Zero(t, r.code, "the schema, and the rights of the application's role: %s", r)
}
