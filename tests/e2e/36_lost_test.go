//go:build e2e

package e2e

import (
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// found is what drift and up said about a loss, and how long the repair took.
type found struct {
	drift, up answer
	took      time.Duration
}

// repair finds a loss by drift and repairs it by one up.
func repair(t *testing.T) found {
	t.Helper()
	drift := ask(t, "drift", "--stack", "local")
	assert.Equal(t, 2, drift.ExitCode, "drift finds the loss: %v", drift.Faults)
	started := time.Now()
	up := ask(t, "up", "--stack", "local")
	require.Zero(t, up.ExitCode, "%v", up.Faults)
	return found{drift: drift, up: up, took: time.Since(started)}
}

// lost are the Secrets whose passwords the command reported.
func (a answer) lost() []string {
	var names []string
	for _, l := range a.LostPasswords {
		names = append(names, l.Secret)
	}
	return names
}

// whole asserts that nothing is left to repair.
func whole(t *testing.T) {
	t.Helper()
	after := ask(t, "drift", "--stack", "local")
	assert.Zero(t, after.ExitCode, "%v %v", after.names(), after.lost())
	up := ask(t, "up", "--stack", "local")
	assert.Zero(t, up.ExitCode, "%v", up.Faults)
	assert.Empty(t, up.names(), "another up changes nothing")
	healthy(t)
}

// Each password is lost in another way. The pool reads copies, so it can open connections although nothing is repaired
// yet, and the repair loses no request. The clients are in a pod of their own, because the repair replaces the service's.
func TestPasswordsThatAreLostAreFoundAndReplacedAndNoRequestIsLost(t *testing.T) {
	settled(t)
	was := output(t, "databaseUser")
	credential, login := output(t, "databaseCredential"), output(t, "poolLogin")
	kept := secret(t, namespace, service+"-db", "DATABASE_URL")
	kinds := []struct{ kind, object string }{
		{"the Secret of the database user", "secret/" + credential},
		{"the ExternalSecret of a login", "externalsecret/" + login},
		{"the Secret of the pool's console", "secret/" + pool + "-console"},
		{"the Secret with the pool's files", "secret/" + output(t, "poolSecret")},
		{"the Secret with DATABASE_URL", "secret/" + service + "-db"},
		{"the Secret of direct connections", "secret/" + service + "-db-direct"},
		{"the generator of database users", "password/" + pool + "-database"},
		{"the generator of logins", "password/" + login},
	}
	for _, k := range kinds {
		kubectl(t, "-n", namespace, "delete", k.object)
	}
	eventually(t, time.Minute, "the Secrets that are made of others", func() (bool, string) {
		r := tryKubectl(t, "", "-n", namespace, "get", "secret", service+"-db", output(t, "poolSecret"),
			service+"-db-direct")
		return r.code == 0, r.all()
	})
	if kept != secret(t, namespace, service+"-db", "DATABASE_URL") { // An assertion would print the password.
		t.Error("the service's login has changed")
	}
	assert.Positive(t, killServerConnections(t, was))
	r := throughEachPoolPod(t, "select current_user")
	assert.Zero(t, r.code, "the pool logs in with the password that PostgreSQL has: %s", r)

	var mended found
	underLoadFrom(t, podLikeTheServices(t, "clients"), func() {
		mended = repair(t)
		poolIs(t, was)
	}).lossless(t)
	assert.Contains(t, mended.drift.lost(), credential)
	assert.Contains(t, mended.up.lost(), credential)
	for _, name := range []string{"pool-login", "pool-login-generator", "role-generator"} {
		assert.Contains(t, mended.drift.names(), name)
		assert.Contains(t, mended.up.names(), name)
	}
	for _, k := range kinds {
		t.Logf("%s: found by drift, repaired by up in %s", k.kind, mended.took.Round(time.Second))
	}
	assert.InDelta(t, 1, outputs(t)["recoveries"], 0)
	whole(t)
}

// An object of each kind that the state has in the service's namespace or in AWS is deleted, all before one drift and
// one up. Somebody also changes the password of the database user in PostgreSQL.
func TestALostObjectOfEachKindIsFoundAndCreatedAgain(t *testing.T) {
	settled(t)
	was, credential := output(t, "databaseUser"), output(t, "databaseCredential")
	changed := withTheDirectDSN(t, "alter role "+was+" password 'by-hand'")
	require.Contains(t, changed.stdout, "ALTER ROLE", "%s", changed)
	gone := map[string]string{}
	resources := stackState(t).Deployment.Resources
	// The state's order differs from run to run.
	slices.SortFunc(resources, func(a, b resource) int { return strings.Compare(a.URN, b.URN) })
	for _, r := range resources {
		inNamespace := strings.HasPrefix(r.ID, namespace+"/") || strings.HasSuffix(r.Type, ":ClusterSecretStore")
		if gone[r.Type] != "" || !r.Custom {
			continue
		}
		name := r.URN[strings.LastIndex(r.URN, "::")+2:]
		switch r.Type {
		case "aws:cloudwatch/logGroup:LogGroup", "aws:iam/rolePolicy:RolePolicy", "aws:kms/alias:Alias",
			"aws:iam/rolePolicyAttachment:RolePolicyAttachment":
			door(t, http.MethodDelete, url.Values{}, map[string]any{
				"type": r.Type, "id": r.ID, "region": "ap-northeast-2",
			})
			gone[r.Type] = name
		default:
			// The pool's Deployment stays: a pod of it finds the password that was changed. Objects of the database user's
			// credential stay too: the repair goes on to the other user, so they are replaced by those of another name.
			if !inNamespace || name == "pool-deployment" || strings.Contains(name, "credential") {
				continue
			}
			kind := r.Type[strings.LastIndex(r.Type, ":")+1:]
			of, object, isNamespaced := strings.Cut(r.ID, "/")
			if !isNamespaced {
				of, object = namespace, r.ID
			}
			kubectl(t, "-n", of, "delete", strings.ToLower(kind), object, "--wait=false")
			gone[r.Type] = name
		}
	}
	require.Greater(t, len(gone), 14, "%v", gone)

	mended := repair(t)
	for kind, name := range gone {
		t.Run(kind, func(t *testing.T) {
			assert.Contains(t, mended.drift.names(), name, "found by drift")
			assert.Contains(t, mended.up.names(), name, "repaired by up")
			t.Logf("%s: found by drift, repaired by up in %s", name, mended.took.Round(time.Second))
		})
	}
	t.Run("the password of the database user in PostgreSQL", func(t *testing.T) {
		assert.Contains(t, mended.up.lost(), credential)
		assert.NotEqual(t, was, output(t, "databaseUser"))
	})
	whole(t)
}

// The namespace is deleted with everything in it, while a pool elsewhere is still connected as the database user, as
// that of a cluster that was replaced. One up makes everything again.
func TestALostNamespaceIsMadeAgainWhileAnotherPoolIsConnected(t *testing.T) {
	settled(t)
	user := output(t, "databaseUser")
	credential := output(t, "databaseCredential")
	password := secret(t, namespace, credential, "password")
	image := strings.TrimSpace(kubectl(t, "-n", namespace, "get", "deployment", pool, "-o",
		"jsonpath={.spec.template.spec.containers[0].image}"))
	apply(t, encode(t, map[string]any{
		"apiVersion": "v1", "kind": "Pod", "metadata": map[string]any{"name": "old-pool", "namespace": "default"},
		"spec": map[string]any{
			"restartPolicy": "Never", "terminationGracePeriodSeconds": 0,
			"containers": []any{map[string]any{
				"name": "psql", "image": image, "command": []string{"psql", "-Xc", "select pg_sleep(600)"},
				"env": []any{
					map[string]any{"name": "PGHOST", "value": output(t, "databaseEndpoint")},
					map[string]any{"name": "PGDATABASE", "value": output(t, "databaseName")},
					map[string]any{"name": "PGUSER", "value": user},
					map[string]any{"name": "PGPASSWORD", "value": password},
					map[string]any{"name": "PGSSLMODE", "value": "require"},
				},
			}},
		},
	}))
	cloud := cloudState(t)
	before := serverConnections(cloud, user)
	eventually(t, time.Minute, "the session of the other pool", func() (bool, string) {
		r := tryKubectl(t, "", "get", "pod", "old-pool", "-o", "jsonpath={.status.phase}")
		return r.stdout == "Running" && serverConnections(cloud, user) > before, r.all()
	})
	kubectl(t, "delete", "namespace", namespace, "--timeout=150s")

	mended := repair(t)
	assert.Contains(t, mended.drift.names(), "namespace-namespace")
	assert.Contains(t, mended.drift.lost(), credential)
	assert.NotEqual(t, user, output(t, "databaseUser"), "the other of the two users")
	assert.Positive(t, serverConnections(cloud, user), "the other pool is still connected")
	t.Logf("the namespace: found by drift, made again by up in %s", mended.took.Round(time.Second))
	whole(t)
}

// The cluster is lost with everything in it, and a new one has its address. The database lives. One up makes everything
// again, for the other of the two users: pods of the old cluster could still be connected.
func TestALostClusterIsMadeAgainOnTheLivingDatabase(t *testing.T) {
	settled(t)
	user := output(t, "databaseUser")
	kept := withTheDirectDSN(t, "create table kept as select 42 as answer")
	require.Contains(t, kept.stdout, "SELECT 1", "%s", kept)
	mustDbtier(t, "local", "stop")
	require.NoError(t, os.RemoveAll(filepath.Join(root, ".localcloud", "state", "etcd")))
	mustDbtier(t, "local", "start")

	mended := repair(t)
	assert.Contains(t, mended.drift.names(), "operator-namespace")
	assert.Contains(t, mended.drift.names(), "namespace-namespace")
	assert.NotEmpty(t, mended.drift.lost())
	assert.NotContains(t, mended.up.names(), "database-instance")
	assert.NotEqual(t, user, output(t, "databaseUser"), "the other of the two users")
	t.Logf("the cluster: found by drift, made again by up in %s", mended.took.Round(time.Second))
	whole(t)
	r := withTheDirectDSN(t, "select answer from kept")
	assert.Contains(t, r.stdout, "42", "%s", r)
}
