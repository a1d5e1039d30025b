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
)

// A database is taken away from under a service now and then: a failover, a reboot, sessions that an operator ends. What such a session was about
// to answer is lost, whoever its user is and whatever pool stands between; so the service asks again, as long as its client waits.

// The pauses between attempts grow from the first to the longest, each spread by half: a second is how long PgBouncer turns clients away after a
// login of its own failed.
const (
	firstPause   = 20 * time.Millisecond
	longestPause = 500 * time.Millisecond
)

// again asks until there is an answer, an error that another attempt would meet too, or ctx ends. What is not repeatable is asked again only if the
// database certainly did not begin it: a session that ended may have stored what it could no longer confirm.
func again[T any](ctx context.Context, repeatable bool, ask func(context.Context) (T, error)) (T, error) {
	pauses := backoff.NewExponentialBackOff()
	pauses.InitialInterval, pauses.MaxInterval = firstPause, longestPause
	var last error
	answer, err := backoff.Retry(ctx, func() (T, error) {
		answer, err := ask(ctx)
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

// passes says that an error is one of a moment.
func passes(err error, repeatable bool) bool {
	var connecting *pgconn.ConnectError
	begun := !errors.As(err, &connecting) && !pgconn.SafeToRetry(err)
	if begun && !repeatable {
		return refusedBegin(err)
	}
	var said *pgconn.PgError
	if errors.As(err, &said) {
		// PgBouncer's own errors, and those of servers that it could not log in at, are protocol violations (08P01).
		return pgerrcode.IsConnectionException(said.Code) || said.Code == pgerrcode.AdminShutdown || said.Code == pgerrcode.CrashShutdown || refusedBegin(err)
	}
	var network net.Error
	return !begun || errors.As(err, &network) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF)
}

// refusedBegin says that the server had no session to give.
func refusedBegin(err error) bool {
	var said *pgconn.PgError
	return errors.As(err, &said) && (said.Code == pgerrcode.CannotConnectNow || said.Code == pgerrcode.TooManyConnections)
}
