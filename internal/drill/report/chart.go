package report

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
