package main

import (
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestPartsAreWhatTheCommandsSayTheyTook(t *testing.T) {
	out := `local cloud ready in 9.5s: Kubernetes at https://127.0.0.1:16443, AWS stand-in at http://127.0.0.1:14566
up of stack local
    … creating kubernetes:apps/v1:Deployment external-secrets, 3.0s
  + aws:rds:Instance                                     myshop-local                                   12.3s
stack local: 45 created, 31.5s
  ✓ SHOW POOLS on PgBouncer                 0.4s  myshop/myshop_api 2 clients on 2 servers
stack local: all 5 checks passed, 1.9s
`
	assert.Equal(t, []part{
		{"dbtier up of stack local", 31.5},
		{"aws:rds:Instance myshop-local", 12.3},
		{"local cloud", 9.5},
		{"dbtier verify of stack local", 1.9},
		{"SHOW POOLS on PgBouncer", 0.4},
	}, parts(out))
}

func TestTheReportGoesBetweenTheMarks(t *testing.T) {
	samples := []sample{{took: 3 * time.Second}, {took: time.Second}, {took: 2 * time.Second}}
	text := report(samples, samples)
	assert.Contains(t, text, "| from nothing | 2.0 s | 1.0 s | 3.0 s |")
	begin, end := marks("up")
	written, err := replace("# Title\n"+begin+"old"+end+"\nrest\n", text, "up")
	require.NoError(t, err)
	assert.Contains(t, written, "# Title\n"+begin+"\n\nMeasured ")
	assert.Contains(t, written, "\n"+end+"\nrest\n")
	_, err = replace("no marks", text, "up")
	require.ErrorContains(t, err, "lacks the marks")
}

func TestTheDriversReportComparesSeveralStacksToOneAfterAnother(t *testing.T) {
	seconds := func(n ...int) (all []time.Duration) {
		for _, s := range n {
			all = append(all, time.Duration(s)*time.Second)
		}
		return all
	}
	text := driverReport([]*measure{
		{name: "first", took: seconds(3, 1, 2)},
		{name: "one", took: seconds(40, 60, 50), memory: 300 << 20},
		{name: "many", took: seconds(25, 20, 30), memory: 800 << 20},
	})
	assert.Contains(t, text, "| first | 2.00 s | 1.00 s | 3.00 s | – |")
	assert.Contains(t, text, "| many | 25.00 s | 20.00 s | 30.00 s | 800 MiB |")
	assert.Contains(t, text,
		"20 stacks, 4 at a time, take 0.50 of the time of one after another, and 200 MiB for each stack in flight.")
}

func TestMemoryIsThatOfAProcessAndAllBelowIt(t *testing.T) {
	own := memoryOf(os.Getpid())
	assert.Greater(t, own, int64(1<<20))
	cmd := exec.CommandContext(t.Context(), "sleep", "600")
	require.NoError(t, cmd.Start())
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	assert.Positive(t, memoryOf(cmd.Process.Pid))
}

func TestTheReportOfTheFirstBuildComparesItAndNamesWhatCosts(t *testing.T) {
	text := buildReport(
		built{took: 200 * time.Second, size: 110e6, spent: map[string]time.Duration{linker: 200 * time.Second}},
		built{
			took: 100 * time.Second, size: 80e6,
			spent: map[string]time.Duration{"a/one": 50 * time.Second, linker: 30 * time.Second},
		},
		built{
			took: 110 * time.Second, size: 88e6,
			spent: map[string]time.Duration{
				"a/one": 30 * time.Second, "a/two": 30 * time.Second,
				"fmt": 30 * time.Second, linker: 10 * time.Second,
			},
		},
		map[string]string{"a/one": "a", "a/two": "a", "fmt": "the standard library"})
	assert.Contains(t, text, "`go build` | 200 s | 200 s | 110 MB |")
	assert.Contains(t, text,
		"| 2: the same with the settings of `make` | 100 s, 0.50 times 1 | 80 s, 0.40 times 1 | 80 MB, 0.73 times 1 |")
	assert.Contains(t, text,
		"`make` | 110 s, 0.55 times 1, 1.10 times 2 | 100 s, 0.50 times 1, 1.25 times 2 | 88 MB, 0.80 times 1, 1.10 times 2 |")
	assert.Contains(t, text, "| a | 60.0 s | 60 % |")
	assert.Contains(t, text, "| the linker | 10.0 s | 10 % |")
}
