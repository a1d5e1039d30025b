package report

import (
	"strconv"
	"unicode/utf8"

	"dbtier/internal/screen"
)

const (
	// laneHeight is the distance of labels above each other.
	laneHeight = 19
	badge      = 17
	// above is the distance of the lowest label from the plot, so that it leaves the highest value readable.
	above = 5
	// letter is the width of a letter of labels, on the safe side for the fonts of all systems.
	letter = 6.9
	// mostLanes of texts have room above a chart.
	mostLanes = 8
	// shortest is the number of letters below which a text says nothing.
	shortest = 16
)

// mark is an event in a drawing: a vertical line with a numbered label above the plot.
type mark struct {
	X px
	// Number is the event's place in the list of events. Kind is that of the event.
	Number int
	Kind   string
	// Full is the whole text, Text what there is room for.
	Full, Text string
	// Y is the middle of the label, and TextX where its text begins or, with the anchor end, where it ends.
	Y, TextX px
	Anchor   string
	Badge    box

	// from and to are the ends of the label, lane its place counted from the plot upwards.
	from, to float64
	lane     int
}

type box struct{ X, Y, Width, Height px }

// marks places the labels of events, with texts of so many letters. Where events are too close for that, texts are
// shorter, and at last there are only numbers. It returns the number of lanes.
func marks(r *Report, s scale, letters int) (placed []mark, lanes int) {
	for most := letters; most >= shortest; most -= 4 {
		if placed, lanes = place(r, s, most); lanes <= mostLanes {
			return placed, lanes
		}
	}
	return place(r, s, 0)
}

// place puts each label in the lowest lane where it covers neither another label nor the line of another event.
func place(r *Report, s scale, letters int) (placed []mark, lanes int) {
	for i, e := range r.Events {
		m := mark{
			X: s.at(r.since(e.At)), Number: i + 1, Kind: kindClass(e.Kind),
			Full: r.moment(e.At) + " " + oneLine(e.Text), Anchor: "start",
		}
		if letters > 0 {
			m.Text = screen.Cut(m.Full, letters)
		}
		placed = append(placed, m)
	}
	// From the right, because a text extends to the right of its line: the label of an earlier event goes above it.
	for i := len(placed) - 1; i >= 0; i-- {
		m := &placed[i]
		m.measure(s.to)
		for m.lane = 0; !m.fits(placed[i+1:]); m.lane++ {
		}
		lanes = max(lanes, m.lane+1)
	}
	return placed, lanes
}

// measure finds the ends of the label. A text that would leave the drawing goes to the left of its line.
func (m *mark) measure(right float64) {
	half := badgeWidth(m.Number) / 2
	x := float64(m.X)
	m.from, m.to = x-half, x+half
	if m.Text == "" {
		return
	}
	width := func() float64 { return letter*float64(utf8.RuneCountInString(m.Text)) + 6 }
	if m.to+width() <= right {
		m.TextX = px(m.to + 5)
		m.to += width()
		return
	}
	m.Text = screen.Cut(m.Text, int((m.from-6)/letter))
	m.TextX, m.Anchor = px(m.from-5), "end"
	m.from -= width()
}

func badgeWidth(number int) float64 { return badge + letter*float64(len(strconv.Itoa(number))-1) }

// fits is true if the label in its lane is clear of the labels and the lines of the others. A line may pass a number,
// because numbers are opaque. Above all others every label has room: at worst its line passes behind a text.
func (m *mark) fits(others []mark) bool {
	const gap = 3
	highest := true
	for i := range others {
		o := &others[i]
		if m.lane == o.lane && m.from < o.to+gap && o.from < m.to+gap {
			return false
		}
		highest = highest && m.lane > o.lane
	}
	for i := range others {
		o := &others[i]
		if (m.lane > o.lane && o.crossed(m.X) || m.lane < o.lane && m.crossed(o.X)) && !highest {
			return false
		}
	}
	return true
}

// crossed is true if a vertical line goes through the text of the label.
func (m *mark) crossed(x px) bool {
	if m.Text == "" {
		return false
	}
	half := px(badgeWidth(m.Number) / 2)
	return x > px(m.from) && x < px(m.to) && (x < m.X-half || x > m.X+half)
}

// settle turns lanes into coordinates, above a plot that begins at top.
func settle(placed []mark, top float64) {
	for i := range placed {
		m := &placed[i]
		m.Y = px(top - laneHeight*(float64(m.lane)+0.5) - above)
		width := badgeWidth(m.Number)
		m.Badge = box{
			X: m.X - px(width/2), Y: m.Y - px(badge/2.0), Width: px(width), Height: badge,
		}
	}
}
