//go:build e2e

package e2e

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// underLoad runs something while service pods keep asking the database, over connections that last and over ones that are made anew for
// each transaction, and fails the test if any transaction failed.
func underLoad(t *testing.T, seconds int, during func()) {
	t.Helper()
	results := make(chan result, 2)
	started := time.Now()
	pod := servicePod(t)
	for _, reconnect := range []string{"", "--connect"} {
		load := fmt.Sprintf(`printf 'select count(*) from orders;\n' > /tmp/load%[1]s.sql
			pgbench --no-vacuum --client=10 --jobs=1 --time=%[2]d %[1]s --file=/tmp/load%[1]s.sql "$DATABASE_URL"`, reconnect, seconds)
		go func() {
			results <- tryKubectl(t, "", "-n", namespace, "exec", pod, "-c", service, "--", "bash", "-ec", load)
		}()
	}
	during()
	took := time.Since(started)
	for range 2 {
		r := <-results
		assert.Zero(t, r.code, "%s", r)
		assert.Contains(t, r.stdout, "number of failed transactions: 0 ", "%s", r)
	}
	assert.Less(t, took, time.Duration(seconds)*time.Second, "the load must last longer than what it is there for")
}

// directPassword is the master password in the Secret of the direct connections.
func directPassword(t *testing.T) string {
	t.Helper()
	dsn, err := url.Parse(secret(t, namespace, service+"-db-direct", "DATABASE_URL"))
	require.NoError(t, err, "the direct DSN is a URL")
	password, _ := dsn.User.Password()
	return password
}

func TestARotationOfTheMasterPasswordHealsByItselfAndLosesNoRequest(t *testing.T) {
	settled(t)
	master, before := masterCredentials(t)
	underLoad(t, 100, func() {
		r := aws(t, "secretsmanager", "rotate-secret", "--secret-id", output(t, "masterSecretArn"))
		require.Zero(t, r.code, "%s", r)
		eventually(t, 90*time.Second, "the direct Secret with the new password", func() (bool, string) {
			_, now := masterCredentials(t)
			return now != before && directPassword(t) == now, "the old password"
		})
	})
	r := withTheDirectDSN(t, "select current_user")
	require.Zero(t, r.code, "%s", r)
	assert.Equal(t, master, strings.TrimSpace(r.stdout), "%s", r)
	mustDbtier(t, "verify", "--stack", "local")
}

// withTheDirectDSN asks the database from a pod of the migration's own template.
func withTheDirectDSN(t *testing.T, sql string) result {
	t.Helper()
	var jobs struct {
		Items []struct {
			Spec struct {
				Template struct {
					Metadata struct{ Labels map[string]string }
					Spec     map[string]any
				}
			}
		}
	}
	decode(t, kubectl(t, "-n", namespace, "get", "jobs", "-l", "app.kubernetes.io/name="+service+"-migration", "-o", "json"), &jobs)
	require.Len(t, jobs.Items, 1, "the migration of this version, and no other")
	spec := jobs.Items[0].Spec.Template.Spec
	container := spec["containers"].([]any)[0].(map[string]any)
	container["command"] = []string{"psql", "-X", "-At", "-d", "$(DATABASE_URL)", "-c", sql}
	delete(container, "args")
	apply(t, encode(t, map[string]any{
		"apiVersion": "v1", "kind": "Pod", "spec": spec,
		"metadata": map[string]any{
			"name": "direct", "namespace": namespace, "labels": map[string]string{"app.kubernetes.io/name": service + "-migration"},
		},
	}))
	tryKubectl(t, "", "-n", namespace, "wait", "--for=jsonpath={.status.phase}=Succeeded", "--timeout=60s", "pod/direct")
	return tryKubectl(t, "", "-n", namespace, "logs", "direct")
}

func TestARotationOfTheApplicationsPasswordLosesNoRequest(t *testing.T) {
	settled(t)
	was := output(t, "databaseUser")
	next := withConfig(t, "config:\n", "config:\n  dbtier:role: {generation: 2}\n")
	underLoad(t, 120, func() {
		r := next.run(t, "bin/dbtier", "up", "--stack", "local")
		require.Zero(t, r.code, "%s", r)
		now := output(t, "databaseUser")
		assert.NotEqual(t, was, now, "the other of the two users")
		eventually(t, 90*time.Second, "the pool as "+now, func() (bool, string) {
			cloud := cloudState(t)
			return serverConnections(cloud, now) > 0, fmt.Sprintf("%d connections of %s, %d of %s", serverConnections(cloud, now), now, serverConnections(cloud, was), was)
		})
	})
	r := next.run(t, "bin/dbtier", "verify", "--stack", "local")
	require.Zero(t, r.code, "%s", r)
	mustDbtier(t, "up", "--stack", "local") // Back to the first generation, with a password of its own again.
	mustDbtier(t, "verify", "--stack", "local")
}
