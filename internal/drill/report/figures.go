package report

import (
	"fmt"
	"slices"
	"time"
)

// Figures are what a drill is carried out for.
type Figures struct {
	// Clients has one row for each kind of client, in the order of the load's groups.
	Clients []Client
	// All is the worst of all clients, and the sums of their counts.
	All Client
	// Outages are the windows in which at least one group had no answer for longer than a second. They do not overlap.
	Outages []Window
	// Account is the ledger in one line.
	Account string
}

// Client is one kind of client with its writes and reads together. Durations are in seconds.
type Client struct {
	Name string
	// Write and Read are the longest times without an answer.
	Write float64
	Read  float64
	// Failed of the Requests ended with an error to their caller. Retries are repetitions, which are not in Requests.
	Failed   int
	Requests int
	Retries  int
	// P50 and P99 are those of the slower kind of request: percentiles of two groups cannot be joined, and the joint
	// one is never above the slower one. Max is exact.
	P50 float64
	P99 float64
	Max float64
}

// Longest is the longest time without an answer.
func (c *Client) Longest() float64 { return max(c.Write, c.Read) }

// Of returns the figures of a kind of client; none if the load had no such clients.
func (f *Figures) Of(name string) (c Client, known bool) {
	at := slices.IndexFunc(f.Clients, func(c Client) bool { return c.Name == name })
	if at < 0 {
		return Client{}, false
	}
	return f.Clients[at], true
}

// Window is a time in which at least one group had no answer.
type Window struct {
	From, To time.Time
	// Groups are those without an answer in some part of the window: "persistent write".
	Groups []string
}

// Seconds is the length of the window.
func (w Window) Seconds() float64 { return w.To.Sub(w.From).Seconds() }

// Figures computes the figures. Use it instead of the groups where one figure for each kind of client is wanted.
func (r *Report) Figures() Figures {
	f := Figures{Outages: windows(r.Load.Groups), Account: r.Load.account()}
	for i := range r.Load.Groups {
		g := &r.Load.Groups[i]
		at := slices.IndexFunc(f.Clients, func(c Client) bool { return c.Name == g.Client })
		if at < 0 {
			at = len(f.Clients)
			f.Clients = append(f.Clients, Client{Name: g.Client})
		}
		f.Clients[at].add(g)
		f.All.add(g)
	}
	return f
}

func (c *Client) add(g *Group) {
	switch g.Kind {
	case Write:
		c.Write = max(c.Write, g.Longest)
	case Read:
		c.Read = max(c.Read, g.Longest)
	}
	c.Failed += g.Failed
	c.Requests += g.Answered + g.Failed
	c.Retries += g.Retries
	c.P50, c.P99, c.Max = max(c.P50, g.P50), max(c.P99, g.P99), max(c.Max, g.Max)
}

// windows joins the outages of all groups that touch or overlap.
func windows(groups []Group) []Window {
	var each []Window
	for i := range groups {
		g := &groups[i]
		for _, o := range g.Outages {
			if o.To.After(o.From) {
				each = append(each, Window{From: o.From, To: o.To, Groups: []string{g.name()}})
			}
		}
	}
	slices.SortStableFunc(each, func(a, b Window) int { return a.From.Compare(b.From) })
	var joined []Window
	for _, w := range each {
		last := len(joined) - 1
		if last < 0 || w.From.After(joined[last].To) {
			joined = append(joined, w)
			continue
		}
		if w.To.After(joined[last].To) {
			joined[last].To = w.To
		}
		joined[last].Groups = append(joined[last].Groups, w.Groups[0])
	}
	for i := range joined {
		joined[i].Groups = inOrder(groups, joined[i].Groups)
	}
	return joined
}

// inOrder returns the groups once each, in the order of the load.
func inOrder(groups []Group, names []string) []string {
	var ordered []string
	for i := range groups {
		if name := groups[i].name(); slices.Contains(names, name) && !slices.Contains(ordered, name) {
			ordered = append(ordered, name)
		}
	}
	return ordered
}

func (g *Group) name() string { return g.Client + " " + g.Kind }

// account writes the ledger as one line.
func (l *Load) account() string {
	if !l.Accounted() {
		return "no account: the load did not compare its writes with the database"
	}
	g := &l.Ledger
	unknown := number(g.Unknown) + " unknown"
	switch {
	case g.Unknown == 0:
	case g.UnknownStored == 0:
		unknown += " of which none is stored"
	case g.UnknownStored == 1:
		unknown += " of which 1 is stored"
	default:
		unknown += fmt.Sprintf(" of which %s are stored", number(g.UnknownStored))
	}
	writes := "writes"
	if g.Acknowledged == 1 {
		writes = "write"
	}
	return fmt.Sprintf("%s %s acknowledged, %s lost, %s duplicated; %s failed, %s",
		number(g.Acknowledged), writes, number(g.Lost), number(g.Duplicated), number(g.Failed), unknown)
}
