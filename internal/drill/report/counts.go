package report

import (
	"fmt"
	"slices"
	"strings"
)

// counts is a chart of steps, stacked by client.
func (p *plot) counts(id, title, unit string, labelled bool, of func(*Sample) int) chart {
	// tops has the upper edge of each client's area in each second, and the last row is the sum.
	tops := make([][]float64, len(p.clients)+1)
	for c := range tops {
		tops[c] = make([]float64, len(p.seconds))
	}
	highest, total := 0.0, 0.0
	for i := range p.seconds {
		for c, client := range p.clients {
			tops[c+1][i] = tops[c][i]
			for g := range p.seconds[i].Groups {
				if s := &p.seconds[i].Groups[g]; s.Client == client {
					tops[c+1][i] += float64(of(s))
				}
			}
		}
		sum := tops[len(p.clients)][i]
		highest, total = max(highest, sum), total+sum
	}
	one := chart{
		ID: id, Title: title, Unit: unit,
		Text: fmt.Sprintf("%s in %s, at most %s in one.", number(int(total)), p.span(), number(int(highest))),
	}
	for _, client := range p.clients {
		one.Keys = append(one.Keys, key{shape{"area " + p.class(client), "M1 1H17V9H1Z"}, client})
	}
	one.Drawings = p.drawings(id, labelled, func(times scale, bottom, top float64) ([]tick, []shape) {
		values, ticks := countScale(highest, bottom, top)
		var shapes []shape
		for c, client := range p.clients {
			shapes = append(shapes, shape{"area " + p.class(client), p.steps(times, values, tops[c], tops[c+1])})
		}
		return ticks, shapes
	})
	return one
}

// steps draws the area between two rows of values. Seconds without any value between them make no area.
func (p *plot) steps(times, values scale, low, high []float64) string {
	var out strings.Builder
	for _, run := range p.runs(func(i int) bool { return high[i] > low[i] }) {
		last := len(run) - 1
		fmt.Fprintf(&out, "M%s %s", times.at(p.begin(run[0])), values.at(low[run[0]]))
		for n, i := range run {
			// Seconds of the same value are one line.
			if n == last || high[run[n+1]] != high[i] {
				fmt.Fprintf(&out, "V%sH%s", values.at(high[i]), times.at(p.end(i)))
			}
		}
		for n, i := range slices.Backward(run) {
			if n == 0 || low[run[n-1]] != low[i] {
				fmt.Fprintf(&out, "V%sH%s", values.at(low[i]), times.at(p.begin(i)))
			}
		}
		out.WriteString("Z")
	}
	return out.String()
}
