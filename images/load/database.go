package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/jackc/pgerrcode"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// session is a connection of a client. An error ends it: its owner closes it and opens another.
type session interface {
	// write stores a write and returns how many effects that had: 1, or 0 if it was stored already.
	write(ctx context.Context, id int64) (effects int64, err error)
	// read looks a write up and returns the id of the row that was found, or noRow.
	read(ctx context.Context, id int64) (found int64, err error)
	close()
}

// noRow is the id of a row that was not found.
const noRow = -1

// database is where the clients connect to, and where the account is settled.
type database interface {
	connect(ctx context.Context) (session, error)
	// prepare deletes the rows of earlier runs, and stores the write 0 for the readers that come before all writers.
	prepare(ctx context.Context) error
	// settle lists the effects of each write that has some, when no write is in progress any more, and returns the
	// version of the server.
	settle(ctx context.Context, effects func(id, n int64)) (server string, err error)
	// clean deletes the rows of the run.
	clean(ctx context.Context) error
}

const (
	writeSQL = `WITH r AS (INSERT INTO dbtier_drills.requests VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING run, id)
INSERT INTO dbtier_drills.effects (run, id) SELECT run, id FROM r`
	readSQL   = `SELECT id FROM dbtier_drills.requests WHERE run = $1 AND id = $2`
	settleSQL = `SELECT id, count(*) FROM dbtier_drills.effects WHERE run = $1 GROUP BY id`
	// A write whose client has lost its connection can still be in progress. SHARE waits for its end.
	quietSQL = `SET LOCAL lock_timeout = '15s'; LOCK TABLE dbtier_drills.requests IN SHARE MODE`
)

const (
	// connectTimeout is for each address of the server. The attempt has a limit of its own, for everything.
	connectTimeout = 5 * time.Second
	closeTimeout   = time.Second
)

type postgres struct {
	config *pgx.ConnConfig
	run    string
}

// open parses a connection URL. Its error never quotes the URL: in one that does not parse, the password cannot be
// found and masked.
func open(databaseURL, run string) (*postgres, error) {
	if databaseURL == "" {
		return nil, errors.New("DATABASE_URL is not set: set it to the PostgreSQL URL of the database")
	}
	cfg, err := pgx.ParseConfig(databaseURL)
	if err != nil {
		return nil, errors.New(
			"DATABASE_URL is not a usable PostgreSQL URL (not shown because it contains a password): " +
				"want postgres://user:password@host:port/database?sslmode=…, user and password URL-encoded, " +
				"sslrootcert an existing file")
	}
	if cfg.ConnectTimeout == 0 {
		cfg.ConnectTimeout = connectTimeout
	}
	if _, named := cfg.RuntimeParams["application_name"]; !named {
		cfg.RuntimeParams["application_name"] = "dbtier-load"
	}
	return &postgres{cfg, run}, nil
}

func (p *postgres) connect(ctx context.Context) (session, error) {
	conn, err := pgx.ConnectConfig(ctx, p.config)
	if err != nil {
		return nil, err
	}
	return &pgSession{conn, p.run}, nil
}

// prepare deletes all rows, because only one run at a time uses the tables.
func (p *postgres) prepare(ctx context.Context) error {
	err := p.transaction(ctx, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `DELETE FROM dbtier_drills.effects; DELETE FROM dbtier_drills.requests`); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, writeSQL, p.run, 0)
		return err
	})
	switch code := codeOf(err); code {
	case pgerrcode.UndefinedTable, pgerrcode.InvalidSchemaName, pgerrcode.InsufficientPrivilege:
		return backoff.Permanent(fmt.Errorf("the database has no tables for drills: set "+
			"`dbtier:drills: {enabled: true}` in the stack and run `dbtier up`: %w", err))
	default:
		return err
	}
}

func (p *postgres) settle(ctx context.Context, effects func(id, n int64)) (server string, err error) {
	err = p.transaction(ctx, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, quietSQL); err != nil {
			return err
		}
		if err := tx.QueryRow(ctx, `SELECT current_setting('server_version')`).Scan(&server); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, settleSQL, p.run)
		if err != nil {
			return err
		}
		var id, n int64
		_, err = pgx.ForEachRow(rows, []any{&id, &n}, func() error {
			effects(id, n)
			return nil
		})
		return err
	})
	// A distribution adds its own version, as in "16.14 (Debian 16.14-1)".
	server, _, _ = strings.Cut(server, " ")
	return server, err
}

func (p *postgres) clean(ctx context.Context) error {
	return p.transaction(ctx, func(tx pgx.Tx) error {
		for _, table := range []string{"effects", "requests"} {
			if _, err := tx.Exec(ctx, `DELETE FROM dbtier_drills.`+table+` WHERE run = $1`, p.run); err != nil {
				return err
			}
		}
		return nil
	})
}

// transaction runs do in a transaction on a connection of its own.
func (p *postgres) transaction(ctx context.Context, do func(pgx.Tx) error) error {
	conn, err := pgx.ConnectConfig(ctx, p.config)
	if err != nil {
		return err
	}
	defer func() { (&pgSession{conn: conn}).close() }()
	return pgx.BeginFunc(ctx, conn, do)
}

// codeOf returns the SQLSTATE of the server's error, or "".
func codeOf(err error) string {
	if said, ok := errors.AsType[*pgconn.PgError](err); ok {
		return said.Code
	}
	return ""
}

type pgSession struct {
	conn *pgx.Conn
	run  string
}

func (s *pgSession) write(ctx context.Context, id int64) (int64, error) {
	// pgx returns when the server is ready for the next query, so when it has committed.
	tag, err := s.conn.Exec(ctx, writeSQL, s.run, id)
	return tag.RowsAffected(), err
}

func (s *pgSession) read(ctx context.Context, id int64) (found int64, err error) {
	err = s.conn.QueryRow(ctx, readSQL, s.run, id).Scan(&found)
	if errors.Is(err, pgx.ErrNoRows) {
		return noRow, nil
	}
	return found, err
}

func (s *pgSession) close() {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	// The server learns of the end even if it cannot be told now.
	_ = s.conn.Close(ctx)
}
