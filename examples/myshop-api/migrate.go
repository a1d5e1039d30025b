package main

import (
	"bytes"
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"strconv"
	"time"

	"github.com/golang-migrate/migrate/v4"
	"github.com/golang-migrate/migrate/v4/database"
	"github.com/golang-migrate/migrate/v4/database/pgx/v5"
	"github.com/golang-migrate/migrate/v4/source/iofs"
	"github.com/jackc/pgx/v5/stdlib"
)

//go:embed migrations/*.sql
var embedded embed.FS

// lockTimeout is how long to wait for another run that holds the lock: longer than a migration of this service takes.
const lockTimeout = 5 * time.Minute

// migrateUp applies every migration that the database does not have yet. It is no error if there are none. dir is a
// folder of migrations; if it is empty, migrateUp uses the migrations in the binary.
func migrateUp(ctx context.Context, databaseURL, dir string, log *slog.Logger) (err error) {
	files, err := migrationFiles(dir)
	if err != nil {
		return err
	}
	cfg, err := databaseConfig(databaseURL)
	if err != nil {
		return err
	}
	db := stdlib.OpenDB(*cfg.ConnConfig)
	defer func() { err = errors.Join(err, db.Close()) }()
	if err := demandDirect(ctx, db); err != nil {
		return err
	}
	inner, err := pgx.WithInstance(db, &pgx.Config{})
	if err != nil {
		return fmt.Errorf("preparing the table of versions: %w", err)
	}
	source, err := iofs.New(files, ".")
	if err != nil {
		return fmt.Errorf("reading migrations: %w", err)
	}
	m, err := migrate.NewWithInstance("files", source, "postgres", &atomicDriver{Driver: inner})
	if err != nil {
		return fmt.Errorf("preparing to migrate: %w", err)
	}
	m.LockTimeout = lockTimeout
	// On SIGTERM, the current migration completes and no other starts.
	defer context.AfterFunc(ctx, func() { m.GracefulStop <- true })()

	before, _, err := inner.Version()
	if err != nil {
		return fmt.Errorf("reading the schema version: %w", err)
	}
	started := time.Now()
	err = m.Up()
	var dirty migrate.ErrDirty
	switch {
	case errors.Is(err, migrate.ErrNoChange):
		log.Info("the schema is up to date", "version", before)
		return nil
	case errors.As(err, &dirty):
		return fmt.Errorf(
			"the schema is marked dirty at version %d, which this program never does: another tool has failed; "+
				"repair by hand and set schema_migrations.dirty to false", dirty.Version)
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf(
			"the database is at version %d, which these migrations do not contain: is this an older image? %w", before,
			err,
		)
	case err != nil:
		return err
	}
	after, _, err := inner.Version()
	if err != nil {
		return fmt.Errorf("reading the schema version: %w", err)
	}
	if ctx.Err() != nil {
		return fmt.Errorf("stopped by a signal at version %d; more migrations may be left", after)
	}
	log.Info("migrated", "from", max(before, 0), "to", after, "took",
		time.Since(started).Round(time.Millisecond).String())
	return nil
}

func migrationFiles(dir string) (fs.FS, error) {
	if dir == "" {
		return fs.Sub(embedded, "migrations")
	}
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return nil, fmt.Errorf("--migrations: %q is not a folder", dir)
	}
	return os.DirFS(dir), nil
}

// demandDirect refuses a connection that goes through a pooler. The lock that excludes other runs belongs to a session,
// and a pooler in transaction mode uses another session for each transaction: the lock would protect nothing and could
// remain. A pooler is recognized by the process id, which it invents for its clients.
func demandDirect(ctx context.Context, db *sql.DB) (err error) {
	ctx, cancel := context.WithTimeout(ctx, 2*connectTimeout)
	defer cancel()
	conn, err := db.Conn(ctx)
	if err != nil {
		return fmt.Errorf("connecting to the database: %w", err)
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	var told, actual uint32
	if err := conn.QueryRowContext(ctx, "SELECT pg_backend_pid()").Scan(&actual); err != nil {
		return fmt.Errorf("asking the database for its process: %w", err)
	}
	err = conn.Raw(func(driver any) error {
		c, ok := driver.(*stdlib.Conn)
		if !ok {
			return fmt.Errorf("unexpected driver %T", driver)
		}
		told = c.Conn().PgConn().PID()
		return nil
	})
	if err == nil && told != actual {
		err = errors.New(
			"DATABASE_URL goes through a connection pooler, where the advisory lock of a migration protects nothing: " +
				"use the direct URL of the database, for example from the Secret myshop-api-db-direct")
	}
	return err
}

// atomicDriver runs a migration and the update of its version number in one transaction. Without it, golang-migrate
// marks the schema dirty before a migration and clean after it: if the migration fails or its pod is killed, every
// later run stops until someone repairs the database. With atomicDriver, a failed run changes nothing and the next one
// tries again.
//
// PostgreSQL runs the statements of one simple query in one transaction, so the update is appended to the migration. In
// a file with its own BEGIN and COMMIT, the statements before the COMMIT are not covered.
type atomicDriver struct {
	database.Driver
	version int
	noted   bool
}

// SetVersion writes nothing before a migration, and nothing after a migration that has updated the version itself.
func (d *atomicDriver) SetVersion(version int, dirty bool) error {
	if dirty {
		d.version, d.noted = version, false
		return nil
	}
	if d.noted && d.version == version {
		return nil
	}
	return d.Driver.SetVersion(version, false)
}

// Run executes a migration together with the update of its version number.
func (d *atomicDriver) Run(migration io.Reader) error {
	text, err := io.ReadAll(migration)
	if err != nil {
		return fmt.Errorf("migration %d: %w", d.version, err)
	}
	update := "\n;TRUNCATE " + pgx.DefaultMigrationsTable + "; INSERT INTO " + pgx.DefaultMigrationsTable +
		" (version, dirty) VALUES (" + strconv.Itoa(d.version) + ", false)"
	if err := d.Driver.Run(io.MultiReader(bytes.NewReader(text), bytes.NewReader([]byte(update)))); err != nil {
		var failed database.Error
		if errors.As(err, &failed) && failed.OrigErr != nil {
			return fmt.Errorf("migration %d: line %d: %w; the migration was rolled back", d.version,
				max(failed.Line, 1),
				failed.OrigErr)
		}
		return fmt.Errorf("migration %d: %w", d.version, err)
	}
	d.noted = true
	return nil
}
