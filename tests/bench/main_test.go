package main

import (
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
	written, err := replace("# Title\n"+begin+"old"+end+"\nrest\n", text)
	require.NoError(t, err)
	assert.Contains(t, written, "# Title\n"+begin+"\n\nMeasured ")
	assert.Contains(t, written, "\n"+end+"\nrest\n")
	_, err = replace("no marks", text)
	require.ErrorContains(t, err, "lacks the marks")
}
