package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
)

const (
	// patience limits the preparation, and the lookup of the writes.
	patience = 2 * time.Minute
	// lookupTimeout limits one attempt of these.
	lookupTimeout = 30 * time.Second
)

// run puts the load on the database until ctx ends, then accounts for all writes. It returns a problemError if that is
// its last line.
func run(ctx context.Context, opts options, db database, out io.Writer) error {
	if err := patiently(ctx, db.prepare); err != nil {
		return problem(out, fmt.Errorf("preparing the tables: %w", err))
	}
	began := time.Now()
	books, seen := &ledger{}, newRecorder(began, opts)
	if opts.restored != nil {
		var listen net.ListenConfig
		listener, err := listen.Listen(ctx, "unix", controlSocket)
		if err != nil {
			return problem(out, fmt.Errorf("listening for load restored: %w", err))
		}
		defer listener.Close()
		go answers(ctx, listener, books, opts.restored)
	}
	var printed sync.WaitGroup
	over := make(chan struct{})
	var failed error
	printed.Go(func() { failed = printSeconds(seen, over, out) })
	stopped := drive(ctx, opts, db, books, seen)
	close(over)
	printed.Wait()
	if failed != nil {
		return failed
	}
	ended := time.Now()
	rest, results := seen.end(stopped, ended)
	if err := writeSeconds(out, rest); err != nil {
		return err
	}
	last, err := settle(opts.run, db, books, seen)
	if err != nil {
		return problem(out, err)
	}
	last.Began, last.Ended, last.Groups, last.Errors = moment(began), moment(ended), results, seen.failures()
	return write(out, line{Done: last})
}

// settle looks up the writes and deletes them.
func settle(run string, db database, books *ledger, seen *recorder) (*done, error) {
	last := &done{Run: run}
	// No write begins any more, so neither does the caller's end matter.
	err := patiently(context.Background(), func(ctx context.Context) error {
		effects := books.tally()
		server, err := db.settle(ctx, effects.add)
		if err != nil {
			return err
		}
		var stored []int64
		last.Server = server
		last.Ledger, stored = books.balance(effects)
		for range stored {
			seen.note(time.Now(), "a write was stored that the database had refused")
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("looking up the writes: %w", err)
	}
	// The next run deletes what stays.
	ctx, cancel := context.WithTimeout(context.Background(), lookupTimeout)
	defer cancel()
	if err := db.clean(ctx); err != nil {
		seen.note(time.Now(), "deleting the rows of the run: "+textOf(err))
	}
	return last, nil
}

// patiently repeats a request to the database until it succeeds, fails for good, or the time for it is over.
func patiently(caller context.Context, ask func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(caller, patience)
	defer cancel()
	var last error
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
		defer cancel()
		err := ask(ctx)
		// The end of the time says nothing about the database; the error before it does.
		if err != nil && (last == nil || ctx.Err() == nil) {
			last = err
		}
		return struct{}{}, err
	}, backoff.WithBackOff(pauses()), backoff.WithMaxElapsedTime(0))
	switch {
	case err == nil:
		return nil
	case caller.Err() != nil:
		return fmt.Errorf("stopped before it succeeded: %w", last)
	case ctx.Err() != nil:
		return fmt.Errorf("gave up after %s: %w", patience, last)
	}
	return err
}

// drive runs all clients until ctx ends and their requests in flight have. It returns when ctx ended.
func drive(ctx context.Context, opts options, db database, books *ledger, seen *recorder) (stopped time.Time) {
	var clients sync.WaitGroup
	interval := time.Second / time.Duration(opts.rate)
	for _, g := range groups() {
		n, request := opts.writers, (*client).write
		if g.Kind == kindRead {
			n, request = opts.readers, (*client).read
		}
		for i := range n {
			c := &client{group: g, options: opts, db: db}
			// The clients of a group take turns, so that it hears from the database as often as it can.
			first := time.Now().Add(interval * time.Duration(i) / time.Duration(n))
			clients.Go(func() {
				defer c.release(errEnd)
				paced(ctx, first, interval, func() { request(c, books, seen) })
			})
		}
	}
	<-ctx.Done()
	stopped = time.Now()
	clients.Wait()
	return stopped
}

// errEnd makes a client close its connection.
var errEnd = errors.New("the load ends")

// paced calls do at first and after each interval until ctx ends. It skips the calls that came due during another one.
func paced(ctx context.Context, first time.Time, interval time.Duration, do func()) {
	for due := first; ; {
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Until(due)):
		}
		// Both can be ready.
		if ctx.Err() != nil {
			return
		}
		do()
		due = due.Add(interval)
		for now := time.Now(); due.Before(now); {
			due = due.Add(interval)
		}
	}
}

// printSeconds prints each second when it is over, until the load is.
func printSeconds(seen *recorder, over <-chan struct{}, out io.Writer) error {
	for {
		now := time.Now()
		select {
		case <-over:
			return nil
		case <-time.After(now.Truncate(time.Second).Add(time.Second).Sub(now)):
		}
		if err := writeSeconds(out, seen.take(time.Now())); err != nil {
			return err
		}
	}
}

func writeSeconds(out io.Writer, all []second) error {
	for i := range all {
		if err := write(out, line{Second: &all[i]}); err != nil {
			return err
		}
	}
	return nil
}

// problem makes err the last line.
func problem(out io.Writer, err error) error {
	if written := write(out, line{Problem: textOf(err)}); written != nil {
		return written
	}
	return problemError{err}
}
