package report_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"dbtier/internal/drill/report"
)

//go:generate env UPDATE_GOLDEN=1 go test -vet=off -count=1 -run ^TestTable .

// failover is a drill with an outage of four seconds and a bound that is not met.
func failover(tb testing.TB) *report.Report {
	tb.Helper()
	text, err := os.ReadFile("testdata/failover.json")
	require.NoError(tb, err)
	var r report.Report
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	require.NoError(tb, decoder.Decode(&r))
	return &r
}

func table(r *report.Report) string {
	var out strings.Builder
	report.Table(&out, r)
	return out.String()
}

func TestAReportKeepsAllItsFields(t *testing.T) {
	t.Parallel()
	want, err := os.ReadFile("testdata/failover.json")
	require.NoError(t, err)
	got, err := json.Marshal(failover(t))
	require.NoError(t, err)
	// Times without trailing zeros are the same times.
	plain := func(text []byte) string {
		return strings.ReplaceAll(regexp.MustCompile(`(\.\d*?)0+Z`).ReplaceAllString(string(text), "${1}Z"), ".Z", "Z")
	}
	assert.JSONEq(t, plain(want), plain(got))
}

func TestFiguresAreThoseOfTheGroups(t *testing.T) {
	t.Parallel()
	r := failover(t)
	f := r.Figures()
	assert.Equal(t, []report.Client{
		{
			Name: "persistent", Write: 4.148, Read: 4.006, Failed: 9, Requests: 2246,
			P50: 0.0021, P99: 0.0084, Max: 0.6,
		},
		{
			Name: "reconnecting", Write: 4.287, Read: 4.147, Failed: 68, Requests: 2300,
			P50: 0.0093, P99: 0.0335, Max: 0.1597,
		},
		{
			Name: "retrying", Write: 4.195, Read: 4.155, Failed: 0, Requests: 2240, Retries: 58,
			P50: 0.0022, P99: 0.0198, Max: 4.225,
		},
	}, f.Clients)
	assert.Equal(t, report.Client{
		Write: 4.287, Read: 4.155, Failed: 77, Requests: 6786, Retries: 58, P50: 0.0093, P99: 0.0335, Max: 4.225,
	}, f.All)
	require.Len(t, f.Outages, 1, "the outages of the groups overlap")
	assert.InDelta(t, 16.518-12.187, f.Outages[0].Seconds(), 1e-9)
	assert.Equal(t, []string{
		"persistent write", "persistent read", "reconnecting write", "reconnecting read", "retrying write",
		"retrying read",
	}, f.Outages[0].Groups)
	assert.False(t, r.Passed())
}

func TestOutagesThatDoNotTouchAreSeparateWindows(t *testing.T) {
	t.Parallel()
	zero := time.Date(2026, 12, 1, 9, 0, 0, 0, time.UTC)
	outage := func(from, to int) report.Outage {
		at := func(s int) time.Time { return zero.Add(time.Duration(s) * time.Second) }
		return report.Outage{From: at(from), To: at(to), Seconds: float64(to - from)}
	}
	r := report.Report{Began: zero, Load: report.Load{Groups: []report.Group{
		{Client: "persistent", Kind: "write", Outages: []report.Outage{outage(10, 14), outage(30, 32)}},
		{Client: "retrying", Kind: "read", Outages: []report.Outage{outage(14, 15), outage(11, 12), outage(9, 9)}},
	}}}
	windows := r.Figures().Outages
	require.Len(t, windows, 2)
	assert.InDelta(t, 5, windows[0].Seconds(), 0)
	assert.Equal(t, []string{"persistent write", "retrying read"}, windows[0].Groups)
	assert.Equal(t, []string{"persistent write"}, windows[1].Groups)
}

func TestTheAccountIsOneLine(t *testing.T) {
	t.Parallel()
	for want, ledger := range map[string]report.Ledger{
		"3,600 writes acknowledged, 0 lost, 0 duplicated; 3 failed, 1 unknown of which 1 is stored": {
			Acknowledged: 3600, Failed: 3, Unknown: 1, UnknownStored: 1,
		},
		"1 write acknowledged, 1 lost, 2 duplicated; 0 failed, 0 unknown": {
			Acknowledged: 1, Lost: 1, Duplicated: 2,
		},
		"0 writes acknowledged, 0 lost, 0 duplicated; 0 failed, 2 unknown of which none is stored": {
			Unknown: 2, UnknownAbsent: 2,
		},
		"0 writes acknowledged, 0 lost, 0 duplicated; 0 failed, 1,234 unknown of which 1,000 are stored": {
			Unknown: 1234, UnknownStored: 1000, UnknownAbsent: 234,
		},
	} {
		r := report.Report{Load: report.Load{Ended: time.Now(), Ledger: ledger}}
		assert.Equal(t, want, r.Figures().Account)
	}
	assert.Contains(t, (&report.Report{}).Figures().Account, "no account")
}

func TestTableIsTheReviewedOneAndFitsATerminal(t *testing.T) {
	t.Parallel()
	got := table(failover(t))
	for line := range strings.Lines(got) {
		assert.LessOrEqual(t, utf8.RuneCountInString(strings.TrimSuffix(line, "\n")), 80, line)
	}
	if os.Getenv("UPDATE_GOLDEN") != "" {
		require.NoError(t, os.WriteFile("testdata/failover.txt", []byte(got), 0o600))
	}
	want, err := os.ReadFile("testdata/failover.txt")
	require.NoError(t, err)
	assert.Equal(t, string(want), got, "if the change is intended, run `make generate`")
}

func TestTableNamesWhatWasLost(t *testing.T) {
	t.Parallel()
	r := failover(t)
	seed := uint64(7)
	r.Seed = &seed
	r.Load.Ledger.Lost, r.Load.Ledger.LostIDs = 1022, []int64{17, 18}
	r.Load.Ledger.Duplicated, r.Load.Ledger.DuplicatedIDs = 1, []int64{90}
	r.Events[0].Text = "an \x1b[2Jerror\nof two lines"
	got := table(r)
	for _, want := range []string{
		", seed 7\n", "    lost: 17, 18 and 1,020 more\n", "    duplicated: 90\n", "  ✗ 3,352 writes", "an [2Jerror of two lines",
	} {
		assert.Contains(t, got, want)
	}
}

// unmeasured is a drill whose load gave no account.
func unmeasured(tb testing.TB) *report.Report {
	tb.Helper()
	r := failover(tb)
	r.Problem = "the load could not account for its writes: no route to host"
	r.Load = report.Load{Seconds: r.Load.Seconds}
	return r
}

func TestADrillWithAProblemClaimsNothingAboutWrites(t *testing.T) {
	t.Parallel()
	r := unmeasured(t)
	assert.False(t, r.Passed())
	assert.Contains(t, table(r), "error: the load could not account")
	assert.NotContains(t, table(r), "0 lost")
}

func ExampleTable() {
	zero := time.Date(2026, 12, 1, 9, 0, 0, 0, time.UTC)
	report.Table(os.Stdout, &report.Report{
		Drill: "failover", Stack: "prod", Cloud: "aws", Began: zero, Ended: zero.Add(time.Minute),
		Events:  []report.Event{{At: zero.Add(10 * time.Second), Text: "the database is rebooted", Kind: report.Fault}},
		Load:    report.Load{Ended: zero.Add(time.Minute), Ledger: report.Ledger{Acknowledged: 3600}},
		Verdict: []report.Bound{{Name: "max-lost", Want: "0", Got: "0", OK: true}},
	})
	fmt.Println("passed")
	// Output:
	// drill failover of stack prod (aws), 60.0s
	//
	//   !   10.0s  the database is rebooted
	//
	//   ✓ 3,600 writes acknowledged, 0 lost, 0 duplicated; 0 failed, 0 unknown
	//   ✓ max-lost  ok: got 0, want 0
	// passed
}
