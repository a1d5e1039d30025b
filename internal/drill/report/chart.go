package report

import (
	"fmt"
	"slices"
	"strings"
)

// A page has each chart three times, drawn for three widths, and shows the one that fits: a drawing that is scaled down
// to a telephone has unreadable letters.
var sizes = []size{
	{name: "narrow", width: 360, height: 120},
	{name: "medium", width: 640, height: 140, letters: 44},
	{name: "wide", width: 1000, height: 150, letters: 64},
}

// size is the width of a drawing and the height of its plot. Letters is the longest label of an event; without it,
// labels are only numbers.
type size struct {
	name          string
	width, height float64
	letters       int
}

const (
	left, right = 46, 13
	below       = 24
)

// chart is one figure of the page.
type chart struct {
	ID, Title, Unit string
	// Text says in words what the drawing shows.
	Text     string
	Keys     []key
	Drawings []drawing
}

// key explains a colour with a shape of that class.
type key struct {
	shape
	Text string
}

// drawing is a chart for one width.
type drawing struct {
	ID, Size                 string
	Width, Height            px
	Left, Top, Right, Bottom px
	TimeY                    px
	Times, Values            []tick
	Outages                  []box
	Shapes                   []shape
	Marks                    []mark
}

// shape is a path.
type shape struct{ Class, Path string }

// plot is what charts have in common: the seconds in order, the names of clients, and the span of time.
type plot struct {
	report   *Report
	outages  []Window
	seconds  []Second
	clients  []string
	from, to float64
}

// charts draws the seconds of the load. Without seconds there are none.
func charts(r *Report, outages []Window) []chart {
	p := newPlot(r, outages)
	if len(p.seconds) == 0 {
		return nil
	}
	return []chart{
		p.counts("answers", "Answers", "per second, clients stacked", true, func(s *Sample) int { return s.Answered }),
		p.counts("errors", "Errors", "per second, clients stacked", false, func(s *Sample) int { return s.Failed }),
		p.latency("write-latency", "Latency of writes", Write),
		p.latency("read-latency", "Latency of reads", Read),
	}
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

// drawings draws one chart in each size.
func (p *plot) drawings(id string, labelled bool,
	draw func(times scale, bottom, top float64) ([]tick, []shape),
) []drawing {
	all := make([]drawing, 0, len(sizes))
	for _, s := range sizes {
		times := scale{low: p.from, high: p.to, from: left, to: s.width - right}
		letters := s.letters
		if !labelled {
			letters = 0
		}
		placed, lanes := marks(p.report, times, letters)
		top := 2*above + laneHeight*float64(lanes)
		bottom := top + s.height
		settle(placed, top)
		d := drawing{
			ID: id + "-" + s.name, Size: s.name, Width: px(s.width), Height: px(bottom + below),
			Left: left, Top: px(top), Right: px(s.width - right), Bottom: px(bottom), TimeY: px(bottom + 16),
			Times: timeTicks(times), Marks: placed,
		}
		for _, w := range p.outages {
			x := times.at(p.report.since(w.From))
			d.Outages = append(d.Outages, box{
				X: x, Y: px(top), Width: times.at(p.report.since(w.To)) - x, Height: px(bottom - top),
			})
		}
		d.Values, d.Shapes = draw(times, bottom, top)
		all = append(all, d)
	}
	return all
}

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

// latency is a chart of the percentiles of one kind of request.
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
				// A second alone is a dot: a line without length has round ends.
				command := "M%s %sh0"
				for _, i := range run {
					fmt.Fprintf(&out, command, times.at((p.begin(i)+p.end(i))/2), values.at(of(at[i][client])))
					command = "L%s %s"
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
