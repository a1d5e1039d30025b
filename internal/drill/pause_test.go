package drill

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAPlannedRebootPausesThePoolAndEndsThePause(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*cluster, *account, func()){
		"it succeeds":                    nil,
		"it is interrupted while paused": func(_ *cluster, a *account, stop func()) { a.before["reboot-db-instance"] = stop },
		"the second pod is not paused": func(c *cluster, _ *account, _ func()) {
			c.fails["exec pod/two --container=pgbouncer --namespace=myshop -- sh -c "+pauseScript] = errors.New("ERROR:  pause failed")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c, a := newCluster(), newAWS()
				c.pods = []string{"one", "two"}
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				if change != nil {
					change(c, a, cancel)
				}
				_, err := restorer(c, a).Run(ctx, Find("planned-reboot"))
				if change == nil {
					require.NoError(t, err)
					assert.Len(t, c.everPaused, 2)
				} else {
					require.Error(t, err)
				}
				assert.True(t, c.everPaused["pod/one"])
				assert.Empty(t, c.paused)
				assert.Empty(t, c.objects)
			})
		})
	}
}
