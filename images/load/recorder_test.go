package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var nine = time.Date(2026, 12, 1, 9, 0, 0, 0, time.UTC)

func after(s float64) time.Time { return nine.Add(time.Duration(s * float64(time.Second))) }

func TestOutagesAreTheTimesWithoutAnAnswer(t *testing.T) {
	for name, c := range map[string]struct {
		answers []float64
		until   float64
		outages []float64
		longest float64
	}{
		"steady":                          {[]float64{0.5, 1, 1.5, 2}, 2.2, nil, 0.5},
		"one second is none":              {[]float64{1, 2}, 3, nil, 1},
		"in the middle":                   {[]float64{0.5, 1, 4.2, 4.7}, 5, []float64{3.2}, 3.2},
		"at the start":                    {[]float64{2.5, 3}, 3.5, []float64{2.5}, 2.5},
		"at the end":                      {[]float64{0.5, 1}, 3, []float64{2}, 2},
		"all the time":                    {nil, 7, []float64{7}, 7},
		"twice":                           {[]float64{2, 2.5, 4}, 4, []float64{2, 1.5}, 2},
		"answers that are told too late":  {[]float64{0.5, 2, 1.9, 2.1}, 2.5, []float64{1.5}, 1.5},
		"an answer after the last moment": {[]float64{0.5, 1, 1.4}, 1.2, nil, 0.5},
	} {
		t.Run(name, func(t *testing.T) {
			g := gapsFrom(nine)
			for _, at := range append(c.answers, c.until) {
				g.until(after(at))
			}
			var found []float64
			for _, o := range g.outages {
				found = append(found, time.Duration(o.Seconds).Seconds())
				assert.Equal(t, time.Duration(o.Seconds), time.Time(o.To).Sub(time.Time(o.From)))
			}
			assert.Equal(t, c.outages, found)
			assert.InDelta(t, c.longest, g.longest.Seconds(), 0)
		})
	}
}

func TestPercentilesAreLatenciesThatSomeRequestHad(t *testing.T) {
	var all []time.Duration
	for i := 100; i > 0; i-- {
		all = append(all, time.Duration(i))
	}
	assert.Equal(t, latencies{50, 99, 100}, latenciesOf(all))
	assert.Equal(t, latencies{7, 7, 7}, latenciesOf([]time.Duration{7}))
	assert.Equal(t, latencies{1, 2, 2}, latenciesOf([]time.Duration{2, 1}))
	assert.Equal(t, latencies{}, latenciesOf(nil))
}

func TestAGroupThatIsNotAskedAnyMoreHasNoOutage(t *testing.T) {
	r := newRecorder(nine, options{writers: 1, readers: 1, rate: 5})
	reader, waiting := group{persistent, kindRead}, group{retrying, kindWrite}
	r.record(reader, after(0.9), after(1), 0, nil)
	r.record(waiting, after(0), after(60), 40, errors.New("gave up"))
	_, results := r.end(after(1.5), after(60))
	for _, found := range results {
		switch found.group {
		case reader:
			assert.Empty(t, found.Outages)
			assert.Equal(t, seconds(time.Second), found.Longest)
		case waiting:
			require.Len(t, found.Outages, 1)
			assert.Equal(t, seconds(time.Minute), found.Longest, "it was asked until then")
			assert.Equal(t, 40, found.Retries)
		}
	}
}

func TestEachAnswerIsInOneSecond(t *testing.T) {
	r := newRecorder(after(0.7), options{writers: 1, readers: 1, rate: 5})
	g := group{reconnecting, kindRead}
	ends := []float64{0.8, 1.1, 1.999, 5}
	for _, at := range ends {
		r.record(g, after(at-0.1), after(at), 0, nil)
	}
	found := r.take(after(6.2))
	rest, results := r.end(after(6.3), after(6.4))
	found = append(found, rest...)
	var perSecond []int
	for i, s := range found {
		assert.Equal(t, after(float64(i)), time.Time(s.At))
		require.Len(t, s.Groups, 6)
		perSecond = append(perSecond, s.Groups[3].Answered)
	}
	assert.Equal(t, []int{1, 2, 0, 0, 0, 1, 0}, perSecond, "also the seconds without an answer")
	assert.Equal(t, len(ends), results[3].Answered)
}

func TestEqualErrorsAreCountedTogetherAndTooManyShareAnEntry(t *testing.T) {
	r := newRecorder(nine, options{writers: 1, readers: 1, rate: 5})
	g := group{persistent, kindWrite}
	for i := range 3 {
		port := string(rune('1' + i))
		r.record(g, nine, after(float64(i)), 0, errors.New("read tcp 10.0.0.7:4000"+port+"->10.0.0.9:5432: reset"))
	}
	r.record(group{retrying, kindRead}, nine, nine, 0, errors.New("read tcp [fe80::1]:4->[::1]:5432: reset"))
	assert.Equal(t, []failure{
		{"read tcp 10.0.0.9:5432: reset", 3, moment(nine), g},
		{"read tcp [::1]:5432: reset", 1, moment(nine), group{retrying, kindRead}},
	}, r.failures())

	for i := range 2 * mostErrors {
		r.record(g, nine, nine, 0, errors.New(time.Duration(i).String()))
	}
	all := r.failures()
	assert.LessOrEqual(t, len(all), mostErrors+1)
	assert.Equal(t, otherErrors, all[0].Text)
}

// testdata/output.jsonl is a sample for those who read the output. UPDATE_GOLDEN=1 writes it.
func TestTheOutputHasTheFormOfTheSample(t *testing.T) {
	opts := options{run: "k3v9", writers: 4, readers: 4, rate: 5}
	r := newRecorder(nine, opts)
	books := &ledger{}
	for _, g := range groups() {
		for i := range 40 {
			began := after(float64(i) * 0.1)
			ended := began.Add(time.Millisecond * time.Duration(1+i%4))
			var err error
			retries := 0
			if i >= 10 && i < 30 { // the outage
				switch g.Client {
				case retrying:
					if i != 10 {
						continue
					}
					ended, retries = after(3), 9
				default:
					err = errors.New("FATAL: server conn crashed? (SQLSTATE 08P01)")
				}
			}
			if g.Kind == kindWrite {
				if id := books.next(); err == nil {
					books.settle(id, acknowledged)
				} else if i > 10 {
					books.settle(id, refused)
				}
			}
			r.record(g, began, ended, retries, err)
		}
	}
	effects := books.tally()
	for i, w := range books.writes {
		if w.fate == acknowledged || i == 10 {
			effects.add(int64(i+1), 1)
		}
	}
	var out bytes.Buffer
	rest, results := r.end(after(4), after(4.02))
	require.NoError(t, writeSeconds(&out, rest))
	last := &done{
		Run: opts.run, Began: moment(nine), Ended: moment(after(4.02)), Server: "16.14", Groups: results,
		Errors: r.failures(),
	}
	last.Ledger, _ = books.balance(effects)
	require.NoError(t, write(&out, line{Done: last}))

	file := filepath.Join("testdata", "output.jsonl")
	if os.Getenv("UPDATE_GOLDEN") != "" {
		require.NoError(t, os.WriteFile(file, out.Bytes(), 0o600))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Equal(t, string(want), out.String())
}
