package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"dbtier/internal/drill"
	"dbtier/internal/drill/report"
)

func TestARowHasTheMedianAndTheWorstOfTheRuns(t *testing.T) {
	t.Parallel()
	var made []*report.Report
	at := time.Date(2026, 12, 1, 9, 0, 0, 0, time.UTC)
	for i := range 3 {
		made = append(made, &report.Report{
			Events: []report.Event{{At: at, Kind: report.Fault}, {At: at.Add(time.Duration(i) * time.Second), Kind: report.Healed}},
			Load: report.Load{
				Groups: []report.Group{
					{Client: report.Persistent, Kind: report.Write, Longest: float64(i), Answered: 10, Failed: i},
					{Client: report.Persistent, Kind: report.Read, Longest: 0.5, Answered: 10},
				},
				Ledger: report.Ledger{Acknowledged: 10, Duplicated: 1},
			},
		})
	}
	assert.Equal(t, "| `failover` | 3 | 1.0 / 2.0 | 3 of 63 |  | 0 of 0 |  | 0 of 0 | 3 of 30 | 1 |\n",
		row(drill.Find("failover"), made))
}

func TestARowReplacesItsPredecessorAndLeavesTheOthers(t *testing.T) {
	t.Chdir(t.TempDir())
	require.NoError(t, os.MkdirAll(filepath.Dir(page), 0o755))
	text := "before\n<!-- make drills, table: begin -->\n| drill |\n|---|\n| `a` | 1 |\n<!-- make drills, table: end -->\nafter\n"
	require.NoError(t, os.WriteFile(page, []byte(text), 0o600))
	require.NoError(t, write("b", "| `b` | 1 |\n"))
	require.NoError(t, write("a", "| `a` | 2 |\n"))
	now, err := os.ReadFile(page)
	require.NoError(t, err)
	assert.Equal(t, strings.Replace(text, "| `a` | 1 |\n", "| `a` | 2 |\n| `b` | 1 |\n", 1), string(now))
}
