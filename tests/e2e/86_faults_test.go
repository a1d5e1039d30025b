//go:build e2e

package e2e

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The runbooks of a full disk, of parameters with which PostgreSQL does not start, and of a failed rotation, each after
// the fault itself (docs/how-to/database.md).
func TestTheRunbooksOfAnInstanceThatFails(t *testing.T) {
	// The test before may have left another database.
	mustDbtier(t, "up", "--stack", "local", "--allow-data-loss", "database-instance")
	settled(t)
	identifier := output(t, "databaseIdentifier")
	ask := func(query string) string {
		return strings.TrimSpace(aws(t, "rds", "describe-db-instances", "--db-instance-identifier", identifier, "--query",
			"DBInstances[0]."+query, "--output", "text").stdout)
	}

	// Low storage: raise allocatedStorage.
	t.Cleanup(func() { dbtier(t, "local", "fault", "end") })
	mustDbtier(t, "local", "fault", "storage-full")
	assert.Equal(t, "storage-full", ask("DBInstanceStatus"))
	failing := dbtier(t, "verify", "--stack", "local")
	assert.Equal(t, 1, failing.code, "%s", failing)
	events := aws(t, "rds", "describe-events", "--source-type", "db-instance", "--source-identifier", identifier,
		"--event-categories", "low storage", "--query", "Events[].Message", "--output", "text")
	assert.Contains(t, events.stdout, "Allocated storage has been exhausted")
	size, err := strconv.Atoi(ask("AllocatedStorage"))
	require.NoError(t, err)
	grown := fmt.Sprintf("allocatedStorage: %d, applyImmediately: true", 2*size)
	larger := withConfig(t, "config:\n", "config:\n  dbtier:database: {"+grown+"}\n")
	r := larger.run(t, "bin/dbtier", "up", "--stack", "local")
	require.Zero(t, r.code, "%s", r)
	assert.Equal(t, "available", ask("DBInstanceStatus"))
	verifies(t, larger)

	// Incompatible parameters: change the parameter back and reboot.
	mustDbtier(t, "local", "fault", "incompatible-parameters", identifier)
	assert.Equal(t, "incompatible-parameters", ask("DBInstanceStatus"))
	reboot := func() {
		t.Helper()
		r := aws(t, "rds", "reboot-db-instance", "--db-instance-identifier", identifier)
		require.Zero(t, r.code, "%s", r)
	}
	reboot()
	assert.Equal(t, "incompatible-parameters", ask("DBInstanceStatus"), "a reboot alone does not help")
	changed := withConfig(t, "config:\n", "config:\n  dbtier:database: {"+grown+
		", parameters: {max_locks_per_transaction: {value: \"128\"}}}\n")
	r = changed.run(t, "bin/dbtier", "up", "--stack", "local", "--target", "database-parameter-group")
	require.Zero(t, r.code, "%s", r)
	reboot()
	assert.Equal(t, "available", ask("DBInstanceStatus"))
	verifies(t, changed)

	// Failed rotation: remove the cause and rotate.
	rotate := func() string {
		t.Helper()
		r := aws(t, "rds", "modify-db-instance", "--db-instance-identifier", identifier, "--rotate-master-user-password",
			"--apply-immediately")
		require.Zero(t, r.code, "%s", r)
		return ask("MasterUserSecret.SecretStatus")
	}
	mustDbtier(t, "local", "fault", "rotation")
	assert.Equal(t, "impaired", rotate())
	verifies(t, changed)
	mustDbtier(t, "local", "fault", "end")
	assert.Equal(t, "active", rotate())
	verifies(t, changed)

	// A disk never shrinks, and its size in the config may be smaller.
	mustDbtier(t, "up", "--stack", "local")
	assert.Equal(t, strconv.Itoa(2*size), ask("AllocatedStorage"))
	assert.Contains(t, mustDbtier(t, "preview", "--stack", "local").stdout, "no changes")
}
