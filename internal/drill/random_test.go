package drill

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"dbtier/internal/drill/report"
)

func TestASeedGivesTheSameFaultsEveryTime(t *testing.T) {
	t.Parallel()
	target := &runner(newCluster()).Target
	once, again := Schedule(7, target), Schedule(7, target)
	assert.Equal(t, once, again)
	assert.NotEqual(t, Schedule(7, target), Schedule(8, target))
	seen := map[string]bool{}
	for seed := range uint64(200) {
		took := time.Duration(0)
		for _, step := range Schedule(seed, target) {
			require.NoError(t, Find(step.Drill).Check(target))
			seen[step.Drill] = true
			took += step.For + step.After
		}
		assert.GreaterOrEqual(t, took, scheduled)
	}
	assert.Len(t, seen, len(quick), "every quick fault is drawn")

	onAWS := &Target{Cloud: "aws", Pool: "pgbouncer"}
	for _, step := range Schedule(7, onAWS) {
		assert.Contains(t, []string{"rotate-master", "reboot", "pool-kill"}, step.Drill)
	}
}

func TestARandomDrillPlaysItsFaultsAndLeavesNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCluster()
		r := runner(c)
		steps := []Step{{"operator-down", 3 * time.Second, time.Second}, {"partition", 2 * time.Second, 0}}
		made, err := r.Run(t.Context(), Random(7, steps))
		require.NoError(t, err)
		require.Len(t, made.Events, 4)
		assert.Equal(t, 3*time.Second, made.Events[1].At.Sub(made.Events[0].At))
		assert.Equal(t, 2*time.Second, made.Events[3].At.Sub(made.Events[2].At))
		assert.Empty(t, c.objects)
	})
}

func TestAFailingScheduleIsShrunkToTheFaultsThatMatter(t *testing.T) {
	t.Parallel()
	steps := []Step{{Drill: "a"}, {Drill: "b"}, {Drill: "c"}, {Drill: "d"}}
	has := func(steps []Step, name string) bool {
		return slices.ContainsFunc(steps, func(s Step) bool { return s.Drill == name })
	}
	least, err := Shrink(steps, func(steps []Step) (bool, error) { return has(steps, "b") && has(steps, "d"), nil })
	require.NoError(t, err)
	assert.Equal(t, []Step{{Drill: "b"}, {Drill: "d"}}, least)
}

func TestADrillIsSoundIfNothingIsLostAndRetriesHelp(t *testing.T) {
	t.Parallel()
	made := &report.Report{Load: report.Load{Groups: []report.Group{
		{Client: report.Persistent, Failed: 3}, {Client: report.Retrying},
	}}}
	ok, _ := Sound(made)
	assert.True(t, ok)
	made.Load.Ledger.Lost, made.Load.Groups[1].Failed = 2, 1
	ok, why := Sound(made)
	assert.False(t, ok)
	assert.Equal(t, "2 acknowledged writes lost, 1 requests of retrying clients failed", why)
}
