//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The test deletes rows and follows the steps of "Restore and cut-over" in docs/how-to/database.md. Clients read through
// the pool meanwhile. The stack keeps what production keeps.
func TestTheRunbookOfARestoreBringsBackWhatWasDeleted(t *testing.T) {
	settled(t)
	const kept = "deleteAutomatedBackups: false, finalSnapshot: true, logSkipDestroy: true"
	before := withConfig(t, "config:\n", "config:\n  dbtier:database: {"+kept+"}\n")
	r := before.run(t, "bin/dbtier", "up", "--stack", "local")
	require.Zero(t, r.code, "%s", r)
	source := output(t, "databaseIdentifier")
	direct := func(sql string) string {
		r := withTheDirectDSN(t, sql)
		require.Zero(t, r.code, "%s", r)
		return r.stdout
	}
	require.Contains(t, direct("create table precious as select n from generate_series(1, 1000) as n"), "SELECT 1000")
	moment := time.Now().Add(time.Second).UTC().Truncate(time.Second)
	eventually(t, time.Minute, "a later second", func() (bool, string) { return time.Now().After(moment), "" })
	require.Contains(t, direct("delete from precious where n > 10"), "DELETE 990")

	// 1. Find the source.
	backup := aws(t, "rds", "describe-db-instance-automated-backups", "--query",
		"DBInstanceAutomatedBackups[].[DBInstanceIdentifier,Status]", "--output", "text")
	require.Contains(t, backup.stdout, source+"\tactive", "%s", backup)
	// 3. Stop the writers.
	kubectl(t, "-n", namespace, "scale", "deployment/"+service, "--replicas=0")
	// Clients that only read are not stopped.
	readers := podLikeTheServices(t, "readers")
	inReaders := func(script string) result {
		return command{timeout: 15 * time.Minute}.run(t, filepath.Join(root, "bin", "dbtier"), "local", "kubectl", "--",
			"-n", namespace, "exec", readers, "-c", service, "--", "bash", "-ec", script)
	}
	var read result
	var wait sync.WaitGroup
	wait.Go(func() { read = inReaders(`/myshop-api soak --clients 50 & echo $! > /tmp/readers.pid; wait $!`) })
	stop := sync.OnceFunc(func() {
		inReaders("kill $(cat /tmp/readers.pid)")
		wait.Wait()
	})
	defer stop()
	eventually(t, time.Minute, "the readers", func() (bool, string) {
		n := poolClients(t)
		return n >= 50, strconv.Itoa(n)
	})
	// 4. to 6. The new name, the source, and the cut-over.
	restored := withConfig(t, "config:\n", fmt.Sprintf("config:\n  dbtier:database: {%s, identifier: %s-2, restore: "+
		"{pointInTime: {sourceDbInstanceIdentifier: %[2]s, restoreTime: %q}}}\n", kept, source,
		moment.Format(time.RFC3339)))
	r = restored.run(t, "bin/dbtier", "preview", "--stack", "local")
	assert.Zero(t, r.code, "%s", r)
	assert.Contains(t, r.stdout, "data would be lost")
	began := time.Now()
	r = restored.run(t, "bin/dbtier", "up", "--stack", "local", "--allow-data-loss", "database-instance")
	require.Zero(t, r.code, "%s", r)
	t.Logf("restored to %s and cut over in %s", moment.Format(time.TimeOnly), time.Since(began).Round(time.Second))
	// 7. The service's replicas.
	r = restored.run(t, "bin/dbtier", "up", "--stack", "local", "--refresh")
	require.Zero(t, r.code, "%s", r)
	verifies(t, restored)
	stop()
	var answers struct {
		Answered, Failed int
		LongestSeconds   float64
	}
	require.NoError(t, json.Unmarshal([]byte(read.stdout), &answers), "%s", read)
	assert.Greater(t, answers.Answered, 100*answers.Failed)
	assert.Less(t, answers.LongestSeconds, 90.0, "readers go on with the new instance")
	t.Logf("50 readers: %d answers, %d failures, %.1f s without an answer at most", answers.Answered, answers.Failed,
		answers.LongestSeconds)
	assert.Contains(t, direct("select count(*) from precious"), "1000", "the rows that were deleted")
	// 8. Remove restore: the instance stays. Only the name of its final snapshot follows.
	instance := func() string {
		return strings.TrimSpace(aws(t, "rds", "describe-db-instances", "--query", "DBInstances[].DbiResourceId",
			"--output", "text").stdout)
	}
	lives := instance()
	after := withConfig(t, "config:\n", fmt.Sprintf("config:\n  dbtier:database: {%s, identifier: %s-2}\n", kept, source))
	r = after.run(t, "bin/dbtier", "up", "--stack", "local")
	require.Zero(t, r.code, "%s", r)
	assert.Equal(t, lives, instance())

	// The old instance's logs, final snapshot, backups and key are still there. The next test needs the logs' names.
	logs := map[string]any{
		"type": "aws:cloudwatch/logGroup:LogGroup", "id": "/aws/rds/instance/" + source + "/postgresql",
		"region": "ap-northeast-2",
	}
	door(t, http.MethodGet, url.Values{
		"type": {logs["type"].(string)}, "id": {logs["id"].(string)}, "region": {"ap-northeast-2"},
	}, nil)
	door(t, http.MethodDelete, url.Values{}, logs)
	snapshots := aws(t, "rds", "describe-db-snapshots", "--db-instance-identifier", source, "--snapshot-type", "manual",
		"--query", "DBSnapshots[].[Status,KmsKeyId]", "--output", "text")
	assert.Contains(t, snapshots.stdout, "available", "%s", snapshots)
	retained := aws(t, "rds", "describe-db-instance-automated-backups", "--db-instance-identifier", source, "--query",
		"DBInstanceAutomatedBackups[].Status", "--output", "text")
	assert.Contains(t, retained.stdout, "retained", "%s", retained)
	if key := strings.Fields(snapshots.stdout); assert.Len(t, key, 2) {
		described := aws(t, "kms", "describe-key", "--key-id", key[1], "--query", "KeyMetadata.KeyState", "--output", "text")
		assert.Contains(t, described.stdout, "Enabled", "%s", described)
	}
	// Back to an instance of the first name, which begins empty.
	mustDbtier(t, "up", "--stack", "local", "--allow-data-loss", "database-instance", "--allow-data-loss",
		"database-log-postgresql")
	verifies(t, withConfig(t))
}
