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

// A database is taken away from under a service now and then: a failover, a reboot, sessions that an operator ends.
// What such a session was about to answer is lost, whoever its user is and whatever pool stands between; so the service
// asks again, as long as its client waits.

// The pauses between attempts grow from the first to the longest, each spread by half: a second is how long PgBouncer
// turns clients away after a login of its own failed.
const (
	firstPause   = 20 * time.Millisecond
	longestPause = 500 * time.Millisecond
)

// again asks over a connection of the pool until there is an answer, an error that another attempt would meet too, or
// ctx ends. What is not repeatable is asked again only if the database certainly did not begin it: a session that ended
// may have stored what it could no longer confirm.
func again[T any](
	ctx context.Context, pool *pgxpool.Pool, repeatable bool, ask func(context.Context, *pgxpool.Conn) (T, error),
) (T, error) {
	return attempts(ctx, repeatable, func() (answer T, err error) {
		connection, err := pool.Acquire(ctx)
		if err != nil {
			return answer, unbegun{err}
		}
		defer connection.Release()
		return ask(ctx, connection)
	})
}

// unbegun is an error from before a request was sent.
type unbegun struct{ error }

func (u unbegun) Unwrap() error { return u.error }

func attempts[T any](ctx context.Context, repeatable bool, attempt func() (T, error)) (T, error) {
	pauses := backoff.NewExponentialBackOff()
	pauses.InitialInterval, pauses.MaxInterval = firstPause, longestPause
	var last error
	answer, err := backoff.Retry(ctx, func() (T, error) {
		answer, err := attempt()
		if err == nil {
			return answer, nil
		}
		// The end of ctx says nothing of the database; what was seen before does.
		if ctx.Err() == nil {
			last = err
		}
		if !passes(err, repeatable) {
			err = backoff.Permanent(err)
		}
		return answer, err
	}, backoff.WithBackOff(pauses), backoff.WithMaxElapsedTime(0))
	if err != nil && last != nil && !errors.Is(err, last) {
		err = fmt.Errorf("%w, and before that: %w", err, last)
	}
	return answer, err
}

// passes says that an error is one of a moment, and that what met it may be done again.
func passes(err error, repeatable bool) bool {
	var before unbegun
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
			// PgBouncer's own errors, and those of servers that it could not log in at, are protocol violations
			// (08P01).
			return mayRepeat && pgerrcode.IsConnectionException(said.Code)
		}
	}
	var network net.Error
	broken := errors.As(err, &network) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF)
	return !begun || repeatable && broken
}
