package driver

import (
	"context"
	"time"

	"dbtier/internal/engine"
	"dbtier/internal/pending"
	"dbtier/internal/progress"
)

// settle takes out of a result what RDS changes in the maintenance window, and reports it.
func (t *task) settle(ctx context.Context, reader *engine.Reader, result *progress.Result) {
	since := map[string]time.Time{}
	if pending.Waits(result.Steps, time.Now()) {
		// Without the state, a change that has missed its window counts as waiting.
		if state, err := reader.State(ctx); err == nil {
			for _, r := range state.Resources {
				since[r.URN] = r.Modified
			}
		}
	}
	t.report.Pending = pending.Settle(result, since, time.Now())
}

// sayPending says what waits for the maintenance window.
func (t *task) sayPending() {
	for _, change := range t.report.Pending {
		t.say("  pending: %s", change)
	}
}
