package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestTheAccountFindsWhatWasLostAndDuplicated(t *testing.T) {
	books := &ledger{}
	fates := []fate{acknowledged, acknowledged, acknowledged, refused, unknown, unknown, refused}
	for _, f := range fates {
		books.settle(books.next(), f)
	}
	effects := books.tally()
	for id, n := range map[int64]int64{
		0: 1, // the row before all writes
		1: 1,
		2: 3, // duplicated
		// 3 is lost, and 4 was refused.
		5: 1,
		// 6 was not stored.
		7: 1,    // in spite of the refusal
		8: 1000, // not of this ledger
	} {
		effects.add(id, n)
	}
	found, stored := books.balance(effects)
	assert.Equal(t, account{
		Acknowledged: 3, Failed: 1, Unknown: 3, UnknownStored: 2, UnknownAbsent: 1, Lost: 1, Duplicated: 1,
		LostIDs: []int64{3}, DuplicatedIDs: []int64{2},
	}, found)
	assert.Equal(t, []int64{7}, stored)
	assert.Equal(t, len(fates), found.Acknowledged+found.Failed+found.Unknown)
}

func TestTheListsOfTheAccountAreShort(t *testing.T) {
	books := &ledger{}
	for range 100 {
		books.settle(books.next(), acknowledged)
	}
	found, _ := books.balance(books.tally())
	assert.Equal(t, 100, found.Lost)
	assert.Len(t, found.LostIDs, mostIDs)
	assert.Equal(t, int64(1), found.LostIDs[0])
}

// A ledger whose writes were begun at one time and known as acknowledged at another, in seconds after nine.
func ledgerOf(writes ...[2]float64) *ledger {
	books := &ledger{}
	for _, w := range writes {
		books.writes = append(books.writes, entry{after(w[0]).UnixMicro(), after(w[1]).UnixMicro(), acknowledged})
	}
	return books
}

func TestARestoredDatabaseHasExactlyWhatWasCommittedUntilATime(t *testing.T) {
	books := ledgerOf([2]float64{1, 2}, [2]float64{3, 4}, [2]float64{5, 7}, [2]float64{8, 9})
	books.writes = append(books.writes, entry{fate: unknown, begun: after(3).UnixMicro()}, entry{fate: refused, begun: after(3).UnixMicro()})
	for name, c := range map[string]struct {
		has         []int64
		from, until float64
		want        restored
	}{
		"what was under way may be there":    {[]int64{1, 2, 3}, 6, 6, restored{Rows: 3, Newest: moment(after(7))}},
		"or not":                             {[]int64{1, 2}, 6, 6, restored{Rows: 2, Newest: moment(after(4))}},
		"an unknown write counts as a row":   {[]int64{1, 2, 5}, 6, 6, restored{Rows: 3, Newest: moment(after(4))}},
		"nothing is there before all writes": {nil, 0.5, 0.5, restored{}},
		"one is missing, the last one":       {[]int64{1}, 4, 4, restored{Rows: 1, Newest: moment(after(2)), Missing: 1, IDs: []int64{2}}},
		"one is extra":                       {[]int64{1, 2, 3, 4}, 7.5, 7.5, restored{Rows: 4, Newest: moment(after(9)), Extra: 1, IDs: []int64{4}}},
		"in a window it may be there":        {[]int64{1, 2, 3, 4}, 4, 10, restored{Rows: 4, Newest: moment(after(9))}},
		"a hole is torn, even in the window": {[]int64{1, 3}, 3.5, 10, restored{Rows: 2, Newest: moment(after(7)), Torn: 1, IDs: []int64{2}}},
		"a hole can be missing and torn":     {[]int64{2}, 4, 4, restored{Rows: 1, Newest: moment(after(4)), Missing: 1, Torn: 1, IDs: []int64{1}}},
	} {
		t.Run(name, func(t *testing.T) {
			effects := books.tally()
			for _, id := range c.has {
				effects.add(id, 1)
			}
			c.want.From, c.want.Until = moment(after(c.from)), moment(after(c.until))
			if c.want.IDs == nil {
				c.want.IDs = []int64{}
			}
			if c.want.Rows == 0 {
				c.want.Newest = moment(time.Time{})
			}
			assert.Equal(t, &c.want, books.restored(effects, after(c.from), after(c.until)))
		})
	}
	effects := books.tally()
	effects.add(1, 2)
	assert.Equal(t, 1, books.restored(effects, after(2), after(2)).Duplicated)
}
