package main

import "time"

// outageAfter is the time without an answer from which it counts as an outage.
const outageAfter = time.Second

// gaps finds the times without an answer in a series of answers.
type gaps struct {
	last    time.Time
	longest time.Duration
	outages []outage
}

func gapsFrom(began time.Time) gaps { return gaps{last: began, outages: []outage{}} }

// until ends the time without an answer that began with the last call: by an answer, or by the end of the run.
// Clients report their answers a moment after they came, so they can be out of order.
func (g *gaps) until(at time.Time) {
	if !at.After(g.last) {
		return
	}
	gap := at.Sub(g.last)
	g.longest = max(g.longest, gap)
	if gap > outageAfter {
		g.outages = append(g.outages, outage{moment(g.last), moment(at), seconds(gap)})
	}
	g.last = at
}
