package report

import (
	"math"
	"strconv"
)

// px is a coordinate of a drawing. It is written with one decimal, which is finer than a screen and keeps pages small.
type px float64

func (p px) String() string {
	return strconv.FormatFloat(math.Round(float64(p)*10)/10, 'f', -1, 64)
}

// tick is a line of a grid with its text.
type tick struct {
	At   px
	Text string
}

// scale maps values to coordinates.
type scale struct {
	low, high float64
	from, to  float64
	log       bool
}

func (s scale) at(v float64) px {
	low, high := s.low, s.high
	if s.log {
		low, high, v = math.Log10(low), math.Log10(high), math.Log10(v)
	}
	v = min(max(v, low), high)
	return px(s.from + (v-low)/(high-low)*(s.to-s.from))
}

// steps are distances of ticks that people count in.
func steps(wanted float64, choices ...float64) float64 {
	for _, c := range choices {
		if c >= wanted {
			return c
		}
	}
	return math.Pow(10, math.Ceil(math.Log10(wanted)))
}

// timeTicks marks at most one point for each 64 units of the drawing's width.
func timeTicks(s scale) []tick {
	step := steps((s.high-s.low)/max(1, (s.to-s.from)/64), 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600)
	var ticks []tick
	for v := math.Ceil(s.low/step) * step; v <= s.high; v += step {
		ticks = append(ticks, tick{At: s.at(v), Text: strconv.FormatFloat(v, 'f', -1, 64) + "s"})
	}
	return ticks
}

// countScale is a scale from 0 with four steps or fewer, whose top is a tick.
func countScale(highest, from, to float64) (scale, []tick) {
	magnitude := math.Pow(10, math.Floor(math.Log10(max(highest, 4)/4)))
	step := max(1, magnitude*steps(max(highest, 4)/4/magnitude, 1, 2, 2.5, 5, 10))
	step = math.Ceil(step)
	s := scale{high: step * math.Ceil(max(highest, 1)/step), from: from, to: to}
	var ticks []tick
	for v := 0.0; v <= s.high; v += step {
		ticks = append(ticks, tick{At: s.at(v), Text: number(int(v))})
	}
	return s, ticks
}

// latencyScale is logarithmic, because a fault makes a thousand times of a latency. It has a tick at each power of ten.
func latencyScale(lowest, highest, from, to float64) (scale, []tick) {
	lowest, highest = max(lowest, 1e-6), min(highest, 1e6)
	bottom, top := math.Floor(math.Log10(lowest)), math.Ceil(math.Log10(highest))
	top = max(top, bottom+1)
	s := scale{low: math.Pow(10, bottom), high: math.Pow(10, top), from: from, to: to, log: true}
	var ticks []tick
	for power := bottom; power <= top; power++ {
		v := math.Pow(10, power)
		text := strconv.FormatFloat(v, 'g', 3, 64) + "s"
		if power < 0 {
			text = strconv.FormatFloat(v*1000, 'g', 3, 64) + "ms"
		}
		ticks = append(ticks, tick{At: s.at(v), Text: text})
	}
	return s, ticks
}
