package main

import (
	"bufio"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"dbtier/policy/registry"
)

// playPack makes the test binary run as the pack.
const playPack = "TEST_POLICY_PACK"

func TestMain(m *testing.M) {
	if os.Getenv(playPack) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// started starts a pack as the engine does, and returns its first line, which is the port.
func started(ctx context.Context, tb testing.TB, binary string, args ...string) string {
	tb.Helper()
	ctx, cancel := context.WithCancel(ctx)
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Env = append(os.Environ(), playPack+"=1")
	out, err := cmd.StdoutPipe()
	require.NoError(tb, err)
	require.NoError(tb, cmd.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	cancel()
	// It fails, because it is killed while it serves.
	_ = cmd.Wait()
	require.NoError(tb, err)
	return line
}

func TestThePackTellsTheEngineItsPort(t *testing.T) {
	t.Parallel()
	exe, err := os.Executable()
	require.NoError(t, err)
	assert.Regexp(t, `^\d+\n$`, started(t.Context(), t, exe, "127.0.0.1:1"))
	assert.Equal(t, registry.Name+" "+registry.Version+" (build development)\n", started(t.Context(), t, exe, "--version"))
	assert.Contains(t, started(t.Context(), t, exe, "--help"), "--policy-pack")
}

// BenchmarkReady measures the time from the start of the process to its port, with the binary that `make build` builds.
// The aim is 60 ms.
func BenchmarkReady(b *testing.B) {
	binary := filepath.Join(b.TempDir(), "policy-pack")
	out, err := exec.CommandContext(b.Context(), "go", "build", "-o", binary, "-ldflags", "-s -w", ".").CombinedOutput()
	require.NoError(b, err, string(out))
	for b.Loop() {
		started(b.Context(), b, binary, "127.0.0.1:1")
	}
	b.ReportMetric(float64(b.Elapsed().Milliseconds())/float64(b.N), "ms/start")
}
