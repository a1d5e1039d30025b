package report

import (
	"fmt"
	"slices"
)

// plot is what charts have in common: the seconds in order, the names of clients, and the span of time.
type plot struct {
	report   *Report
	outages  []Window
	seconds  []Second
	clients  []string
	from, to float64
}

func newPlot(r *Report, outages []Window) *plot {
	p := &plot{report: r, outages: outages, seconds: slices.Clone(r.Load.Seconds)}
	slices.SortStableFunc(p.seconds, func(a, b Second) int { return a.At.Compare(b.At) })
	for i := range p.seconds {
		for _, g := range p.seconds[i].Groups {
			if !slices.Contains(p.clients, g.Client) {
				p.clients = append(p.clients, g.Client)
			}
		}
	}
	if len(p.seconds) == 0 {
		return p
	}
	moments := []float64{p.begin(0), p.end(len(p.seconds) - 1)}
	for _, e := range r.Events {
		moments = append(moments, r.since(e.At))
	}
	p.from, p.to = slices.Min(moments), slices.Max(moments)
	return p
}

// class is the colour of a client. A fourth one, which no load has today, shares the last colour.
func (p *plot) class(client string) string {
	return fmt.Sprintf("c%d", min(slices.Index(p.clients, client), 3))
}

// runs returns the indices of seconds with a value, in groups of seconds that follow each other.
func (p *plot) runs(has func(i int) bool) [][]int {
	var runs [][]int
	for i := range p.seconds {
		if !has(i) {
			continue
		}
		last := len(runs) - 1
		if last >= 0 && runs[last][len(runs[last])-1] == i-1 && p.follows(i) {
			runs[last] = append(runs[last], i)
			continue
		}
		runs = append(runs, []int{i})
	}
	return runs
}

// follows is true if no second is missing before this one.
func (p *plot) follows(i int) bool {
	return i > 0 && p.seconds[i].At.Sub(p.seconds[i-1].At).Seconds() < 1.5
}

func (p *plot) begin(i int) float64 { return p.report.since(p.seconds[i].At) }

// end is where the next second begins, so that a clock that is set leaves no gap.
func (p *plot) end(i int) float64 {
	if i+1 < len(p.seconds) && p.follows(i+1) {
		return p.begin(i + 1)
	}
	return p.begin(i) + 1
}

// span is the time of all seconds, in words.
func (p *plot) span() string {
	first, last := p.begin(0), p.end(len(p.seconds)-1)
	return fmt.Sprintf("the seconds %s to %s", px(first), px(last))
}
