//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// machine is the inventory of the machine before the local cloud starts.
var machine map[string][]string

// TestMain stops a running local cloud and takes an inventory of the machine. The tests start the cloud again.
func TestMain(m *testing.M) {
	if os.Geteuid() != 0 {
		fmt.Fprintln(os.Stderr, "e2e: the local cloud needs root; run `make e2e` as root")
		os.Exit(1)
	}
	stop := exec.Command(filepath.Join(root, "bin", "dbtier"), "local", "stop")
	stop.Dir = root
	if out, err := stop.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "e2e: dbtier local stop: %v\n%s", err, out)
		os.Exit(1)
	}
	var err error
	if machine, err = inventory(); err != nil {
		fmt.Fprintf(os.Stderr, "e2e: %v\n", err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// inventory lists everything that a local cloud could leave on a machine.
func inventory() (map[string][]string, error) {
	found := map[string][]string{}
	for name, script := range map[string]string{
		"processes":          `for p in /proc/[0-9]*; do exe=$(readlink $p/exe) && echo "$exe"; done | sort -u`,
		"mounts":             `awk '{print $5}' /proc/self/mountinfo`,
		"cgroups":            `find /sys/fs/cgroup -type d`,
		"network namespaces": `readlink /proc/[0-9]*/ns/net | sort -u; ls /run/netns 2>/dev/null || true`,
		"interfaces":         `ls /sys/class/net`,
		"nftables":           `nft list ruleset 2>/dev/null || true`,
		"run folders":        `ls /run`,
		// A segment whose creator lives is in use by another program, such as the server of another test.
		"shared memory": `tail -n +2 /proc/sysvipc/shm | while read -r key id _ _ creator _; do
			[ -d "/proc/$creator" ] || echo "$key $id"; done; ls /dev/shm`,
	} {
		out, err := exec.Command("bash", "-c", script).Output()
		if err != nil {
			return nil, fmt.Errorf("listing %s: %w", name, err)
		}
		found[name] = strings.Split(strings.TrimSpace(string(out)), "\n")
	}
	return found, nil
}

func TestUpBringsTheWholeTierUpAndASecondUpChangesNothing(t *testing.T) {
	first := mustDbtier(t, "up", "--stack", "local")
	t.Logf("up: %s", first.took.Round(100*time.Millisecond))
	again := mustDbtier(t, "up", "--stack", "local")
	t.Logf("up again: %s", again.took.Round(100*time.Millisecond))
	assert.Contains(t, again.all(), "no changes")

	// The transformation of the operator's chart also applies to objects that its provider creates.
	for _, name := range []string{"external-secrets-webhook", "external-secrets-cert-controller"} {
		assert.Equal(t, "2", kubectl(t, "-n", "external-secrets", "get", "deployment", name, "-o",
			"jsonpath={.spec.template.spec.containers[0].readinessProbe.initialDelaySeconds}"), name)
	}
}

func TestVerifyIsGreenForPeopleAndForPrograms(t *testing.T) {
	people := mustDbtier(t, "verify", "--stack", "local")
	t.Logf("\n%s", people.stdout)
	programs := mustDbtier(t, "verify", "--stack", "local", "--json")
	assert.True(t, json.Valid([]byte(programs.stdout)), "%s", programs.stdout)
}

// The containers of every pod that the API server reports as running must have live processes on the machine.
func TestEveryPodThatIsShownReallyRuns(t *testing.T) {
	var pods struct {
		Items []struct {
			Metadata struct{ Name, Namespace, UID string }
			Status   struct {
				Phase             string
				ContainerStatuses []struct {
					Name, ContainerID string
					Ready             bool
					State             struct{ Running *struct{} }
				}
			}
		}
	}
	decode(t, kubectl(t, "get", "pods", "-A", "-o", "json"), &pods)
	require.NotEmpty(t, pods.Items)
	live := liveContainers(t)
	for _, pod := range pods.Items {
		if pod.Status.Phase == "Succeeded" {
			continue
		}
		require.Equal(t, "Running", pod.Status.Phase, "%s/%s", pod.Metadata.Namespace, pod.Metadata.Name)
		for _, c := range pod.Status.ContainerStatuses {
			id := strings.TrimPrefix(c.ContainerID, "containerd://")
			assert.NotNil(t, c.State.Running, "%s/%s %s", pod.Metadata.Namespace, pod.Metadata.Name, c.Name)
			assert.NotZero(t, live[id], "processes of container %s of pod %s/%s", c.Name, pod.Metadata.Namespace,
				pod.Metadata.Name)
		}
	}
}

// liveContainers counts the machine's processes by the container ID in their cgroup path.
func liveContainers(t *testing.T) map[string]int {
	t.Helper()
	count := map[string]int{}
	entries, err := os.ReadDir("/proc")
	require.NoError(t, err)
	for _, e := range entries {
		text, err := os.ReadFile("/proc/" + e.Name() + "/cgroup")
		if err != nil {
			continue
		}
		seen := map[string]bool{}
		for line := range strings.Lines(string(text)) {
			path := strings.TrimSpace(line)
			seen[path[strings.LastIndexAny(path, "/-")+1:]] = true
		}
		for id := range seen {
			count[strings.TrimSuffix(id, ".scope")]++
		}
	}
	return count
}
