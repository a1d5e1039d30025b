package report

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// measured is a load whose third second is missing and whose last one has no answer.
func measured() *Report {
	r := Report{Began: time.Unix(1_800_000_000, 0)}
	for _, s := range []struct{ at, answered, failed int }{{0, 10, 0}, {1, 10, 1}, {3, 20, 0}, {4, 0, 5}} {
		sample := Sample{Client: Persistent, Kind: Write, Answered: s.answered, Failed: s.failed}
		if s.answered > 0 {
			sample.P50, sample.P99 = 0.001, 0.1
		}
		r.Load.Seconds = append(r.Load.Seconds, Second{
			At: r.Began.Add(time.Duration(s.at) * time.Second), Groups: []Sample{sample},
		})
	}
	return &r
}

func TestSecondsThatAreMissingAreLeftBlank(t *testing.T) {
	t.Parallel()
	p := newPlot(measured(), nil)
	times, values := scale{high: 5, to: 50}, scale{high: 20, from: 100}
	low := make([]float64, 4)
	assert.Equal(t, "M0 100V50H20V100H0ZM30 100V0H40V100H30Z", p.steps(times, values, low, []float64{10, 10, 20, 0}))
}

func TestLatenciesAreDrawnOnlyWhereThereWereAnswers(t *testing.T) {
	t.Parallel()
	p := newPlot(measured(), nil)
	writes := p.latency("id", "title", Write)
	wide := writes.Drawings[2]
	require.Len(t, wide.Shapes, 2)
	for _, s := range wide.Shapes {
		assert.Equal(t, 2, strings.Count(s.Path, "M"), s.Path)
		assert.Equal(t, 1, strings.Count(s.Path, "L"), "a line of two seconds")
		assert.Equal(t, 1, strings.Count(s.Path, "H"), "a second alone")
	}
	assert.Equal(t, "Percentiles of each second between 1.0ms and 100ms in the seconds 0 to 5.", writes.Text)
	assert.Equal(t, "No request was answered.", p.latency("id", "title", Read).Text)
}

func TestOutagesAndEventsAreWhereTheirTimeIs(t *testing.T) {
	t.Parallel()
	r := measured()
	at := func(s float64) time.Time { return r.Began.Add(time.Duration(s * float64(time.Second))) }
	r.Events = []Event{{At: at(1), Kind: Fault}, {At: at(10), Kind: "unheard of"}}
	all := charts(r, []Window{{From: at(1), To: at(3)}, {From: at(9), To: at(20)}})
	require.Len(t, all, 4)
	for _, c := range all {
		for i, d := range c.Drawings {
			second := (sizes[i].width - left - right) / 10
			assert.InDelta(t, left+second, float64(d.Marks[0].X), 1e-9)
			assert.InDelta(t, left+second, float64(d.Outages[0].X), 1e-9)
			assert.InDelta(t, 2*second, float64(d.Outages[0].Width), 1e-9)
			assert.InDelta(t, second, float64(d.Outages[1].Width), 1e-9, "it is cut at the end of the chart")
			assert.Equal(t, []string{Fault, Note}, []string{d.Marks[0].Kind, d.Marks[1].Kind})
		}
	}
}
