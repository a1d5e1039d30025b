package cluster_test

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"dbtier/localcloud/internal/cluster"
)

func TestCgroupHierarchiesOfEveryKindOfHost(t *testing.T) {
	cases := map[string]struct{ mounts, want string }{
		"v2": {"cgroup2 /sys/fs/cgroup cgroup2 rw,nosuid 0 0\nproc /proc proc rw 0 0\n", "[{/sys/fs/cgroup true}]"},
		"v1 with a hybrid mount": {
			"tmpfs /sys/fs/cgroup tmpfs rw 0 0\ncgroup /sys/fs/cgroup/cpu cgroup rw,cpu 0 0\n" +
				"cgroup /sys/fs/cgroup/memory cgroup rw,memory 0 0\ncgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n",
			"[{/sys/fs/cgroup/cpu false} {/sys/fs/cgroup/memory false} {/sys/fs/cgroup/unified true}]",
		},
		"mounted twice": {
			"cgroup2 /sys/fs/cgroup cgroup2 rw 0 0\ncgroup2 /sys/fs/cgroup cgroup2 rw 0 0\n",
			"[{/sys/fs/cgroup true}]",
		},
		"none": {"proc /proc proc rw 0 0\n", "[]"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, c.want, fmt.Sprint(cluster.Hierarchies(c.mounts)))
		})
	}
}

func TestAnImageIsHeldWhenItsIDIs(t *testing.T) {
	held := cluster.HeldImages(`REF                            TYPE                                                 DIGEST        SIZE PLATFORMS   LABELS
localcloud.internal/pause:1    application/vnd.docker.distribution.manifest.v2+json sha256:aaa    1 MiB linux/amd64 managed
localcloud.internal/fresh:1    application/vnd.docker.distribution.manifest.v2+json sha256:ccc    1 MiB linux/amd64 -
sha256:1111                    application/vnd.docker.distribution.manifest.v2+json sha256:aaa    1 MiB linux/amd64 managed
`)
	assert.Equal(t, map[string]string{"localcloud.internal/pause:1": "sha256:1111", "localcloud.internal/fresh:1": ""},
		held)
}

func TestWhoListensOnAPort(t *testing.T) {
	const line = "   0: 0100007F:403B 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 51234 1 " +
		"0 100 0"
	inode, ok := cluster.Listening(line, 0x403B)
	assert.True(t, ok)
	assert.Equal(t, "51234", inode)
	_, ok = cluster.Listening(line, 80)
	assert.False(t, ok)
	_, ok = cluster.Listening(strings.Replace(line, " 0A ", " 01 ", 1), 0x403B)
	assert.False(t, ok, "an established connection is not a listener")

	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	port := listener.Addr().(*net.TCPAddr).Port
	assert.Contains(t, cluster.Holder(port), "(process "+strconv.Itoa(os.Getpid())+")")
}

func TestAProcessIsKnownByItsStart(t *testing.T) {
	start, zombie, err := cluster.ProcessStart(os.Getpid())
	require.NoError(t, err)
	assert.NotZero(t, start)
	assert.False(t, zombie)

	child := exec.CommandContext(t.Context(), "true")
	stdout, err := child.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, child.Start())
	_, err = io.ReadAll(stdout)
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		_, zombie, err := cluster.ProcessStart(child.Process.Pid)
		return err == nil && zombie
	}, 10e9, 1e6, "ended and not reaped yet")
	require.NoError(t, child.Wait())
	_, _, err = cluster.ProcessStart(child.Process.Pid)
	assert.Error(t, err)
}

func TestTheLastLinesOfALog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	var text strings.Builder
	for i := range 20000 {
		fmt.Fprintf(&text, "line %d\n", i)
	}
	require.NoError(t, os.WriteFile(path, []byte(text.String()), 0o600))
	lines, err := cluster.LastLines(path, 2)
	require.NoError(t, err)
	assert.Equal(t, []string{"line 19998", "line 19999"}, lines)

	require.NoError(t, os.WriteFile(path, []byte("only\n"), 0o600))
	lines, err = cluster.LastLines(path, 2)
	require.NoError(t, err)
	assert.Equal(t, []string{"only"}, lines)
}

func TestAConnectionIsPassedOnBothWaysUntilBothHaveEnded(t *testing.T) {
	inside, err := net.Listen("tcp4", "127.0.0.1:0")
	require.NoError(t, err)
	defer inside.Close()
	go func() {
		conn, err := inside.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		// The response comes after the request has ended.
		question, _ := io.ReadAll(conn)
		_, _ = conn.Write([]byte("re: " + string(question)))
	}()
	outside, err := net.Listen("tcp4", "127.0.0.1:0")
	require.NoError(t, err)
	defer outside.Close()
	go cluster.Forward(t.Context(), outside, inside.Addr().String())
	conn, err := net.Dial("tcp4", outside.Addr().String())
	require.NoError(t, err)
	defer conn.Close()
	_, err = conn.Write([]byte("question"))
	require.NoError(t, err)
	require.NoError(t, conn.(*net.TCPConn).CloseWrite())
	answer, err := io.ReadAll(conn)
	require.NoError(t, err)
	assert.Equal(t, "re: question", string(answer))
}
