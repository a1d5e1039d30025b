package main

import (
	"sync"
	"time"
)

// fate is what the client knows about a write.
type fate uint8

const (
	// unknown writes were sent and have no answer (yet).
	unknown fate = iota
	acknowledged
	// refused writes are certainly not stored.
	refused
)

// mostIDs is the number of ids in a list of the account.
const mostIDs = 20

// entry is a write as its client knows it: when it was begun, and when its fate was known, in microseconds of Unix
// time. A long load has millions.
type entry struct {
	begun, fated int64
	fate         fate
}

// ledger knows every write of the run. The id of a write is its place, from 1. Its methods can be called at the same
// time.
type ledger struct {
	mu     sync.Mutex
	writes []entry
	newest int64
}

// next returns the id of a new write.
func (l *ledger) next() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.writes = append(l.writes, entry{fate: unknown, begun: time.Now().UnixMicro()})
	return int64(len(l.writes))
}

// settle records what the client knows about a write.
func (l *ledger) settle(id int64, f fate) {
	l.mu.Lock()
	defer l.mu.Unlock()
	w := &l.writes[id-1]
	w.fate, w.fated = f, time.Now().UnixMicro()
	if f == acknowledged {
		l.newest = max(l.newest, id)
	}
}

// newestAcknowledged returns the highest id that the database has acknowledged, or 0, the id of the row that is there
// before all writes.
func (l *ledger) newestAcknowledged() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.newest
}

// tally counts the effects of each write while the database lists them.
type tally struct{ effects []uint8 }

func (l *ledger) tally() *tally {
	l.mu.Lock()
	defer l.mu.Unlock()
	return &tally{make([]uint8, len(l.writes))}
}

// add sets the number of effects of a write. Ids that the ledger does not have are not of its writes.
func (t *tally) add(id, effects int64) {
	if id >= 1 && id <= int64(len(t.effects)) {
		t.effects[id-1] = uint8(min(effects, 2)) //nolint:gosec // at most 2
	}
}

// balance compares the ledger with the effects. It returns the refused writes that have one: the server said that it
// had not stored them. They count as unknown ones, for that answer was worth nothing.
func (l *ledger) balance(t *tally) (a account, stored []int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	a.LostIDs, a.DuplicatedIDs = []int64{}, []int64{}
	for i := range l.writes {
		id, effects, f := int64(i+1), t.effects[i], l.writes[i].fate
		switch {
		case f == acknowledged:
			a.Acknowledged++
			if effects == 0 {
				a.Lost++
				a.LostIDs = some(a.LostIDs, id)
			}
		case f == refused && effects == 0:
			a.Failed++
		case effects == 0:
			a.Unknown++
			a.UnknownAbsent++
		default:
			a.Unknown++
			a.UnknownStored++
			if f == refused {
				stored = append(stored, id)
			}
		}
		if effects > 1 {
			a.Duplicated++
			a.DuplicatedIDs = some(a.DuplicatedIDs, id)
		}
	}
	return a, stored
}

// some keeps the first ids of a list.
func some(ids []int64, id int64) []int64 {
	if len(ids) < mostIDs {
		ids = append(ids, id)
	}
	return ids
}
