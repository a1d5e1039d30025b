package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/assert"
)

// unsent is an error of pgx from before anything was sent.
type unsent struct{ error }

func (unsent) SafeToRetry() bool { return true }

func TestOnlyACertainRefusalIsNotUnknown(t *testing.T) {
	for name, c := range map[string]struct {
		err     error
		certain bool
	}{
		"a connection that cannot be opened":           {notSentError{errors.New("refused")}, true},
		"a login that is turned away":                  {notSentError{said("FATAL", "08P01")}, true},
		"a connection found closed before it was used": {unsent{errors.New("conn closed")}, true},
		"a server that is a standby now":               {said("ERROR", "25006"), true},
		"a statement that waited too long for a lock":  {said("ERROR", "55P03"), true},
		"a statement that was cancelled":               {said("ERROR", "57014"), true},
		"a deadlock, wrapped":                          {fmt.Errorf("writing: %w", said("ERROR", "40P01")), true},
		"a statement whose end the server cannot know": {said("ERROR", "40003"), false},
		"a missing right":                              {said("ERROR", "42501"), true},
		"a full disk":                                  {said("ERROR", "53100"), true},
		"a session that was ended":                     {said("FATAL", "57P01"), false},
		"a session that was ended, as an ERROR":        {said("ERROR", "57P01"), false},
		"a server that crashed":                        {said("FATAL", "57P02"), false},
		"a connection that PgBouncer lost":             {said("FATAL", "08P01"), false},
		"a refusal without its severity":               {&pgconn.PgError{Code: "42501"}, false},
		"a fault of the server":                        {said("ERROR", "XX000"), false},
		"a connection that broke":                      {&net.OpError{Op: "read", Err: syscall.ECONNRESET}, false},
		"a connection that was closed":                 {io.ErrUnexpectedEOF, false},
		"a statement without an answer in time":        {context.DeadlineExceeded, false},
		"an answer that is wrong":                      {&wrongAnswerError{"2"}, false},
	} {
		t.Run(name, func(t *testing.T) { assert.Equal(t, c.certain, certainlyNotDone(c.err)) })
	}
}
