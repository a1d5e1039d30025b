package report

import "strconv"

// clientTable has a column for each group, below a heading for each client.
type clientTable struct {
	Clients []clientHeading
	Kinds   []string
	Rows    []clientRow
}

type clientHeading struct {
	Name    string
	Columns int
}

type clientRow struct {
	Label string
	Cells []figure
}

func newClientTable(groups []Group) clientTable {
	var t clientTable
	for i := range groups {
		g := &groups[i]
		t.Kinds = append(t.Kinds, g.Kind)
		if last := len(t.Clients) - 1; last >= 0 && t.Clients[last].Name == g.Client {
			t.Clients[last].Columns++
			continue
		}
		t.Clients = append(t.Clients, clientHeading{Name: g.Client, Columns: 1})
	}
	row := func(label, name string, of func(name string, g *Group) figure) {
		r := clientRow{Label: label}
		for i := range groups {
			g := &groups[i]
			r.Cells = append(r.Cells, of(g.Client+"."+g.Kind+"."+name, g))
		}
		t.Rows = append(t.Rows, r)
	}
	row("longest gap", "longest", func(n string, g *Group) figure { return duration(n, g.Longest) })
	row("outages", "outages", func(n string, g *Group) figure { return integer(n, len(g.Outages)) })
	row("requests", "requests", func(n string, g *Group) figure { return integer(n, g.Answered+g.Failed) })
	row("failed", "failed", func(n string, g *Group) figure { return integer(n, g.Failed) })
	row("retries", "retries", func(n string, g *Group) figure { return integer(n, g.Retries) })
	row("p50", "p50", func(n string, g *Group) figure { return duration(n, g.P50) })
	row("p99", "p99", func(n string, g *Group) figure { return duration(n, g.P99) })
	row("max", "max", func(n string, g *Group) figure { return duration(n, g.Max) })
	row("clients", "clients", func(n string, g *Group) figure { return integer(n, g.Clients) })
	row("rate each", "rate", func(n string, g *Group) figure {
		rate := strconv.FormatFloat(g.Rate, 'f', -1, 64)
		return figure{n, rate, rate + "/s"}
	})
	return t
}
