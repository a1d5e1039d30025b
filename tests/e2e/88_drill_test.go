//go:build e2e

package e2e

import (
	"bufio"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"dbtier/internal/drill/report"
)

// drilled runs a drill that must keep every write.
func drilled(t *testing.T, name string, args ...string) *report.Report {
	t.Helper()
	var said struct {
		Drill  *report.Report
		Faults []string
	}
	r := dbtier(t, append([]string{"drill", name, "--stack", "local", "--steady", "3s", "--json"}, args...)...)
	require.Zero(t, r.code, "%s", r)
	decode(t, r.stdout, &said)
	require.NotNil(t, said.Drill)
	assert.Zero(t, said.Drill.Load.Ledger.Lost)
	assert.Zero(t, said.Drill.Load.Ledger.Duplicated)
	assert.Positive(t, said.Drill.Load.Ledger.Acknowledged)
	for _, g := range said.Drill.Load.Groups {
		t.Logf("%s: %s %s: %d answered, %d failed, at most %.1f s without an answer", name, g.Client, g.Kind, g.Answered,
			g.Failed, g.Longest)
		if g.Client == report.Retrying {
			assert.Zero(t, g.Failed, "requests of clients that retry")
		}
	}
	nothingOfADrill(t)
	return said.Drill
}

// nothingOfADrill asserts that no drill has left anything in the cluster and in the database.
func nothingOfADrill(t *testing.T) {
	t.Helper()
	assert.Empty(t, kubectl(t, "-n", namespace, "get", "pod,configmap", "-l", "app.kubernetes.io/name="+service+"-drill",
		"-o", "name"))
	r := inServicePod(t, `psql "$DATABASE_URL" -XAtc "select (select count(*) from dbtier_drills.requests) +
		(select count(*) from dbtier_drills.effects)"`)
	assert.Equal(t, "0", strings.TrimSpace(r.stdout), "%s", r)
}

func TestDrillsAccountForEveryWrite(t *testing.T) {
	settled(t)
	for _, g := range drilled(t, "rotate-master").Load.Groups {
		assert.Zero(t, g.Failed, "%s %s: the pool does not log in as the master user", g.Client, g.Kind)
	}
	killed := drilled(t, "pool-kill", "--max-outage", "60s")
	require.Len(t, killed.Verdict, 2)
	assert.True(t, killed.Verdict[1].OK)
	restored(t, "restore-time")
	if !testing.Short() {
		restored(t, "restore-snapshot")
		for _, g := range drilled(t, "pool-kill", "--direct").Load.Groups {
			assert.Zero(t, g.Failed, "%s %s: it goes past the pool", g.Client, g.Kind)
		}
		drilled(t, "partition")
		drilled(t, "reboot")
		for _, g := range drilled(t, "api-server-down").Load.Groups {
			assert.Zero(t, g.Failed, "%s %s: what runs keeps running", g.Client, g.Kind)
		}
	}
	r := dbtier(t, "drill", "failover", "--stack", "local")
	assert.Equal(t, 1, r.code)
	assert.Contains(t, r.stderr, "the instance has no standby: set dbtier:database.multiAz to true")
}

// restored runs a drill that restores the database, under a name that nothing has afterwards.
func restored(t *testing.T, name string) {
	t.Helper()
	made := drilled(t, name).Restored
	require.NotNil(t, made)
	assert.Zero(t, made.Wrong(), "%+v", made)
	assert.Positive(t, made.Rows)
	t.Logf("%s: %d writes, RTO %.1f s, RPO %.3f s", name, made.Rows, made.RTO, made.RPO)
	nothingRestored(t)
}

// nothingRestored asserts that there is no instance and no snapshot of a drill.
func nothingRestored(t *testing.T) {
	t.Helper()
	instances := mustDbtier(t, "local", "aws", "rds", "describe-db-instances", "--query",
		"DBInstances[].DBInstanceIdentifier", "--output", "text").stdout
	assert.Contains(t, instances, "myshop-local")
	assert.NotContains(t, instances, "-drill-")
	assert.NotContains(t, mustDbtier(t, "local", "aws", "rds", "describe-db-snapshots", "--query",
		"DBSnapshots[].DBSnapshotIdentifier", "--output", "text").stdout, "-drill-")
}

// The process of a drill is killed while the operator is stopped. The next command starts the operator again.
func TestADrillThatWasKilledIsEndedByTheNextCommand(t *testing.T) {
	settled(t)
	cmd := exec.Command(filepath.Join(root, "bin", "dbtier"), "drill", "operator-down", "--stack", "local", "--steady", "1s")
	cmd.Dir = root
	require.NoError(t, cmd.Start())
	replicas := func() string {
		return kubectl(t, "-n", "external-secrets", "get", "deployments", "-o", "jsonpath={.items[*].spec.replicas}")
	}
	before := replicas()
	eventually(t, 2*time.Minute, "the operator to be stopped", func() (bool, string) {
		now := replicas()
		return strings.Trim(now, "0 ") == "", now
	})
	r := dbtier(t, "drill", "end", "--stack", "local")
	assert.Equal(t, 6, r.code, "it still runs: %s", r)
	require.NoError(t, cmd.Process.Signal(syscall.SIGKILL))
	require.Error(t, cmd.Wait())
	r = mustDbtier(t, "drill", "end", "--stack", "local")
	assert.Contains(t, r.stdout, "drill operator-down of ")
	assert.Equal(t, before, replicas())
	nothingOfADrill(t)
	kubectl(t, "-n", "external-secrets", "wait", "--for=condition=Available", "deployment", "--all", "--timeout=2m")
	mustDbtier(t, "verify", "--stack", "local")
}

// A drill is interrupted, or its process is killed, at moments in which the most is open. The next command ends it.
func TestADrillThatIsInterruptedAtAnyMomentLeavesNothing(t *testing.T) {
	settled(t)
	for _, c := range []struct {
		drill, says string
		by          syscall.Signal
	}{
		{"pool-kill", "starting the load", syscall.SIGKILL},
		{"partition", "the network between the cluster and the database does not answer", syscall.SIGKILL},
		{"secrets-manager-down", "Secrets Manager does not answer", syscall.SIGINT},
		{"api-server-down", "the API server does not answer", syscall.SIGKILL},
		{"operator-down", "the operator is stopped", syscall.SIGINT},
		{"restore-snapshot", "RDS makes snapshot", syscall.SIGKILL},
		{"restore-time", "RDS restores to it", syscall.SIGINT},
		{"rotate-master", "looking up every write", syscall.SIGKILL},
	} {
		if testing.Short() && c.drill != "restore-snapshot" {
			continue
		}
		t.Run(fmt.Sprintf("%s, %s", c.drill, c.by), func(t *testing.T) {
			cmd := exec.Command(filepath.Join(root, "bin", "dbtier"), "drill", c.drill, "--stack", "local", "--steady", "1s")
			cmd.Dir = root
			stdout, err := cmd.StdoutPipe()
			require.NoError(t, err)
			require.NoError(t, cmd.Start())
			lines := bufio.NewScanner(stdout)
			said := false
			for !said && lines.Scan() {
				said = strings.Contains(lines.Text(), c.says)
			}
			assert.True(t, said, c.says)
			require.NoError(t, cmd.Process.Signal(c.by))
			_, _ = io.Copy(io.Discard, stdout)
			require.Error(t, cmd.Wait())
			mustDbtier(t, "drill", "end", "--stack", "local")
			nothingOfADrill(t)
			nothingRestored(t)
			assert.NotContains(t, mustDbtier(t, "drill", "end", "--stack", "local").stdout, "ending", "nothing is left to end")
		})
	}
	kubectl(t, "-n", "external-secrets", "wait", "--for=condition=Available", "deployment", "--all", "--timeout=2m")
	mustDbtier(t, "verify", "--stack", "local")
}
