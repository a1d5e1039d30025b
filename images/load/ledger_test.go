package main

import (
	"testing"

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
