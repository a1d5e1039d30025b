//go:build e2e

package netpol_test

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The kernel also checks every ruleset of the other tests, in a separate network namespace.
func init() {
	kernelTakes = func(t *testing.T, ruleset string) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "unshare", "--net", "--map-root-user", "nft", "--check", "--file", "-")
		cmd.Stdin = strings.NewReader(ruleset)
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s\n%s", out, ruleset)
	}
}
