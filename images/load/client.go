package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// The pauses between attempts grow from the first to the longest, each with a random spread of half. They also limit
// how exactly the outages of the retrying clients are measured.
const (
	firstPause   = 20 * time.Millisecond
	longestPause = 500 * time.Millisecond
)

// client makes one request at a time.
type client struct {
	group
	options
	db      database
	session session
	// until is when the connection is closed although it works, zero for never.
	until time.Time
}

// wrongAnswerError is the answer to a request that succeeded, but not with what the database must know. It is
// not repeated, because a repetition could hide it.
type wrongAnswerError struct{ text string }

func (w *wrongAnswerError) Error() string { return w.text }

// request makes a request: once, or until it succeeds if the client is a retrying one. It ends with the last answer, so
// the time of closing a connection does not count.
func (c *client) request(ask func(context.Context, session) error) (ended time.Time, retries int, err error) {
	if c.Client == retrying {
		return c.repeat(ask)
	}
	err = c.attempt(context.Background(), ask)
	ended = time.Now()
	c.release(err)
	return ended, 0, err
}

func (c *client) repeat(ask func(context.Context, session) error) (ended time.Time, retries int, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), c.options.request)
	defer cancel()
	attempts := 0
	var last error
	_, err = backoff.Retry(ctx, func() (struct{}, error) {
		err := c.attempt(ctx, ask)
		ended = time.Now()
		attempts++
		c.release(err)
		// The end of the time says nothing about the database; the error before it does.
		if last == nil || ctx.Err() == nil {
			last = err
		}
		if _, wrong := errors.AsType[*wrongAnswerError](err); wrong {
			err = backoff.Permanent(err)
		}
		return struct{}{}, err
	}, backoff.WithBackOff(pauses()), backoff.WithMaxElapsedTime(0))
	if err != nil && ctx.Err() != nil {
		// The caller has waited until the end of the time.
		ended, err = time.Now(), fmt.Errorf("gave up after %s: %w", c.options.request, last)
	}
	return ended, attempts - 1, err
}

func pauses() backoff.BackOff {
	p := backoff.NewExponentialBackOff()
	p.InitialInterval, p.MaxInterval = firstPause, longestPause
	return p
}

func (c *client) attempt(ctx context.Context, ask func(context.Context, session) error) error {
	ctx, cancel := context.WithTimeout(ctx, c.options.attempt)
	defer cancel()
	if c.session == nil {
		s, err := c.db.connect(ctx)
		if err != nil {
			return notSentError{err}
		}
		c.session, c.until = s, c.expiry(time.Now())
	}
	return ask(ctx, c.session)
}

// expiry is when a connection that is opened now has served its time: up to a tenth earlier, so that the connections
// are not all replaced at once.
func (c *client) expiry(now time.Time) time.Time {
	if c.lifetime == 0 {
		return time.Time{}
	}
	return now.Add(c.lifetime - rand.N(c.lifetime/10+1)) //nolint:gosec // not a secret
}

// release closes the connection after an error, at the end of its time, or after each request of a reconnecting client.
func (c *client) release(err error) {
	over := !c.until.IsZero() && !time.Now().Before(c.until)
	if c.session != nil && (err != nil || over || c.Client == reconnecting) {
		c.session.close()
		c.session = nil
	}
}

// write stores a new write and records what became of it.
func (c *client) write(l *ledger, r *recorder) {
	id, sent := l.next(), false
	began := time.Now()
	ended, retries, err := c.request(func(ctx context.Context, s session) error {
		effects, err := s.write(ctx, id)
		switch {
		case err != nil:
			// What one attempt may have done, another one's refusal does not undo.
			sent = sent || !certainlyNotDone(err)
			return err
		case effects == 1 || effects == 0 && sent:
			return nil
		}
		sent = true
		return &wrongAnswerError{fmt.Sprintf("a write was acknowledged with %d effects: want 1", effects)}
	})
	switch {
	case err == nil:
		l.settle(id, acknowledged)
	case !sent:
		l.settle(id, refused)
	}
	r.record(c.group, began, ended, retries, err)
}

// read reads the newest write that the database has acknowledged to any client. It must be there, whatever happened.
func (c *client) read(l *ledger, r *recorder) {
	id := l.newestAcknowledged()
	began := time.Now()
	ended, retries, err := c.request(func(ctx context.Context, s session) error {
		found, err := s.read(ctx, id)
		switch {
		case err != nil:
			return err
		case found == noRow:
			// Without the id, equal errors have equal texts.
			return &wrongAnswerError{"a read did not find the newest acknowledged write"}
		case found != id:
			// A pool that mixed up its clients would show this.
			return &wrongAnswerError{"a read returned another row than it asked for"}
		}
		return nil
	})
	r.record(c.group, began, ended, retries, err)
}
