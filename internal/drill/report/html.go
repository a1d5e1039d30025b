package report

import (
	"embed"
	"fmt"
	"html/template"
	"io"
	"strings"
	"time"

	"dbtier/internal/text"
)

//go:embed page.html page.css
var files embed.FS

var pageTemplate = template.Must(template.ParseFS(files, "page.html", "page.css"))

// HTML writes the report as one page that needs nothing else: no network, no fonts, no scripts. Its policy for browsers
// forbids them. Every figure is an element <data data-figure="name" value="number">, so that a program can read it.
func HTML(w io.Writer, r *Report) error {
	if err := pageTemplate.ExecuteTemplate(w, "page.html", newPage(r)); err != nil {
		return fmt.Errorf("write the page of the drill %s: %w", r.Drill, err)
	}
	return nil
}

// page is what the template shows.
type page struct {
	Report  *Report
	Title   string
	When    string
	Verdict outcome
	// Cards are the few figures that matter most.
	Cards   []card
	Bounds  []Bound
	Events  []pageEvent
	Late    string
	Charts  []chart
	Clients clientTable
	Outages []pageOutage
	Account string
	Ledger  []fact
	// Restored are the figures of a restored database, and Wrong the ids of the writes that are not as they must be.
	Restored []fact
	Wrong    string
	Lost     string
	Twice    string
	Errors   []pageError
}

// outcome is the headline, with the class of its colour.
type outcome struct{ Class, Text string }

// card is a figure with its meaning, Bad if it is one that nobody wants.
type card struct {
	Label  string
	Figure figure
	Note   string
	Bad    bool
}

// fact is a figure with its name for people.
type fact struct {
	Label  string
	Figure figure
}

type pageEvent struct {
	Number int
	// Kind is the class of its colour, and Word says the same.
	Moment, Text, Kind, Word string
	// Clock and Machine are the time of day, for people and for programs.
	Clock, Machine string
}

type pageOutage struct {
	From, To string
	Length   figure
	Groups   string
}

type pageError struct {
	Text, Who, First string
	Count            figure
}

func newPage(r *Report) page {
	f := r.Figures()
	p := page{
		Report: r, Title: fmt.Sprintf("Drill %s of stack %s", r.Drill, r.Stack),
		When:    r.Began.UTC().Format("2 January 2006, 15:04:05 UTC"),
		Verdict: verdict(r), Bounds: r.Verdict, Late: late(r),
		Charts: charts(r, f.Outages), Clients: newClientTable(r.Load.Groups), Account: f.Account,
	}
	if r.Load.Accounted() {
		p.Cards, p.Ledger = cards(r, f), ledger(&r.Load.Ledger)
		p.Lost = ids(r.Load.Ledger.LostIDs, r.Load.Ledger.Lost)
		p.Twice = ids(r.Load.Ledger.DuplicatedIDs, r.Load.Ledger.Duplicated)
		p.Restored, p.Wrong = restored(r.Restored)
	}
	for i, e := range r.Events {
		at := e.At.UTC()
		p.Events = append(p.Events, pageEvent{
			Number: i + 1, Moment: r.moment(e.At), Text: e.Text, Kind: kindClass(e.Kind), Word: word(e.Kind),
			Clock: at.Format("15:04:05.000"), Machine: at.Format(time.RFC3339Nano),
		})
	}
	for i, w := range f.Outages {
		p.Outages = append(p.Outages, pageOutage{
			From: r.moment(w.From), To: r.moment(w.To), Groups: strings.Join(w.Groups, ", "),
			Length: duration(fmt.Sprintf("outage.%d", i+1), w.Seconds()),
		})
	}
	for i := range r.Load.Errors {
		e := &r.Load.Errors[i]
		p.Errors = append(p.Errors, pageError{
			Text: e.Text, Who: e.Client + " " + e.Kind, First: r.moment(e.First),
			Count: integer(fmt.Sprintf("error.%d", i+1), e.Count),
		})
	}
	return p
}

// verdict is the outcome in one sentence. Without bounds it is neither good nor bad, unless writes were lost.
func verdict(r *Report) outcome {
	failed := r.failed()
	l := &r.Load.Ledger
	switch {
	case r.Problem != "":
		return outcome{"bad", "✗ The drill has a problem"}
	case len(failed) > 0:
		return outcome{"bad", fmt.Sprintf("✗ %d of %d bounds not met: %s", len(failed), len(r.Verdict),
			strings.Join(failed, ", "))}
	case len(r.Verdict) > 0:
		return outcome{"good", fmt.Sprintf("✓ %d of %d bounds met", len(r.Verdict), len(r.Verdict))}
	case l.Lost > 0 || l.Duplicated > 0:
		return outcome{"bad", fmt.Sprintf("✗ %s lost, %s duplicated", text.Count(l.Lost, "write", "writes"),
			number(l.Duplicated))}
	}
	return outcome{"quiet", "Measured, without bounds"}
}

// late says that the log was cut at its beginning, which the charts alone would not show.
func late(r *Report) string {
	if len(r.Load.Seconds) == 0 || !r.Load.Accounted() {
		return ""
	}
	first := r.Load.Seconds[0].At.Sub(r.Load.Began).Seconds()
	if first < 1.5 {
		return ""
	}
	return fmt.Sprintf("The charts lack the first %s of the load, because its log was cut. The tables have all of it.",
		seconds(first))
}

func cards(r *Report, f Figures) []card {
	l := &r.Load.Ledger
	return []card{
		{
			Label: "longest time without a write", Figure: duration("all.write.longest", f.All.Write),
			Note: slowest(f.Clients, func(c *Client) float64 { return c.Write }),
		},
		{
			Label: "longest time without a read", Figure: duration("all.read.longest", f.All.Read),
			Note: slowest(f.Clients, func(c *Client) float64 { return c.Read }),
		},
		{
			Label: "failed requests", Figure: integer("all.failed", f.All.Failed),
			Note: "of " + number(f.All.Requests),
		},
		{
			Label: "writes lost", Figure: integer("all.lost", l.Lost), Note: "of " + number(l.Acknowledged),
			Bad: l.Lost > 0,
		},
		{
			Label: "writes duplicated", Figure: integer("all.duplicated", l.Duplicated),
			Note: "of " + number(l.Acknowledged), Bad: l.Duplicated > 0,
		},
	}
}

// slowest names the client whose figure is the longest.
func slowest(clients []Client, of func(*Client) float64) string {
	var name string
	longest := -1.0
	for i := range clients {
		if v := of(&clients[i]); v > longest {
			longest, name = v, clients[i].Name
		}
	}
	return name
}

func ledger(l *Ledger) []fact {
	one := func(label, name string, n int) fact { return fact{label, integer("ledger."+name, n)} }
	return []fact{
		one("acknowledged", "acknowledged", l.Acknowledged),
		one("lost", "lost", l.Lost),
		one("duplicated", "duplicated", l.Duplicated),
		one("failed", "failed", l.Failed),
		one("unknown", "unknown", l.Unknown),
		one("unknown, stored", "unknownStored", l.UnknownStored),
		one("unknown, absent", "unknownAbsent", l.UnknownAbsent),
	}
}

// kindClass is the class of an event's colour.
func kindClass(kind string) string {
	if kind == Fault || kind == Healed {
		return kind
	}
	return Note
}

// word is what a list says about an event, so that its meaning is not only a colour. A note needs no word.
func word(kind string) string {
	if kindClass(kind) == Note {
		return ""
	}
	return kind
}

// Length is the figure of the drill's duration.
func (p page) Length() figure { return duration("duration", p.Report.since(p.Report.Ended)) }

func restored(r *Restored) (facts []fact, wrong string) {
	if r == nil {
		return nil, ""
	}
	one := func(label, name string, n int) fact { return fact{label, integer("restored."+name, n)} }
	return []fact{
		{"RTO", duration("restored.rto", r.RTO)},
		{"RPO", duration("restored.rpo", r.RPO)},
		one("writes", "rows", r.Rows), one("missing", "missing", r.Missing), one("too many", "extra", r.Extra),
		one("torn", "torn", r.Torn), one("duplicated", "duplicated", r.Duplicated),
	}, ids(r.IDs, len(r.IDs))
}
