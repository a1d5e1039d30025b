package main

import "time"

// restored compares the ledger with a restored database. Every acknowledged write that was known as done until From
// must be there, and none that was begun after Until.
type restored struct {
	From  moment `json:"from"`
	Until moment `json:"until"`
	// Server is the version of PostgreSQL of the restored database, and Rows the number of the run's writes in it.
	Server string `json:"server"`
	Rows   int    `json:"rows"`
	// Newest is when the newest of these writes was acknowledged. It is zero if there is none.
	Newest moment `json:"newest"`
	// Missing writes were acknowledged until From and are not there. Extra ones were begun after Until and are there.
	Missing int `json:"missing"`
	Extra   int `json:"extra"`
	// Torn writes are not there, although they were acknowledged before another one began that is there: the source
	// has never been in this state.
	Torn       int `json:"torn"`
	Duplicated int `json:"duplicated"`
	// IDs are the first mostIDs of all these.
	IDs []int64 `json:"ids"`
}

// restored compares the ledger with the effects that a restored database has.
func (l *ledger) restored(t *tally, from, until time.Time) *restored {
	l.mu.Lock()
	defer l.mu.Unlock()
	found := &restored{From: moment(from), Until: moment(until), IDs: []int64{}}
	var newest, lastBegun int64
	for i, n := range t.effects {
		w := &l.writes[i]
		if n == 0 {
			continue
		}
		found.Rows++
		if w.fate == acknowledged {
			newest = max(newest, w.fated)
		}
		lastBegun = max(lastBegun, w.begun)
	}
	if newest > 0 {
		found.Newest = moment(time.UnixMicro(newest).UTC())
	}
	for i, n := range t.effects {
		w, wrong := &l.writes[i], false
		count := func(is bool, of *int) {
			if is {
				*of++
				wrong = true
			}
		}
		gone := n == 0 && w.fate == acknowledged
		count(gone && w.fated <= from.UnixMicro(), &found.Missing)
		count(gone && w.fated < lastBegun, &found.Torn)
		count(n > 0 && w.begun > until.UnixMicro(), &found.Extra)
		count(n > 1, &found.Duplicated)
		if wrong {
			found.IDs = some(found.IDs, int64(i+1))
		}
	}
	return found
}
