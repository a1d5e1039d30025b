//go:build e2e

package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func podImages(t *testing.T) string {
	t.Helper()
	return kubectl(t, "-n", namespace, "get", "pods", "-l", "app.kubernetes.io/name="+service,
		"--field-selector=status.phase=Running",
		"-o", `jsonpath={range .items[*]}{.metadata.uid} {.spec.containers[0].image}{"\n"}{end}`)
}

// settled waits until no pod of the service is terminating.
func settled(t *testing.T) {
	t.Helper()
	eventually(t, 2*time.Minute, "exactly two pods of the service", func() (bool, string) {
		seen := podImages(t)
		return strings.Count(seen, "\n") == 2, seen
	})
}

func TestAFailedMigrationStopsTheDeploymentWhileTheOldPodsServe(t *testing.T) {
	settled(t)
	before := podImages(t)
	require.NotEmpty(t, before)
	t.Run("the version whose migration fails", func(t *testing.T) {
		// One attempt is enough: Kubernetes pauses between attempts, which proves nothing here.
		broken := withConfig(t, "myshop-api:1.4.2", "myshop-api:1.5.0-broken", "  dbtier:migration:\n",
			"  dbtier:migration:\n    backoffLimit: 0\n")
		for _, attempt := range []string{"first", "again, unchanged"} {
			r := broken.run(t, "bin/dbtier", "up", "--stack", "local")
			require.NotZero(t, r.code, "%s: %s", attempt, r)
			assert.Contains(t, r.all(), "migrat", "%s: the Job is named", attempt)
			assert.Contains(t, r.all(), "contains null values",
				"%s: the last lines of the migration's log are shown", attempt)
			assert.Equal(t, before, podImages(t), "%s: the old pods are still running", attempt)
			assert.Zero(t, inServicePod(t, `psql "$DATABASE_URL" -XAtc 'select 1'`).code, "%s: the old pods serve",
				attempt)
		}
	})
	mustDbtier(t, "up", "--stack", "local")
	mustDbtier(t, "verify", "--stack", "local")
}
