//go:build e2e

package e2e

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// inExample runs the driver in the example with two services in one cluster.
func inExample(t *testing.T, args ...string) result {
	t.Helper()
	r := command{timeout: 10 * time.Minute, dir: filepath.Join(root, "examples", "services")}.run(t,
		filepath.Join(root, "bin", "dbtier"), args...)
	require.Zero(t, r.code, "dbtier %s: %s", strings.Join(args, " "), r)
	return r
}

// queryOf queries the database from a pod of a service of the example.
func queryOf(t *testing.T, service, sql string) result {
	t.Helper()
	return tryKubectl(t, "", "-n", service, "exec", "deployment/"+service+"-api", "--", "bash", "-ec",
		`psql "$DATABASE_URL" -XAtc "`+sql+`"`)
}

// This is the example of several stacks in one cluster, started in an empty cluster. Neither service reaches what
// belongs to the other, and one continues to serve when the other is destroyed. The test removes the local cloud's
// state, because the stack local has an operator, too.
func TestTwoServicesOfAClusterAreApartAndOneOutlivesTheOther(t *testing.T) {
	mustDbtier(t, "local", "stop", "--purge")
	t.Cleanup(func() { mustDbtier(t, "local", "stop", "--purge") })
	for _, stack := range []string{"cluster", "orders", "billing"} {
		inExample(t, "up", "--stack", stack)
		inExample(t, "verify", "--stack", stack)
	}
	of := map[string]map[string]string{}
	for _, stack := range []string{"orders", "billing"} {
		of[stack] = map[string]string{}
		var all struct{ Outputs map[string]any }
		decode(t, inExample(t, "outputs", "--stack", stack, "--json").stdout, &all)
		for name, value := range all.Outputs {
			of[stack][name] = fmt.Sprint(value)
		}
	}

	t.Run("a service's token gets its own role and not the other's", func(t *testing.T) {
		tok := token(t, "orders", of["orders"]["secretsServiceAccount"], "sts.amazonaws.com")
		status, body := assumeRole(t, of["orders"]["secretsRoleArn"], tok)
		require.Equal(t, http.StatusOK, status, "its own role: %s", errorCode(body))
		status, body = assumeRole(t, of["billing"]["secretsRoleArn"], tok)
		assert.Equal(t, http.StatusForbidden, status, "the other's role: %s", errorCode(body))
	})
	t.Run("a service's store does not read the other's secret", func(t *testing.T) {
		apply(t, externalSecretManifest("orders", "curious", "ClusterSecretStore", of["orders"]["secretStore"],
			of["billing"]["masterSecretArn"]))
		denied(t, "orders", "curious", "AccessDenied")
	})
	t.Run("a namespace cannot use the other's store", func(t *testing.T) {
		apply(t, externalSecretManifest("orders", "borrowing", "ClusterSecretStore", of["billing"]["secretStore"],
			of["billing"]["masterSecretArn"]))
		denied(t, "orders", "borrowing", "not allowed")
	})
	t.Run("a service does not reach the other's pool", func(t *testing.T) {
		reach := "timeout 3 bash -c 'exec 3<>/dev/tcp/pgbouncer.%s.svc/5432' 2>&1 && echo reached || echo kept out"
		for namespace, want := range map[string]string{"orders": "reached", "billing": "kept out"} {
			r := tryKubectl(t, "", "-n", "orders", "exec", "deployment/orders-api", "--", "bash", "-c",
				fmt.Sprintf(reach, namespace))
			assert.Contains(t, r.stdout, want, "from orders to the pool of %s: %s", namespace, r)
		}
	})

	t.Run("a service logs in with tokens of its role, and nobody else takes the role", func(t *testing.T) {
		r := tryKubectl(t, "", "-n", "billing", "exec", "deployment/billing-api", "--", "env", "DATABASE_AUTH=iam",
			"/myshop-api", "whoami")
		assert.Equal(t, "billing_iam\n", r.stdout, "%s", r)
		login := of["billing"]["databaseRoleArn"]
		status, body := assumeRole(t, login, token(t, "billing", "billing-api", "sts.amazonaws.com"))
		assert.Equal(t, http.StatusOK, status, "the service itself: %s", errorCode(body))
		for _, other := range []struct{ namespace, account string }{
			{"orders", "orders-api"},
			{"billing", of["billing"]["secretsServiceAccount"]},
			{"billing", "default"},
		} {
			status, body := assumeRole(t, login, token(t, other.namespace, other.account, "sts.amazonaws.com"))
			assert.Equal(t, http.StatusForbidden, status, "%s/%s: %s", other.namespace, other.account, errorCode(body))
		}
		// A user with rds_iam has no password, and the server accepts none.
		r = tryKubectl(t, "", "-n", "billing", "exec", "deployment/billing-api", "--", "bash", "-c",
			`PGPASSWORD=guess psql "$DATABASE_IAM_URL" -XAtc 'select 1' 2>&1`)
		assert.NotZero(t, r.code, "%s", r)
		assert.Contains(t, r.stdout, "authentication failed")
	})

	t.Run("a stack with an operator of its own is told to use the cluster's", func(t *testing.T) {
		const setting = "set dbtier:operator.install: false in Pulumi.local.yaml"
		for command, code := range map[string]int{"preview": 0, "doctor": 1, "up": 3} {
			r := dbtier(t, command, "--stack", "local")
			assert.Equal(t, code, r.code, "%s", r)
			assert.Contains(t, r.all(), setting, command)
			assert.Contains(t, r.all(), "Namespace external-secrets (", command)
			assert.NotContains(t, r.all(), "kubectl delete", command)
		}
		assert.NotZero(t, tryKubectl(t, "", "get", "namespace", namespace).code, "nothing was changed")
	})

	t.Run("the operator stays while services need it", func(t *testing.T) {
		r := command{dir: filepath.Join(root, "examples", "services")}.run(t, filepath.Join(root, "bin", "dbtier"),
			"destroy", "--stack", "cluster")
		assert.Equal(t, 3, r.code, "%s", r)
		assert.Contains(t, r.stderr, "nothing was deleted")
		assert.Regexp(t, `could neither be refreshed nor deleted without it: \d+ in namespace billing, \d+ in namespace orders`,
			r.stderr)
	})

	r := queryOf(t, "billing", "insert into orders (item, quantity) values ('kept', 9)")
	require.Zero(t, r.code, "%s", r)
	inExample(t, "up", "--stack", "billing", "--config", "database.finalSnapshot=true")
	destroyed := inExample(t, "destroy", "--stack", "billing")
	assert.Contains(t, destroyed.all(), "final-billing-local", "what stays is named")
	assert.NotZero(t, tryKubectl(t, "", "get", "namespace", "billing").code, "the service's namespace no longer exists")
	assert.Contains(t, kubectl(t, "get", "crds", "-o", "name"), "externalsecrets.external-secrets.io",
		"the CRDs are shared by all teams and stay")
	r = queryOf(t, "orders", "select count(*) > 0 from orders")
	assert.Equal(t, "t\n", r.stdout, "the other service continues to serve: %s", r)
	inExample(t, "verify", "--stack", "orders")
	again := inExample(t, "up", "--stack", "orders")
	assert.Contains(t, again.all(), "no changes")
	t.Run("the final snapshot of a removed service is restored into another stack", restoreBilling)
	t.Run("a new stack adopts the database that a stack forgot", adoptOrders)
}

// restoreBilling begins a stack archive with the final snapshot of the stack billing, which no longer exists. The
// stack's file is in a copy of the example, which only this program sees.
func restoreBilling(t *testing.T) {
	example, other := filepath.Join(root, "examples", "services"), t.TempDir()
	require.NoError(t, os.CopyFS(other, os.DirFS(example)))
	text, err := os.ReadFile(filepath.Join(example, "Pulumi.billing.yaml"))
	require.NoError(t, err)
	snapshot := strings.TrimSpace(aws(t, "rds", "describe-db-snapshots", "--snapshot-type", "manual", "--query",
		"DBSnapshots[?DBInstanceIdentifier=='billing-local'].DBSnapshotIdentifier", "--output", "text").stdout)
	require.NotEmpty(t, snapshot)
	archive := strings.NewReplacer("name: billing\n", "name: archive\n", "name: billing-api\n", "name: archive-api\n",
		"config:\n", "config:\n  dbtier:database: {databaseName: billing, masterUsername: billing_admin, restore: "+
			"{snapshotIdentifier: "+snapshot+"}}\n").Replace(string(text))
	require.NoError(t, os.WriteFile(filepath.Join(other, "Pulumi.archive.yaml"), []byte(archive), 0o600))
	inCopy := wrapped{
		"unshare", "--mount", "sh", "-ec", `mount --bind "$1" "$2"; cd "$2"; shift 2; exec "$@"`, "sh", other, example,
		filepath.Join(root, "bin", "dbtier"),
	}
	for _, command := range []string{"up", "verify"} {
		r := inCopy.run(t, command, "--stack", "archive")
		require.Zero(t, r.code, "%s", r)
	}
	assert.Equal(t, "9\n", queryOf(t, "archive", "select quantity from orders where item = 'kept'").stdout)
	r := inCopy.run(t, "destroy", "--stack", "archive")
	require.Zero(t, r.code, "%s", r)
}

// adoptOrders follows docs/how-to/adopt.md with a database whose stack has lost its state and its namespace.
func adoptOrders(t *testing.T) {
	r := queryOf(t, "orders", "insert into orders (item, quantity) values ('adopted', 7)")
	require.Zero(t, r.code, "%s", r)
	var state checkpoint
	decode(t, inExample(t, "export", "--stack", "orders").stdout, &state)
	forget := command{dir: filepath.Join(root, "examples", "services")}.run(t, "bash", "-ec",
		`eval "$(../../bin/dbtier local env)"; ../../bin/pulumi stack rm orders --force --yes --preserve-config`)
	require.Zero(t, forget.code, "%s", forget)
	kubectl(t, "delete", "namespace", "orders", "--timeout=150s")
	kubectl(t, "delete", "clustersecretstore", "orders-local")

	adopted := 0
	for _, resource := range state.Deployment.Resources {
		if !strings.HasPrefix(resource.Type, "aws:") {
			continue
		}
		name, id := resource.URN[strings.LastIndex(resource.URN, "::")+2:], resource.ID
		if name == "database-instance" {
			id = "orders-local"
		}
		inExample(t, "import", "--stack", "orders", resource.Type, name, id)
		adopted++
	}
	require.Greater(t, adopted, 8)
	preview := inExample(t, "preview", "--stack", "orders", "--json")
	var planned struct {
		Changes   map[string]int
		Conflicts []any
	}
	decode(t, preview.stdout, &planned)
	assert.Zero(t, planned.Changes["update"]+planned.Changes["replace"]+planned.Changes["delete"], "%v", planned.Changes)
	assert.GreaterOrEqual(t, planned.Changes["same"], adopted)
	assert.Empty(t, planned.Conflicts)
	inExample(t, "up", "--stack", "orders")
	assert.Contains(t, inExample(t, "up", "--stack", "orders").all(), "no changes")
	assert.Equal(t, "7\n", queryOf(t, "orders", "select quantity from orders where item = 'adopted'").stdout)
	inExample(t, "verify", "--stack", "orders")
}
