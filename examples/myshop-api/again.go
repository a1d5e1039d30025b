package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/jackc/pgerrcode"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Database sessions end now and then: by a failover, a reboot, or an operator. The answer of such a session is lost,
// whichever user or pool it belongs to. The service therefore retries the request, as long as its client waits.

// The pauses between attempts grow from the first to the longest, each with a random spread of half. PgBouncer rejects
// clients for a second after one of its own logins has failed.
const (
	firstPause   = 20 * time.Millisecond
	longestPause = 500 * time.Millisecond
)

// again runs ask on a connection of the pool until it succeeds, fails with an error that is not transient, or ctx ends.
// A request that is not repeatable is retried only if the database certainly did not start it: a session that ended may
// have stored the data without a confirmation.
func again[T any](
	ctx context.Context, pool *pgxpool.Pool, repeatable bool, ask func(context.Context, *pgxpool.Conn) (T, error),
) (T, error) {
	return attempts(ctx, repeatable, func() (answer T, err error) {
		connection, err := pool.Acquire(ctx)
		if err != nil {
			return answer, notStartedError{err}
		}
		defer connection.Release()
		return ask(ctx, connection)
	})
}

// notStartedError is an error that occurred before a request was sent.
type notStartedError struct{ error }

func (u notStartedError) Unwrap() error { return u.error }

func attempts[T any](ctx context.Context, repeatable bool, attempt func() (T, error)) (T, error) {
	pauses := backoff.NewExponentialBackOff()
	pauses.InitialInterval, pauses.MaxInterval = firstPause, longestPause
	var last error
	answer, err := backoff.Retry(ctx, func() (T, error) {
		answer, err := attempt()
		if err == nil {
			return answer, nil
		}
		// The end of ctx says nothing about the database; the error before it does.
		if ctx.Err() == nil {
			last = err
		}
		if !isTransient(err, repeatable) {
			err = backoff.Permanent(err)
		}
		return answer, err
	}, backoff.WithBackOff(pauses), backoff.WithMaxElapsedTime(0))
	if err != nil && last != nil && !errors.Is(err, last) {
		err = fmt.Errorf("%w; the last error before that: %w", err, last)
	}
	return answer, err
}

// isTransient reports whether an error is transient and its request may be retried.
func isTransient(err error, repeatable bool) bool {
	var before notStartedError
	begun := !errors.As(err, &before) && !pgconn.SafeToRetry(err)
	mayRepeat := repeatable || !begun
	var said *pgconn.PgError
	if errors.As(err, &said) {
		switch said.Code {
		case pgerrcode.CannotConnectNow, pgerrcode.TooManyConnections:
			return true
		case pgerrcode.AdminShutdown, pgerrcode.CrashShutdown:
			return mayRepeat
		default:
			// PgBouncer reports its own errors and its failed logins to servers as protocol violations (08P01).
			return mayRepeat && pgerrcode.IsConnectionException(said.Code)
		}
	}
	var network net.Error
	broken := errors.As(err, &network) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF)
	return !begun || repeatable && broken
}
