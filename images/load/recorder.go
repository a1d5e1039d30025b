package main

import (
	"cmp"
	"regexp"
	"slices"
	"sync"
	"time"
)

// mostErrors is the number of different errors in the account.
const mostErrors = 50

// otherErrors is the text of all errors beyond those.
const otherErrors = "other errors"

// recorder collects what the clients see. Its methods can be called at the same time.
type recorder struct {
	mu     sync.Mutex
	groups []*groupRecord
	// current is the beginning of the second that answers are counted in. finished are those before it that were not
	// taken yet.
	current  time.Time
	finished []second
	errors   map[failureKey]*failure
}

// groupRecord is what one group saw.
type groupRecord struct {
	result
	gaps gaps
	// all are the latencies of all answers, and inSecond those of the current second.
	all, inSecond []time.Duration
	countsBefore  counts
	// ended is when the last request ended, with an answer or an error.
	ended time.Time
}

type failureKey struct {
	group
	text string
}

func newRecorder(began time.Time, opts options) *recorder {
	r := &recorder{current: began.Truncate(time.Second), errors: map[failureKey]*failure{}}
	for _, g := range groups() {
		clients := opts.writers
		if g.Kind == kindRead {
			clients = opts.readers
		}
		r.groups = append(r.groups, &groupRecord{
			result: result{group: g, Clients: clients, Rate: opts.rate}, gaps: gapsFrom(began), ended: began,
		})
	}
	return r
}

// record counts a request that began and ended at these times, after a number of repetitions. Without an error it was
// answered.
func (r *recorder) record(g group, began, ended time.Time, retries int, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.roll(ended)
	own := r.groups[slices.IndexFunc(r.groups, func(o *groupRecord) bool { return o.group == g })]
	own.Retries += retries
	own.ended = later(own.ended, ended)
	if err != nil {
		own.Failed++
		r.fail(g, ended, textOf(err))
		return
	}
	own.Answered++
	own.gaps.until(ended)
	own.all = append(own.all, ended.Sub(began))
	own.inSecond = append(own.inSecond, ended.Sub(began))
}

// note adds an error that no client saw.
func (r *recorder) note(at time.Time, text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fail(group{Kind: kindWrite}, at, text)
}

func (r *recorder) fail(g group, at time.Time, text string) {
	key := failureKey{g, text}
	if r.errors[key] == nil && len(r.errors) >= mostErrors {
		key = failureKey{g, otherErrors}
	}
	if r.errors[key] == nil {
		r.errors[key] = &failure{Text: key.text, First: moment(at), group: g}
	}
	r.errors[key].Count++
}

// roll finishes the seconds before the one of now, also those in which nothing happened.
func (r *recorder) roll(now time.Time) {
	for ; now.Sub(r.current) >= time.Second; r.current = r.current.Add(time.Second) {
		r.finish()
	}
}

func (r *recorder) finish() {
	s := second{At: moment(r.current)}
	for _, g := range r.groups {
		s.Groups = append(s.Groups, secondCounts{
			g.group,
			counts{g.Answered - g.countsBefore.Answered, g.Failed - g.countsBefore.Failed},
			latenciesOf(g.inSecond),
		})
		g.countsBefore, g.inSecond = g.counts, g.inSecond[:0]
	}
	r.finished = append(r.finished, s)
}

// take returns the seconds that have finished since the last call. It prints nothing itself: a reader that is slow to
// take the output must not hold up the clients.
func (r *recorder) take(now time.Time) []second {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.roll(now)
	taken := r.finished
	r.finished = nil
	return taken
}

// end returns the remaining seconds, with the one that has just begun, and the results. No request began after stopped.
// A group without an answer since then was not asked any more, so that is no outage.
func (r *recorder) end(stopped, now time.Time) ([]second, []result) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.roll(now)
	r.finish()
	var results []result
	for _, g := range r.groups {
		g.gaps.until(later(stopped, g.ended))
		g.latencies = latenciesOf(g.all)
		g.Outages, g.Longest = g.gaps.outages, seconds(g.gaps.longest)
		results = append(results, g.result)
	}
	return r.finished, results
}

// failures returns the errors, the most frequent first.
func (r *recorder) failures() []failure {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := []failure{}
	for _, f := range r.errors {
		all = append(all, *f)
	}
	slices.SortFunc(all, func(a, b failure) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), time.Time(a.First).Compare(time.Time(b.First)),
			cmp.Compare(a.Text, b.Text), cmp.Compare(a.Client, b.Client), cmp.Compare(a.Kind, b.Kind))
	})
	return all
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// ownAddress is the client's end in the text of a network error, such as "read tcp 10.0.0.7:41522->10.0.0.9:5432". It
// has another port in each connection, and without it equal errors have equal texts.
var ownAddress = regexp.MustCompile(`\S+->`)

func textOf(err error) string { return ownAddress.ReplaceAllString(err.Error(), "") }
