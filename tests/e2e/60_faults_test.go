//go:build e2e

package e2e

import (
	"bufio"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// cloudState reads the local cloud's PID from its state folder.
func cloudState(t *testing.T) (pid int) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, ".localcloud", "state", "cloud.json"))
	require.NoError(t, err)
	var s struct{ PID int }
	require.NoError(t, json.Unmarshal(text, &s))
	require.Positive(t, s.PID)
	return s.PID
}

// healthy asserts what must hold after any fault and another `up`: all checks pass, no operation is pending, and every
// resource exists once.
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
	locks, err := filepath.Glob(filepath.Join(root, ".localcloud", "state", "pulumi", ".pulumi", "locks",
		"organization", "dbtier", "local", "*"))
	require.NoError(t, err)
	assert.Empty(t, locks, "a lock is left")
	instances := aws(t, "rds", "describe-db-instances", "--query", "length(DBInstances)")
	assert.Equal(t, "1", strings.TrimSpace(instances.stdout), "DB instances: %s", instances)
}

type checkpoint struct {
	Deployment struct {
		PendingOperations []any `json:"pending_operations"`
		Resources         []resource
	}
}

type resource struct {
	URN, Type, ID  string
	Custom, Delete bool
}

// stackState exports the state with the plain pulumi CLI, in the environment from `dbtier local env`.
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

// The driver is killed at five moments of an update that creates everything, after a growing number of resources. Each
// run starts with what the killed one left behind.
func TestTheNextUpRecoversFromKillsOfUpAtSeveralMoments(t *testing.T) {
	mustDbtier(t, "destroy", "--stack", "local", "--yes")
	moments := []int{1, 8, 15, 15, 15}
	if testing.Short() {
		moments = moments[1:4]
	}
	for _, created := range moments {
		up := exec.Command(filepath.Join(root, "bin", "dbtier"), "up", "--stack", "local")
		up.Dir = root
		up.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		stdout, err := up.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, up.Start())
		seen := 0
		for lines := bufio.NewScanner(stdout); seen < created && lines.Scan(); {
			if strings.HasPrefix(lines.Text(), "  + ") {
				seen++
			}
		}
		require.NoError(t, up.Process.Signal(syscall.SIGKILL), "up ended after %d resources, before it was killed",
			seen)
		require.Error(t, up.Wait())
		assert.Equal(t, created, seen)
	}
	mustDbtier(t, "up", "--stack", "local")
	healthy(t)
}

// ofClouds matches the cgroups of a local cloud, and of containers wherever they are.
var ofClouds = regexp.MustCompile(`localcloud|kube|containerd|[0-9a-f]{64}`)

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
			// Other programs start and stop on the machine and make cgroups, and other tests run this checkout's
			// Pulumi CLI.
			switch name {
			case "processes":
				if !strings.HasPrefix(line, root+"/.localcloud/") && line != root+"/bin/localcloud" &&
					line != root+"/bin/dbtier" {
					continue
				}
			case "cgroups":
				if !ofClouds.MatchString(line) {
					continue
				}
			}
			assert.Contains(t, machine[name], line, "%s left behind", name)
		}
	}

	mustDbtier(t, "up", "--stack", "local")
	_, after := masterCredentials(t)
	if before != after { // An assertion would print the password.
		t.Error("the master password has changed")
	}
	r := inServicePod(t, `psql "$DATABASE_URL" -XAtc "select quantity from orders where item = 'keepsake'"`)
	assert.Contains(t, r.stdout, "42", "%s", r)
	healthy(t)
}
