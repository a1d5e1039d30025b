package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// unsent is an error that occurred before anything was sent.
type unsent struct{ error }

func (unsent) SafeToRetry() bool { return true }

func sqlState(code string) error { return fmt.Errorf("listing: %w", &pgconn.PgError{Code: code}) }

func TestWhatPasses(t *testing.T) {
	config, err := pgx.ParseConfig("postgres://u:p@127.0.0.1:1/d")
	require.NoError(t, err)
	_, connecting := pgx.ConnectConfig(t.Context(), config)
	require.Error(t, connecting)
	for name, c := range map[string]struct {
		err         error
		read, write bool
	}{
		"a connection that cannot be opened": {notStartedError{connecting}, true, true},
		"a pool whose connections are all broken": {
			notStartedError{errors.New("pgxpool: too many failed attempts acquiring connection")}, true, true,
		},
		"a login that PgBouncer turns away":            {notStartedError{sqlState("08P01")}, true, true},
		"a login with a wrong password":                {notStartedError{sqlState("28P01")}, false, false},
		"a connection found closed before it was used": {unsent{errors.New("conn closed")}, true, true},
		"a session that was ended":                     {sqlState("57P01"), true, false},
		"a server that crashed":                        {sqlState("57P02"), true, false},
		"a connection that broke": {
			&net.OpError{Op: "read", Err: syscall.ECONNRESET}, true, false,
		},
		"a connection that was closed": {
			fmt.Errorf("receive message: %w", io.ErrUnexpectedEOF), true, false,
		},
		"a word of PgBouncer":       {sqlState("08P01"), true, false},
		"a server that starts":      {sqlState("57P03"), true, true},
		"a server that is full":     {sqlState("53300"), true, true},
		"a statement that is wrong": {sqlState("42601"), false, false},
		"a wrong password":          {sqlState("28P01"), false, false},
		"no rows":                   {pgx.ErrNoRows, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, c.read, isTransient(c.err, true), "read")
			assert.Equal(t, c.write, isTransient(c.err, false), "write")
		})
	}
}

func TestASecondAttemptAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tries := 0
		answer, err := attempts(t.Context(), true, func() (string, error) {
			tries++
			if tries < 5 {
				return "", sqlState("57P01")
			}
			return "here", nil
		})
		require.NoError(t, err)
		assert.Equal(t, "here", answer)
		assert.Equal(t, 5, tries)
	})
}

func TestAnErrorThatStaysIsToldAtOnce(t *testing.T) {
	tries := 0
	_, err := attempts(t.Context(), true, func() (int, error) {
		tries++
		return 0, sqlState("42601")
	})
	assert.Equal(t, sqlState("42601"), err)
	assert.Equal(t, 1, tries)
}

func TestWhatWasSeenLastIsToldWhenTheClientNoLongerWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		tries := 0
		_, err := attempts(ctx, true, func() (int, error) {
			tries++
			return 0, sqlState("57P01")
		})
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorContains(t, err, "57P01")
		assert.Greater(t, tries, 15)
		assert.Less(t, tries, 60, "the pauses grow")
	})
}
