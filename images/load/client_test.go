package main

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// once makes one request of a client to a database that answers its statements with these verdicts, and then normally.
func once(t *testing.T, kind string, request func(*client, *ledger, *recorder), verdicts ...verdict) (
	found account, r result, errors []failure,
) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		db := &fakeDatabase{latency: time.Millisecond}
		require.NoError(t, db.prepare(t.Context()))
		db.statement = func(n int) verdict {
			if n <= len(verdicts) {
				return verdicts[n-1]
			}
			return verdict{}
		}
		books, seen := &ledger{}, newRecorder(time.Now(), options{writers: 1, readers: 1})
		c := &client{
			group: group{kind, kindWrite}, db: db,
			options: options{attempt: 10 * time.Second, request: time.Minute},
		}
		request(c, books, seen)
		c.release(errEnd)
		assert.Zero(t, db.open, "connections stay open")
		effects := books.tally()
		_, err := db.settle(t.Context(), effects.add)
		require.NoError(t, err)
		found, _ = books.balance(effects)
		_, results := seen.end(time.Now(), time.Now())
		for _, g := range results {
			if g.group == c.group {
				r = g
			}
		}
		errors = seen.failures()
	})
	return found, r, errors
}

func TestAWriteWithoutAnAnswerIsLookedUp(t *testing.T) {
	lost, refusal := said("FATAL", "57P01"), said("ERROR", "25006")
	for name, c := range map[string]struct {
		kind     string
		verdicts []verdict
		want     account
		retries  int
	}{
		"acknowledged":        {persistent, nil, account{Acknowledged: 1}, 0},
		"stored":              {persistent, []verdict{{false, lost}}, account{Unknown: 1, UnknownStored: 1}, 0},
		"not stored":          {reconnecting, []verdict{{true, lost}}, account{Unknown: 1, UnknownAbsent: 1}, 0},
		"refused":             {persistent, []verdict{{true, refusal}}, account{Failed: 1}, 0},
		"refused, but stored": {persistent, []verdict{{false, refusal}}, account{Unknown: 1, UnknownStored: 1}, 0},
		"repeated, stored before": {
			retrying, []verdict{{false, lost}, {true, refusal}}, account{Acknowledged: 1}, 2,
		},
		"repeated, not stored before": {retrying, []verdict{{true, lost}}, account{Acknowledged: 1}, 1},
		"acknowledged without an effect": {
			retrying, []verdict{{skipped: true}}, account{Unknown: 1, UnknownAbsent: 1}, 0,
		},
	} {
		t.Run(name, func(t *testing.T) {
			found, r, _ := once(t, c.kind, (*client).write, c.verdicts...)
			c.want.LostIDs, c.want.DuplicatedIDs = []int64{}, []int64{}
			assert.Equal(t, c.want, found)
			assert.Equal(t, c.retries, r.Retries)
			assert.Equal(t, c.want.Acknowledged, r.Answered)
			assert.Equal(t, 1-c.want.Acknowledged, r.Failed)
		})
	}
}

func TestARetryingClientGivesUpWhenItsTimeIsOver(t *testing.T) {
	refusals := make([]verdict, 1000)
	for i := range refusals {
		refusals[i] = verdict{true, said("ERROR", "25006")}
	}
	found, r, errors := once(t, retrying, (*client).write, refusals...)
	assert.Equal(t, 1, found.Failed, "no attempt can have stored it")
	assert.Greater(t, r.Retries, 90)
	assert.Equal(t, seconds(time.Minute), r.Longest)
	require.Len(t, errors, 1)
	assert.Equal(t, "gave up after 1m0s: ERROR: no (SQLSTATE 25006)", errors[0].Text)

	refusals[3].err = said("FATAL", "57P01")
	found, _, _ = once(t, retrying, (*client).write, refusals...)
	assert.Equal(t, 1, found.UnknownAbsent, "one attempt can have stored it")
}

func TestAnAcknowledgedWriteMustBeReadable(t *testing.T) {
	read := func(stored bool) []failure {
		_, _, errors := once(t, retrying, func(c *client, books *ledger, seen *recorder) {
			c.write(books, seen)
			if !stored {
				c.db.(*fakeDatabase).effects[1] = 0
			}
			c.read(books, seen)
		})
		return errors
	}
	assert.Empty(t, read(true))
	found := read(false)
	require.Len(t, found, 1)
	assert.Equal(t, "a read did not find the newest acknowledged write", found[0].Text)
}

// Connections are replaced between requests, so that no request notices, and not all at once.
func TestAConnectionThatHasServedItsTimeIsReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := &fakeDatabase{latency: time.Millisecond}
		require.NoError(t, db.prepare(t.Context()))
		books, seen := &ledger{}, newRecorder(time.Now(), options{writers: 1, readers: 1})
		c := &client{
			group: group{persistent, kindWrite}, db: db,
			options: options{attempt: 10 * time.Second, request: time.Minute, lifetime: 10 * time.Second},
		}
		opened := map[session]time.Duration{}
		began := time.Now()
		for range 300 {
			c.write(books, seen)
			if c.session != nil {
				if _, known := opened[c.session]; !known {
					opened[c.session] = time.Since(began)
				}
			}
			time.Sleep(100 * time.Millisecond) //nolint:forbidigo // the time of the bubble
		}
		assert.GreaterOrEqual(t, len(opened), 3)
		assert.LessOrEqual(t, len(opened), 4)
		assert.LessOrEqual(t, db.open, 1)
		assert.Empty(t, seen.failures())
		c.release(errEnd)
	})
	c := &client{options: options{lifetime: 10 * time.Second}}
	for range 100 {
		now := time.Now()
		kept := c.expiry(now).Sub(now)
		assert.GreaterOrEqual(t, kept, 9*time.Second)
		assert.LessOrEqual(t, kept, 10*time.Second)
	}
}
