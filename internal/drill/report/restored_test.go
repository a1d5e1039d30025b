package report_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"dbtier/internal/drill/report"
)

func TestARestoredDatabaseIsInTheTableAndOnThePage(t *testing.T) {
	t.Parallel()
	r := failover(t)
	assert.NotContains(t, table(r), "restored")
	assert.NotContains(t, render(t, r), "Restored database")
	r.Restored = &report.Restored{Rows: 1456, Newest: time.Now(), RTO: 7.25, RPO: 0.003, IDs: []int64{}}
	assert.Zero(t, r.Restored.Wrong())
	assert.Contains(t, table(r), "  ✓ restored: 1,456 writes, 0 missing, 0 too many, 0 torn, 0 duplicated; RTO\n    7.2s, RPO 3.0ms\n")
	values := read(t, render(t, r)).values
	assert.Equal(t, []string{"1456", "7.25", "0.003", "0"}, []string{
		values["restored.rows"], values["restored.rto"], values["restored.rpo"], values["restored.missing"],
	})

	r.Restored.Missing, r.Restored.Extra, r.Restored.Torn, r.Restored.Duplicated = 1, 2, 3, 4
	r.Restored.IDs = []int64{17, 18}
	assert.Equal(t, 10, r.Restored.Wrong())
	assert.Contains(t, table(r), "  ✗ restored: 1,456 writes, 1 missing, 2 too many, 3 torn, 4 duplicated;")
	assert.Contains(t, table(r), "    wrong: 17, 18\n")
	page := read(t, render(t, r))
	assert.Equal(t, []string{"1", "2", "3", "4"}, []string{
		page.values["restored.missing"], page.values["restored.extra"], page.values["restored.torn"],
		page.values["restored.duplicated"],
	})
}
