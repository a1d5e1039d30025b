package main

import (
	"math"
	"slices"
	"time"
)

// latenciesOf returns the percentiles of durations, which it sorts. A percentile is the shortest duration that is not
// exceeded by that share of them.
func latenciesOf(durations []time.Duration) latencies {
	if len(durations) == 0 {
		return latencies{}
	}
	slices.Sort(durations)
	rank := func(share float64) seconds {
		return seconds(durations[max(int(math.Ceil(share*float64(len(durations)))), 1)-1])
	}
	return latencies{P50: rank(0.5), P99: rank(0.99), Max: rank(1)}
}
