// Package gittest makes Git repositories for tests.
package gittest

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Write writes files below a folder.
func Write(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	}
}

// Run runs git in a folder, as an author of its own.
func Run(t *testing.T, dir string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", append([]string{
		"-c", "user.name=t", "-c", "user.email=t@example.com",
	}, args...)...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "git %v: %s", args, out)
}

// LeaveRepository unsets the variables of a repository in which the tests may run, as those of a hook do.
func LeaveRepository(t *testing.T) {
	t.Helper()
	names, err := exec.CommandContext(t.Context(), "git", "rev-parse", "--local-env-vars").Output()
	require.NoError(t, err)
	for name := range strings.FieldsSeq(string(names)) {
		if value, set := os.LookupEnv(name); set {
			t.Setenv(name, value) // It is restored after the test.
			require.NoError(t, os.Unsetenv(name))
		}
	}
}
