//go:build e2e

package e2e

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A new instance starts without role and schema, or with those of its backup. The Jobs that prepared the first instance
// must run for it, too, and an update that ends between the two must not skip them. The old instance is deleted last,
// and only with permission.
func TestAnotherInstanceIsPreparedAndServesLikeTheFirst(t *testing.T) {
	settled(t)
	instances := func() string {
		return strings.TrimSpace(aws(t, "rds", "describe-db-instances", "--query", "DBInstances[].DbiResourceId",
			"--output", "text").stdout)
	}
	first := instances()
	// The role keeps its name. Only the instance's identity tells the role's Job and the migration's Job to run again.
	moved := withConfig(t, "config:\n",
		"config:\n  dbtier:database: {databaseName: another}\n  dbtier:role: {name: myshop_app}\n")

	r := moved.run(t, "bin/dbtier", "up", "--stack", "local")
	require.Equal(t, 3, r.code, "%s", r)
	assert.Contains(t, r.stderr, "--allow-data-loss database-instance")
	require.Equal(t, first, instances())

	r = moved.run(t, "bin/dbtier", "up", "--stack", "local", "--allow-data-loss", "database-instance")
	require.Zero(t, r.code, "%s", r)
	assert.NotEqual(t, first, instances())
	assert.Equal(t, "another", output(t, "databaseName"))
	// The pods of the pool have the database's new name once the kubelet has updated their file.
	verifies(t, moved)
	r = inServicePod(t, `psql "$DATABASE_URL" -XAtc 'select current_database(), count(*) from orders'`)
	assert.Zero(t, r.code, "the schema, and the rights of the application's role: %s", r)
	assert.Contains(t, r.stdout, "another|")

	// A snapshot is taken, then somebody writes, and somebody deletes the instance. An update that makes an empty one
	// needs permission. One that restores the snapshot has its data and needs none.
	kept := withTheDirectDSN(t, "create table kept as select 42 as answer")
	require.Contains(t, kept.stdout, "SELECT 1", "%s", kept)
	taken := aws(t, "rds", "create-db-snapshot", "--db-instance-identifier", output(t, "databaseIdentifier"),
		"--db-snapshot-identifier", "before-the-loss")
	require.Zero(t, taken.code, "%s", taken)
	waited := aws(t, "rds", "wait", "db-snapshot-available", "--db-snapshot-identifier", "before-the-loss")
	require.Zero(t, waited.code, "%s", waited)
	later := withTheDirectDSN(t, "update kept set answer = 43")
	require.Contains(t, later.stdout, "UPDATE 1", "%s", later)
	door(t, http.MethodDelete, url.Values{}, map[string]any{
		"type": "aws:rds/instance:Instance", "id": instances(), "region": "ap-northeast-2",
		"olds": map[string]any{"skipFinalSnapshot": true},
	})
	require.Empty(t, instances())
	r = moved.run(t, "bin/dbtier", "drift", "--stack", "local")
	assert.Equal(t, 2, r.code, "%s", r)
	assert.Contains(t, r.stdout, "- aws:rds:Instance database-instance is gone")
	const gone = "aws:rds:Instance database-instance is gone, and is created again, empty: the database"
	r = moved.run(t, "bin/dbtier", "preview", "--stack", "local")
	assert.Zero(t, r.code, "%s", r)
	assert.Contains(t, r.stdout, "! data would be lost: "+gone)
	r = moved.run(t, "bin/dbtier", "up", "--stack", "local")
	require.Equal(t, 3, r.code, "%s", r)
	assert.Contains(t, r.stderr, gone)
	assert.Contains(t, r.stderr, "set dbtier:database.restore")
	assert.Contains(t, r.stderr, "--allow-data-loss database-instance")
	require.Empty(t, instances())

	started := time.Now()
	restored := withConfig(t, "config:\n", "config:\n  dbtier:database: {databaseName: another, "+
		"restore: {snapshotIdentifier: before-the-loss}}\n  dbtier:role: {name: myshop_app}\n")
	r = restored.run(t, "bin/dbtier", "up", "--stack", "local")
	require.Zero(t, r.code, "%s", r)
	t.Logf("the instance: named by drift, refused by up, restored from a snapshot in %s",
		time.Since(started).Round(time.Second))
	verifies(t, restored)
	kept = withTheDirectDSN(t, "select answer from kept")
	assert.Contains(t, kept.stdout, "42", "the data of the snapshot, without what was written later: %s", kept)
	assert.NotContains(t, kept.stdout, "43")
	// The restore is no part of the config that stays.
	r = moved.run(t, "bin/dbtier", "preview", "--stack", "local")
	assert.Zero(t, r.code, "%s", r)
	assert.Contains(t, r.stdout, "no changes")
}
