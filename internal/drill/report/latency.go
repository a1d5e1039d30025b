package report

import (
	"fmt"
	"strings"
)

// latency is a chart of the percentiles of one kind of request. It joins the middles of seconds; a second alone is as
// long as it was.
func (p *plot) latency(id, title, kind string) chart {
	one := chart{ID: id, Title: title, Unit: "p50 dotted, p99 solid, logarithmic"}
	lowest, highest := 0.0, 0.0
	at := make([]map[string]Sample, len(p.seconds))
	for i := range p.seconds {
		at[i] = map[string]Sample{}
		for _, s := range p.seconds[i].Groups {
			if s.Kind != kind || s.Answered == 0 || s.P50 <= 0 || s.P99 <= 0 {
				continue
			}
			at[i][s.Client] = s
			highest = max(highest, s.P50, s.P99)
			if least := min(s.P50, s.P99); lowest == 0 || least < lowest {
				lowest = least
			}
		}
	}
	if lowest == 0 {
		lowest, highest = 0.001, 1
		one.Text = "No request was answered."
	} else {
		one.Text = fmt.Sprintf("Percentiles of each second between %s and %s in %s.", seconds(lowest), seconds(highest),
			p.span())
	}
	for _, client := range p.clients {
		one.Keys = append(one.Keys, key{shape{"line " + p.class(client), "M1 5H17"}, client})
	}
	one.Drawings = p.drawings(id, false, func(times scale, bottom, top float64) ([]tick, []shape) {
		values, ticks := latencyScale(lowest, highest, bottom, top)
		line := func(client string, of func(Sample) float64) string {
			var out strings.Builder
			for _, run := range p.runs(func(i int) bool { return at[i][client].Answered > 0 }) {
				if len(run) == 1 {
					i := run[0]
					y := values.at(of(at[i][client]))
					fmt.Fprintf(&out, "M%s %sH%s", times.at(p.begin(i)), y, times.at(p.end(i)))
					continue
				}
				command := 'M'
				for _, i := range run {
					middle := (p.begin(i) + p.end(i)) / 2
					fmt.Fprintf(&out, "%c%s %s", command, times.at(middle), values.at(of(at[i][client])))
					command = 'L'
				}
			}
			return out.String()
		}
		var shapes []shape
		for _, client := range p.clients {
			shapes = append(shapes,
				shape{"line p50 " + p.class(client), line(client, func(s Sample) float64 { return s.P50 })},
				shape{"line " + p.class(client), line(client, func(s Sample) float64 { return s.P99 })})
		}
		return ticks, shapes
	})
	return one
}
