package main

import (
	"bytes"
	"context"
	"encoding/json"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var defaults = options{
	run: "k3v9", writers: 4, readers: 4, rate: 5, attempt: 10 * time.Second, request: time.Minute,
}

// sample has the fields of the output that the tests look at.
type sample struct {
	Second *struct {
		At     time.Time
		Groups []struct{ Answered, Failed int }
	}
	Done *struct {
		Began, Ended time.Time
		Server       string
		Groups       []struct {
			Client, Kind                             string
			Clients, Rate, Answered, Failed, Retries int
			P50, P99, Max, Longest                   float64
			Outages                                  []struct{ Seconds float64 }
		}
		Ledger account
		Errors []struct{ Text string }
	}
	Problem string
}

func linesOf(t *testing.T, out *bytes.Buffer) (all []sample) {
	t.Helper()
	for text := range bytes.Lines(out.Bytes()) {
		var s sample
		require.NoError(t, json.Unmarshal(text, &s), "%s", text)
		all = append(all, s)
	}
	return all
}

func TestALoadIsSteadyAndAccountsForAllWrites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := &fakeDatabase{latency: 2 * time.Millisecond, opening: 3 * time.Millisecond}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second+time.Millisecond)
		defer cancel()
		var out bytes.Buffer
		require.NoError(t, run(ctx, defaults, db, &out))
		all := linesOf(t, &out)
		last := all[len(all)-1].Done
		require.NotNil(t, last)
		perSecond := 0
		for i, s := range all[:len(all)-1] {
			require.NotNil(t, s.Second, i)
			for _, g := range s.Second.Groups {
				perSecond += g.Answered
			}
		}
		total := 0
		var order []group
		for _, g := range last.Groups {
			order = append(order, group{g.Client, g.Kind})
			assert.InDelta(t, 200, g.Answered, 4, "4 clients with 5 requests a second")
			assert.Less(t, g.Longest, 0.06, "the clients take turns")
			assert.Empty(t, g.Outages)
			assert.Zero(t, g.Failed)
			want := 0.002
			if g.Client == reconnecting {
				want = 0.005
			}
			assert.InDelta(t, want, g.P50, 1e-9)
			total += g.Answered
		}
		assert.Equal(t, groups(), order)
		assert.Equal(t, total, perSecond)
		assert.Equal(t, 600, (last.Ledger.Acknowledged+5)/10*10)
		assert.Zero(t, last.Ledger.Lost+last.Ledger.Duplicated+last.Ledger.Unknown+last.Ledger.Failed)
		assert.True(t, db.prepared && db.cleaned)
		assert.LessOrEqual(t, db.mostOpen, 24, "a connection each")
		assert.Zero(t, db.open)
		assert.Equal(t, "16.14", last.Server)
	})
}

func TestAnOutageIsSeenByThoseWhoDoNotRetry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := &fakeDatabase{latency: time.Millisecond}
		from := time.Now().Add(5 * time.Second)
		out := func() bool { return time.Since(from) >= 0 && time.Since(from) < 3*time.Second }
		db.down = out
		db.statement = func(int) verdict {
			if out() {
				return verdict{true, said("FATAL", "57P01")}
			}
			return verdict{}
		}
		ctx, cancel := context.WithTimeout(t.Context(), 12*time.Second)
		defer cancel()
		var text bytes.Buffer
		require.NoError(t, run(ctx, defaults, db, &text))
		all := linesOf(t, &text)
		last := all[len(all)-1].Done
		for _, g := range last.Groups {
			require.Len(t, g.Outages, 1, g)
			assert.InDelta(t, 3, g.Outages[0].Seconds, 0.6)
			assert.Equal(t, g.Client == retrying, g.Failed == 0, g)
			assert.Equal(t, g.Client == retrying, g.Retries > 0, g)
		}
		assert.NotZero(t, last.Ledger.Unknown, "the answer of the statements in flight was lost")
		assert.NotZero(t, last.Ledger.Failed, "no connection could be opened")
		assert.Zero(t, last.Ledger.Lost)
	})
}

func TestARefusalThatWasNoneIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := &fakeDatabase{statement: func(int) verdict { return verdict{false, said("ERROR", "25006")} }}
		opts := defaults
		opts.request = opts.attempt
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var text bytes.Buffer
		require.NoError(t, run(ctx, opts, db, &text))
		all := linesOf(t, &text)
		last := all[len(all)-1].Done
		assert.Zero(t, last.Ledger.Failed)
		assert.Positive(t, last.Ledger.UnknownStored)
		var texts []string
		for _, e := range last.Errors {
			texts = append(texts, e.Text)
		}
		assert.Contains(t, texts, "a write was stored that the database had refused")
	})
}

func TestAClientThatIsSlowSkipsWhatItMissed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 2100*time.Millisecond)
		defer cancel()
		began := time.Now()
		var at []time.Duration
		paced(ctx, began, 200*time.Millisecond, func() {
			at = append(at, time.Since(began))
			if len(at) == 2 {
				time.Sleep(900 * time.Millisecond) //nolint:forbidigo // the time of the bubble
			}
		})
		const ms = time.Millisecond
		assert.Equal(t, []time.Duration{0, 200 * ms, 1200 * ms, 1400 * ms, 1600 * ms, 1800 * ms, 2000 * ms}, at)
	})
}

func TestWhatCannotBePreparedOrLookedUpIsTheLastLine(t *testing.T) {
	for name, c := range map[string]struct {
		stopAfter, downAfter time.Duration
		problem              string
	}{
		"no preparation": {time.Hour, 0, "preparing the tables: gave up after 2m0s: connection refused"},
		"stopped before it begins": {
			time.Second, 0, "preparing the tables: stopped before it succeeded: connection refused",
		},
		"no lookup": {
			5 * time.Second, 5 * time.Second, "looking up the writes: gave up after 2m0s: connection refused",
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				from := time.Now()
				db := &fakeDatabase{down: func() bool { return time.Since(from) >= c.downAfter }}
				ctx, cancel := context.WithTimeout(t.Context(), c.stopAfter)
				defer cancel()
				var out bytes.Buffer
				err := run(ctx, defaults, db, &out)
				require.ErrorAs(t, err, &problemError{})
				all := linesOf(t, &out)
				assert.Equal(t, c.problem, all[len(all)-1].Problem)
			})
		})
	}
}

func TestALookupWaitsForTheDatabase(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		from := time.Now()
		db := &fakeDatabase{down: func() bool { return time.Since(from) > 5*time.Second && time.Since(from) < time.Minute }}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		var out bytes.Buffer
		require.NoError(t, run(ctx, defaults, db, &out))
		all := linesOf(t, &out)
		require.NotNil(t, all[len(all)-1].Done)
		assert.Zero(t, all[len(all)-1].Done.Ledger.Lost)
	})
}
