package driver

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"dbtier/config"
	"dbtier/internal/progress"
	"dbtier/internal/statelock"
)

func TestAPlanFitsOnlyTheStateThatItWasMadeFrom(t *testing.T) {
	b := newBench(t)
	plan := filepath.Join(t.TempDir(), "plan")
	require.NoError(t, os.WriteFile(plan, []byte(`{"resourcePlans":{"urn":{"goal":{}}},"manifest":{}}`), 0o600))
	files := statelock.FileBackend{Dir: filepath.Join(b.dir, ".dbtier", "state"), Project: "dbtier", Stack: "prod"}
	require.NoError(t, os.MkdirAll(filepath.Dir(files.StateFile()), 0o700))
	state := func(id string) {
		text := `{"version":3,"checkpoint":{"latest":{"resources":[{"urn":"urn:a","type":"a","id":"` + id + `"}]}}}`
		require.NoError(t, os.WriteFile(files.StateFile(), []byte(text), 0o600))
	}
	state("1")
	require.Zero(t, b.run("preview", "--stack", "prod", "--plan", plan), b.stderr.String())
	text, err := os.ReadFile(plan)
	require.NoError(t, err)
	assert.Contains(t, string(text), madeFrom)
	assert.Contains(t, string(text), `"goal"`, "the engine's part stays")
	require.Zero(t, b.run("up", "--stack", "prod", "--yes", "--plan", plan), b.stderr.String())

	// Settings of the run that made the plan, and others.
	with := func(values ...string) []string {
		args := []string{"--stack", "prod", "--plan", plan}
		for _, value := range values {
			args = append(args, "--config", value)
		}
		return args
	}
	require.Zero(t, b.run(append([]string{"preview"}, with("pool.replicas=5", "consumer.image=r/a:1")...)...),
		b.stderr.String())
	b.says(exitFailed, "was made with other settings, and nothing was changed now: dbtier:consumer.image, "+
		"dbtier:consumer.replicas, dbtier:pool.replicas: give `up` the same --config",
		append([]string{"up", "--yes"}, with("consumer.image=r/a:2", "consumer.replicas=3")...)...)
	require.Zero(t, b.run(append([]string{"up", "--yes"}, with("consumer.image=r/a:1", "pool.replicas=5")...)...),
		b.stderr.String())

	state("2")
	commands, _ := b.engineRuns()
	b.says(exitFailed, "does not fit any more", "up", "--stack", "prod", "--yes", "--plan", plan)
	after, _ := b.engineRuns()
	assert.NotContains(t, after[len(commands):], "up", "nothing was changed")

	require.NoError(t, os.WriteFile(plan, []byte(`{"resourcePlans":{}}`), 0o600))
	require.Zero(t, b.run("up", "--stack", "prod", "--yes", "--plan", plan), "a plan of plain pulumi has no mark")
	b.says(exitTrouble, "no such file", "up", "--stack", "prod", "--yes", "--plan", filepath.Join(t.TempDir(), "none"))
}

func TestTheOldNumberOfConnectionsIsShownBesideTheNew(t *testing.T) {
	outputs := func(planned float64) map[string]any {
		return map[string]any{config.OutputConnectionsPlanned: planned, config.OutputConnectionsLimit: 327.0}
	}
	a := &app{}
	for want, before := range map[string]map[string]any{
		"connections to the database: at most 54 (was 94) of the allowed 327": outputs(94),
		"connections to the database: at most 54 of the allowed 327":          nil,
	} {
		r := a.newReport("preview", "prod")
		r.take(&progress.Result{Changes: map[apitype.OpType]int{}, Outputs: outputs(54), Before: before}, true)
		assert.Equal(t, want, r.Connections.String())
		assert.True(t, r.Connections.Changed)
	}
}
