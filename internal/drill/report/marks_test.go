package report

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestLabelsOfEventsCoverNeitherEachOtherNorTheChart(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	for range 500 {
		r := Report{Began: time.Unix(1_800_000_000, 0)}
		for i := range random.IntN(25) {
			at := random.Float64() * 60
			if random.IntN(3) == 0 {
				at = 10 + random.Float64()
			}
			r.Events = append(r.Events, Event{
				At:   r.Began.Add(time.Duration(at * float64(time.Second))),
				Text: fmt.Sprintf("event %d %s", i, strings.Repeat("x", random.IntN(80))),
			})
		}
		for _, s := range sizes {
			placed, lanes := marks(&r, scale{high: 60, from: left, to: s.width - right}, s.letters)
			require.LessOrEqual(t, lanes, len(placed))
			for i, m := range placed {
				assert.LessOrEqual(t, m.to, s.width)
				assert.GreaterOrEqual(t, m.from, 0.0)
				for _, o := range placed[i+1:] {
					apart := m.lane != o.lane || m.to < o.from || o.to < m.from
					require.True(t, apart, "%s: %q and %q", s.name, m.Full, o.Full)
				}
			}
		}
	}
}

func TestManyEventsAtOnceHaveOnlyNumbers(t *testing.T) {
	t.Parallel()
	r := Report{Events: make([]Event, mostLanes+1)}
	for i := range r.Events {
		r.Events[i].Text = "the same moment"
	}
	placed, _ := marks(&r, scale{high: 60, from: left, to: 990}, 40)
	for _, m := range placed {
		assert.Empty(t, m.Text)
	}
}

func TestTicksAreRoundAndFew(t *testing.T) {
	t.Parallel()
	for highest, want := range map[float64]string{
		0: "0 1", 1: "0 1", 3: "0 1 2 3", 17: "0 5 10 15 20", 120: "0 50 100 150", 100: "0 25 50 75 100",
		1234: "0 500 1,000 1,500",
	} {
		_, ticks := countScale(highest, 100, 0)
		assert.Equal(t, want, texts(ticks), "%v", highest)
	}
	_, ticks := latencyScale(0.0008, 4.2, 100, 0)
	assert.Equal(t, "0.1ms 1ms 10ms 100ms 1s 10s", texts(ticks))
	_, ticks = latencyScale(0.01, 0.01, 100, 0)
	assert.Equal(t, "10ms 100ms", texts(ticks))
	for _, length := range []float64{1, 60, 600, 86_400, 9e9} {
		assert.LessOrEqual(t, len(timeTicks(scale{high: length, from: 0, to: 640})), 11)
	}
}

func texts(ticks []tick) string {
	var all []string
	for _, t := range ticks {
		all = append(all, t.Text)
	}
	return strings.Join(all, " ")
}
