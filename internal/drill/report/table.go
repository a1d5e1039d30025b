package report

import (
	"fmt"
	"io"
	"strings"

	"dbtier/internal/screen"
)

// columns is the width that every terminal has.
const columns = 80

// signs of events, which a screen colours.
var signs = map[string]string{Fault: "!", Healed: "✓"}

// Table prints the report for a terminal of 80 columns: events, the figures of each kind of client, the ledger and the
// bounds. It returns no error, as a terminal that is gone needs no report.
func Table(w io.Writer, r *Report) {
	line(w, "drill %s of stack %s (%s), %s%s", oneLine(r.Drill), oneLine(r.Stack), oneLine(r.Cloud),
		seconds(r.since(r.Ended)), r.seeded())
	f := r.Figures()
	r.events(w)
	if len(f.Clients) > 0 {
		clients(w, f.Clients)
	}
	r.ledger(w, f.Account)
	r.restored(w)
	r.bounds(w)
	if r.Problem != "" {
		line(w, "error: %s", oneLine(r.Problem))
	}
}

// line wraps what may be long.
func line(w io.Writer, format string, args ...any) {
	fmt.Fprintln(w, screen.Wrap(fmt.Sprintf(format, args...), columns))
}

func (r *Report) seeded() string {
	if r.Seed == nil {
		return ""
	}
	return fmt.Sprintf(", seed %d", *r.Seed)
}

func (r *Report) events(w io.Writer) {
	if len(r.Events) > 0 {
		fmt.Fprintln(w)
	}
	// before is what stands before the text of an event.
	const before = len("  ! 1234.5s  ")
	for _, e := range r.Events {
		sign := signs[e.Kind]
		if sign == "" {
			sign = "·"
		}
		text := screen.Wrap(oneLine(e.Text), columns-before)
		fmt.Fprintf(w, "  %s %7s  %s\n", sign, r.moment(e.At),
			strings.ReplaceAll(text, "\n", "\n"+strings.Repeat(" ", before-2)))
	}
}

func clients(w io.Writer, rows []Client) {
	width := len("client")
	for i := range rows {
		width = max(width, len([]rune(oneLine(rows[i].Name))))
	}
	pad := func(s string) string { return s + strings.Repeat(" ", width-len([]rune(s))) }
	fmt.Fprintf(w, "\n  %s  longest time without\n", pad(""))
	fmt.Fprintf(w, "  %s  a write     a read  requests  failed      p50      p99      max\n", pad("client"))
	for i := range rows {
		c := &rows[i]
		fmt.Fprintf(w, "  %s  %7s  %9s  %8s  %6s  %7s  %7s  %7s\n", pad(oneLine(c.Name)), seconds(c.Write),
			seconds(c.Read), number(c.Requests), number(c.Failed), seconds(c.P50), seconds(c.P99), seconds(c.Max))
	}
}

func (r *Report) ledger(w io.Writer, account string) {
	l := &r.Load.Ledger
	sign := "✓"
	if l.Lost > 0 || l.Duplicated > 0 || !r.Load.Accounted() {
		sign = "✗"
	}
	fmt.Fprintln(w)
	line(w, "  %s %s", sign, account)
	if l.Lost > 0 {
		line(w, "    lost: %s", ids(l.LostIDs, l.Lost))
	}
	if l.Duplicated > 0 {
		line(w, "    duplicated: %s", ids(l.DuplicatedIDs, l.Duplicated))
	}
}

func (r *Report) restored(w io.Writer) {
	if r.Restored == nil {
		return
	}
	sign := "✓"
	if r.Restored.Wrong() > 0 {
		sign = "✗"
	}
	line(w, "  %s %s", sign, r.Restored.account())
	if len(r.Restored.IDs) > 0 {
		line(w, "    wrong: %s", ids(r.Restored.IDs, len(r.Restored.IDs)))
	}
}

func (r *Report) bounds(w io.Writer) {
	width := 0
	for _, b := range r.Verdict {
		width = max(width, len([]rune(oneLine(b.Name))))
	}
	for _, b := range r.Verdict {
		sign, verdict := "✓", "ok"
		if !b.OK {
			sign, verdict = "✗", "not ok"
		}
		name := oneLine(b.Name)
		line(w, "  %s %s%s  %s: got %s, want %s", sign, name, strings.Repeat(" ", width-len([]rune(name))), verdict,
			oneLine(b.Got), oneLine(b.Want))
	}
}
