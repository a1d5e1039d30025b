package report_test

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"dbtier/internal/drill/report"
)

const (
	second = `{"second":{"at":"2026-12-01T09:00:01.000Z","groups":[{"client":"persistent","kind":"write",` +
		`"answered":20,"failed":0,"p50":0.0012,"p99":0.0040,"max":0.0100}]}}` + "\n"
	done = `{"done":{"run":"k3v","began":"2026-12-01T09:00:00.000Z","ended":"2026-12-01T09:01:00.000Z",` +
		`"server":"16.14","groups":[{"client":"persistent","kind":"write","clients":4,"rate":5,"answered":1200,` +
		`"failed":3,"retries":0,"p50":0.0012,"p99":0.0040,"max":3.2,"outages":[],"longest":3.2}],` +
		`"ledger":{"acknowledged":1200,"failed":2,"unknown":1,"unknownStored":1,"lostIds":[]},"errors":[]}}` + "\n"
)

// log is the output of the load of a report.
func log(tb testing.TB, r *report.Report) string {
	tb.Helper()
	var out strings.Builder
	encoder := json.NewEncoder(&out)
	for _, s := range r.Load.Seconds {
		require.NoError(tb, encoder.Encode(map[string]any{"second": s}))
	}
	last := r.Load
	last.Seconds = nil
	require.NoError(tb, encoder.Encode(map[string]any{"done": last}))
	return out.String()
}

func TestTheLinesOfALoadAreRead(t *testing.T) {
	t.Parallel()
	r := failover(t)
	lines := log(t, r)
	load, err := report.Decode(strings.NewReader(lines))
	require.NoError(t, err)
	assert.Equal(t, &r.Load, load)

	load, err = report.Decode(strings.NewReader(strings.TrimSuffix(lines, "\n")))
	require.NoError(t, err, "a whole last line needs no line break")
	assert.Equal(t, &r.Load, load)

	load, err = report.Decode(strings.NewReader("\r\n" + strings.ReplaceAll(second+done, "\n", "\r\n\n")))
	require.NoError(t, err, "empty lines are nothing")
	assert.Len(t, load.Seconds, 1)
}

// Wherever the beginning of a log is cut off, the rest is read.
func TestALogMayBeCutAtItsBeginning(t *testing.T) {
	t.Parallel()
	lines := second + second + done
	for from := range len(second) {
		load, err := report.Decode(strings.NewReader(lines[from:]))
		require.NoError(t, err, lines[from:])
		assert.GreaterOrEqual(t, len(load.Seconds), 1)
		assert.Equal(t, 1200, load.Ledger.Acknowledged)
	}
}

// Wherever the end of a log is cut off, that is an error.
func TestALogMustNotBeCutAtItsEnd(t *testing.T) {
	t.Parallel()
	lines := second + done
	for to := range len(lines) - 1 {
		load, err := report.Decode(strings.NewReader(lines[:to]))
		require.Error(t, err, lines[:to])
		if to >= len(second) {
			assert.Len(t, load.Seconds, 1, "what was read is returned")
		}
	}
}

func TestEachFaultOfALogHasItsError(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ lines, want string }{
		{second + `{"second":{"at":"2026`, `ends within line 2: the load was killed, or its log is cut: "{\"second\"`},
		{second, "ended after 1 second without an account of its writes"},
		{"", "ended after 0 seconds without an account"},
		{
			second + `{"problem":"no route to host"}` + "\n",
			"the load could not account for its writes: no route to host",
		},
		{"sh: /load: not found\n", `line 1 is not of the load: "sh: /load: not found"`},
		{second + "panic: nil\n" + done, `line 2 is not of the load: "panic: nil"`},
		{second + `{"level":"info"}` + "\n" + done, `line 2 is not of the load: "{\"level`},
		{`{"second":{"at":1}}` + "\n" + done, "line 1 is not of the load"},
		{`{"second":{}}` + "\n" + done, "line 1 is not of the load"},
		{`{"done":{}}` + "\n", "line 1 is not of the load"},
		{"null\n" + done, "line 1 is not of the load"},
		{second + `{"second":{"at":1}}` + "\n" + done, "line 2 is not of the load"},
		{done + second, "line 2 follows the last line of the load"},
		{done + done, "line 2 follows the last line of the load"},
		{second + strings.Repeat("x", 1000) + "\n", "x…\""},
	} {
		load, err := report.Decode(strings.NewReader(c.lines))
		require.ErrorContains(t, err, c.want)
		assert.Less(t, len(err.Error()), 250)
		assert.NotNil(t, load)
	}
	broken := errors.New("connection lost")
	load, err := report.Decode(io.MultiReader(strings.NewReader(second), iotest.ErrReader(broken)))
	require.ErrorIs(t, err, broken)
	assert.Len(t, load.Seconds, 1)
}

// Whatever a load prints, reading it ends, and a page can be made of what was read.
func FuzzDecode(f *testing.F) {
	f.Add(second + done)
	f.Add(second[9:] + second + done)
	f.Add(second + second[:40])
	f.Add(`{"problem":"x"}`)
	f.Add(`{"second":{"at":"0001-01-02T00:00:00Z","groups":[{"answered":-5,"p50":1e300,"p99":5e-324}]}}` + "\n" + second)
	f.Add(second + `{"second":{"at":"9999-01-02T00:00:00Z","groups":[{"kind":"read","answered":9223372036854775807}]}}`)
	f.Fuzz(func(t *testing.T, lines string) {
		load, err := report.Decode(strings.NewReader(lines))
		require.NotNil(t, load)
		if err == nil {
			assert.True(t, load.Accounted())
		}
		r := failover(t)
		r.Load = *load
		report.Table(io.Discard, r)
		require.NoError(t, report.HTML(io.Discard, r))
	})
}

// The sample that the load's own tests keep up to date.
func TestWhatTheLoadPrintsIsUnderstood(t *testing.T) {
	t.Parallel()
	text, err := os.Open("../../../images/load/testdata/output.jsonl")
	require.NoError(t, err)
	defer text.Close()
	load, err := report.Decode(text)
	require.NoError(t, err)
	assert.True(t, load.Accounted())
	assert.NotEmpty(t, load.Seconds)
	assert.Len(t, load.Groups, 6)
	for _, g := range load.Groups {
		assert.Contains(t, []string{report.Persistent, report.Reconnecting, report.Retrying}, g.Client)
		assert.Contains(t, []string{report.Write, report.Read}, g.Kind)
		assert.Positive(t, g.Answered)
	}
	assert.Positive(t, load.Ledger.Acknowledged)
}
