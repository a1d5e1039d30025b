//go:build e2e && linux

package cluster_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"dbtier/localcloud/internal/cluster"
)

// traces is what a local cloud could leave on the host, by kind.
type traces map[string][]string

func look(t *testing.T, p cluster.Project) traces {
	t.Helper()
	found := traces{}
	processes, err := filepath.Glob("/proc/[0-9]*")
	require.NoError(t, err)
	for _, process := range processes {
		// Other local clouds can start and stop during the tests, so only traces with this cloud's name count.
		command, _ := os.ReadFile(filepath.Join(process, "cmdline"))
		mounts, _ := os.ReadFile(filepath.Join(process, "mountinfo"))
		if (bytes.Contains(command, []byte(p.Dir)) || bytes.Contains(mounts, []byte(p.RunDir()))) &&
			!bytes.HasPrefix(command, []byte("go\x00")) {
			found["processes"] = append(found["processes"],
				process+" "+strings.ReplaceAll(string(command), "\x00", " "))
		}
	}
	mounts, err := os.ReadFile("/proc/self/mounts")
	require.NoError(t, err)
	found["mounts"] = strings.Split(string(mounts), "\n")
	interfaces, err := net.Interfaces()
	require.NoError(t, err)
	for _, i := range interfaces {
		found["interfaces"] = append(found["interfaces"], i.Name)
	}
	rules, err := exec.CommandContext(t.Context(), "nft", "list", "ruleset").CombinedOutput()
	require.NoError(t, err, "%s", rules)
	found["nft rules"] = strings.Split(string(rules), "\n")
	require.NoError(t, filepath.WalkDir("/sys/fs/cgroup", func(path string, _ fs.DirEntry, err error) error {
		if err == nil && strings.Contains(path, p.CgroupRoot()) {
			found["cgroups"] = append(found["cgroups"], path)
		}
		return nil
	}))
	for _, dir := range []string{
		"/run/netns", "/run/containerd", "/var/lib/cni", "/var/lib/containerd", "/var/lib/kubelet", "/opt/containerd",
		p.RunDir(),
	} {
		entries, err := os.ReadDir(dir)
		if err == nil {
			found["folders"] = append(found["folders"], dir)
		}
		for _, e := range entries {
			found["folders"] = append(found["folders"], filepath.Join(dir, e.Name()))
		}
	}
	for _, name := range []string{
		"vm/overcommit_memory", "vm/panic_on_oom", "kernel/panic", "kernel/panic_on_oops", "kernel/keys/root_maxkeys",
		"net/ipv4/ip_forward",
	} {
		value, err := os.ReadFile("/proc/sys/" + name)
		require.NoError(t, err)
		found["kernel settings"] = append(found["kernel settings"], name+" "+strings.TrimSpace(string(value)))
	}
	return found
}

// assertSame polls, because the kernel removes a network namespace shortly after its last process has exited.
func assertSame(t *testing.T, p cluster.Project, before traces) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for {
		after := look(t, p)
		if time.Now().After(deadline) {
			assert.Equal(t, before, after)
			return
		}
		same := true
		for kind := range after {
			same = same && slices.Equal(before[kind], after[kind])
		}
		if same {
			return
		}
	}
}

// inNamespaces lists the processes of the cloud, which have its run directory in their mounts.
func inNamespaces(t *testing.T, p cluster.Project) []string {
	t.Helper()
	var found []string
	processes, err := filepath.Glob("/proc/[0-9]*")
	require.NoError(t, err)
	for _, process := range processes {
		if mounts, err := os.ReadFile(filepath.Join(process, "mountinfo")); err == nil &&
			bytes.Contains(mounts, []byte(p.RunDir())) {
			found = append(found, process)
		}
	}
	return found
}

func find(t *testing.T, p cluster.Project, program string) int {
	t.Helper()
	for _, process := range inNamespaces(t, p) {
		command, _ := os.ReadFile(filepath.Join(process, "cmdline"))
		if bytes.Contains(command, []byte("\x00"+program+"\x00")) {
			pid, err := strconv.Atoi(filepath.Base(process))
			require.NoError(t, err)
			return pid
		}
	}
	t.Fatalf("no process %s", program)
	return 0
}

// zombies lists children of the namespaces' PID 1 that have ended and were not reaped.
func zombies(t *testing.T, p cluster.Project) []string {
	t.Helper()
	text, err := os.ReadFile(p.State("cloud.json"))
	require.NoError(t, err)
	var file cluster.Cloud
	require.NoError(t, json.Unmarshal(text, &file))
	children, err := os.ReadFile(fmt.Sprintf("/proc/%[1]d/task/%[1]d/children", file.PID))
	require.NoError(t, err)
	var found []string
	for _, child := range strings.Fields(string(children)) {
		pid, err := strconv.Atoi(child)
		require.NoError(t, err)
		if _, zombie, err := cluster.ProcessStart(pid); err == nil && zombie {
			found = append(found, child)
		}
	}
	return found
}
