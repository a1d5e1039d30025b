//go:build e2e

package e2e

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// cloudState is what the local cloud says of itself in its state folder.
func cloudState(t *testing.T) (pid int) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, ".localcloud", "state", "cloud.json"))
	require.NoError(t, err)
	var s struct{ PID int }
	require.NoError(t, json.Unmarshal(text, &s))
	require.Positive(t, s.PID)
	return s.PID
}

// healthy asserts what must hold after any fault and one more `up`: green checks, no pending operation, every resource once.
func healthy(t *testing.T) {
	t.Helper()
	mustDbtier(t, "verify", "--stack", "local")
	state := stackState(t)
	assert.Empty(t, state.Deployment.PendingOperations)
	seen := map[string]int{}
	for _, r := range state.Deployment.Resources {
		seen[r.URN]++
		assert.False(t, r.Delete, "%s is still marked for deletion", r.URN)
	}
	for urn, n := range seen {
		assert.Equal(t, 1, n, urn)
	}
	locks, err := filepath.Glob(filepath.Join(root, ".localcloud", "state", "pulumi", ".pulumi", "locks", "organization", "dbtier", "local", "*"))
	require.NoError(t, err)
	assert.Empty(t, locks, "a lock is left")
	instances := aws(t, "rds", "describe-db-instances", "--query", "length(DBInstances)")
	assert.Equal(t, "1", strings.TrimSpace(instances.stdout), "DB instances: %s", instances)
}

type checkpoint struct {
	Deployment struct {
		PendingOperations []any `json:"pending_operations"`
		Resources         []struct {
			URN    string
			Delete bool
		}
	}
}

// stackState exports the state with the plain pulumi CLI, in the environment that `dbtier local env` gives.
func stackState(t *testing.T) checkpoint {
	t.Helper()
	r := withConfig(t).run(t, "bash", "-ec", `eval "$(bin/dbtier local env)"; bin/pulumi stack export --stack local`)
	require.Zero(t, r.code, "%s", r)
	var c checkpoint
	decode(t, r.stdout, &c)
	return c
}

func TestTheNextUpRecoversFromAKillOfTheLocalCloud(t *testing.T) {
	require.NoError(t, syscall.Kill(cloudState(t), syscall.SIGKILL))
	mustDbtier(t, "up", "--stack", "local")
	healthy(t)
}

// The driver is killed at later and later moments of an update that makes everything anew. Each run begins with what the
// killed one before it left half made.
func TestTheNextUpRecoversFromKillsOfUpAtSeveralMoments(t *testing.T) {
	mustDbtier(t, "destroy", "--stack", "local", "--yes")
	for _, after := range []time.Duration{500 * time.Millisecond, 2 * time.Second, 4 * time.Second, 8 * time.Second, 14 * time.Second} {
		up := exec.Command(filepath.Join(root, "bin", "dbtier"), "up", "--stack", "local")
		up.Dir = root
		up.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		require.NoError(t, up.Start())
		timer := time.AfterFunc(after, func() { _ = up.Process.Signal(syscall.SIGKILL) })
		err := up.Wait()
		timer.Stop()
		require.Error(t, err, "up ended by itself before it could be killed after %s", after)
	}
	mustDbtier(t, "up", "--stack", "local")
	healthy(t)
}

func TestDownLeavesNothingBehindAndUpFindsItsStateAgain(t *testing.T) {
	_, before := masterCredentials(t)
	kept := inServicePod(t, `psql "$DATABASE_URL" -Xqc "insert into orders (item, quantity) values ('keepsake', 42)"`)
	require.Zero(t, kept.code, "%s", kept)
	pid := cloudState(t)
	mustDbtier(t, "local", "stop")
	assert.NoFileExists(t, "/proc/"+strconv.Itoa(pid))
	now, err := inventory()
	require.NoError(t, err)
	for name, lines := range now {
		for _, line := range lines {
			// Other programs of the machine come and go; a process of ours runs from this checkout.
			if name != "processes" || strings.HasPrefix(line, root+"/") && !strings.HasPrefix(line, root+"/bin/tools/") {
				assert.Contains(t, machine[name], line, "%s left behind", name)
			}
		}
	}

	mustDbtier(t, "up", "--stack", "local")
	_, after := masterCredentials(t)
	if before != after { // No assertion prints a password.
		t.Error("the master password is not the one it was")
	}
	r := inServicePod(t, `psql "$DATABASE_URL" -XAtc "select quantity from orders where item = 'keepsake'"`)
	assert.Contains(t, r.stdout, "42", "%s", r)
	healthy(t)
}
