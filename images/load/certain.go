package main

import (
	"errors"

	"github.com/jackc/pgerrcode"
	"github.com/jackc/pgx/v5/pgconn"
)

// notSentError is an error that occurred before a request was sent.
type notSentError struct{ error }

func (n notSentError) Unwrap() error { return n.error }

// certainlyNotDone reports whether the database certainly did not execute the statement that failed with err. After
// every other error it may have.
func certainlyNotDone(err error) bool {
	if _, ok := errors.AsType[notSentError](err); ok || pgconn.SafeToRetry(err) {
		return true
	}
	said, ok := errors.AsType[*pgconn.PgError](err)
	// An ERROR aborts the statement and what it did. FATAL ends the session, also one whose statement is committed and
	// waits for a standby. PgBouncer's own errors are FATAL, too, and say nothing about the server.
	return ok && said.SeverityUnlocalized == "ERROR" && abortsStatement(said.Code)
}

// abortsStatement reports whether the server answers a statement with this code only if it is aborted. Not in the list
// are classes that speak of the connection (08), an operator (57P), the machine (58) or a fault of the server (XX), and
// those that a proxy could answer with when it has lost the server.
func abortsStatement(code string) bool {
	switch code {
	case pgerrcode.StatementCompletionUnknown:
		return false
	case pgerrcode.QueryCanceled:
		return true
	}
	for _, is := range []func(string) bool{
		pgerrcode.IsDataException, pgerrcode.IsIntegrityConstraintViolation, pgerrcode.IsInvalidTransactionState,
		pgerrcode.IsInvalidSQLStatementName, pgerrcode.IsInvalidSchemaName, pgerrcode.IsTransactionRollback,
		pgerrcode.IsSyntaxErrororAccessRuleViolation, pgerrcode.IsInsufficientResources,
		pgerrcode.IsProgramLimitExceeded, pgerrcode.IsObjectNotInPrerequisiteState,
	} {
		if is(code) {
			return true
		}
	}
	return false
}
