package rds

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// baseRoles creates the roles of RDS in a new PostgreSQL. rds_superuser can grant rds_iam to others. That membership
// gives it no other rights: it neither inherits from rds_iam nor can set the role (see isIAMUser). The master
// user owns its databases, which gives it its rights on them.
const baseRoles = `
CREATE ROLE rds_superuser NOLOGIN;
CREATE ROLE rds_iam NOLOGIN;
CREATE ROLE rds_replication NOLOGIN;
CREATE ROLE rds_password NOLOGIN;
GRANT rds_iam, rds_replication, rds_password TO rds_superuser WITH ADMIN TRUE, INHERIT FALSE, SET FALSE;
GRANT pg_monitor, pg_signal_backend, pg_checkpoint, pg_use_reserved_connections TO rds_superuser WITH ADMIN OPTION;
`

// openAdmin opens a pool of connections as rdsadmin over the socket. They use the connections that are reserved for the
// superuser.
func openAdmin(ctx context.Context, socketDir string) (*pgxpool.Pool, error) {
	cfg, err := pgxpool.ParseConfig("")
	if err != nil {
		return nil, fmt.Errorf("preparing the administrator's connections: %w", err)
	}
	c := cfg.ConnConfig
	c.Host, c.Port, c.User, c.Database, c.Password = socketDir, socketPort, adminUser, "postgres", ""
	// Ignore settings that ParseConfig read from the environment of this process.
	c.Fallbacks, c.TLSConfig = nil, nil
	c.ConnectTimeout = 5 * time.Second
	c.RuntimeParams = map[string]string{
		"application_name": "rdsadmin",
		// Customers read this log, so statements of the administrator must not get into it.
		"log_statement": "none", "log_min_duration_statement": "-1", "log_min_error_statement": "panic",
		"log_duration":      "off",
		"statement_timeout": "30000", "lock_timeout": "10000", "idle_session_timeout": "0",
		"default_transaction_read_only": "off",
	}
	cfg.MaxConns = superuserReserved - 1
	cfg.MinConns = 0
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("preparing the administrator's connections: %w", err)
	}
	return pool, nil
}

// bootstrap creates the roles and the database of a new instance.
func bootstrap(ctx context.Context, db *pgxpool.Pool, spec Spec, secret string) error {
	if _, err := db.Exec(ctx, baseRoles); err != nil {
		return fmt.Errorf("creating the roles of RDS: %w", err)
	}
	master := pgx.Identifier{spec.MasterUsername}.Sanitize()
	statements := []string{
		"CREATE ROLE " + master + " LOGIN CREATEDB CREATEROLE PASSWORD '" + secret + "' VALID UNTIL 'infinity'",
		"GRANT rds_superuser TO " + master + " WITH ADMIN OPTION",
		"ALTER DATABASE postgres OWNER TO " + master,
		"ALTER DATABASE template1 OWNER TO " + master,
	}
	if spec.DBName != "" && spec.DBName != "postgres" {
		statements = append(statements, "CREATE DATABASE "+pgx.Identifier{spec.DBName}.Sanitize()+" OWNER "+master)
	}
	for i, statement := range statements {
		if _, err := db.Exec(ctx, statement); err != nil {
			return fmt.Errorf("creating user %s and its database (step %d): %w", spec.MasterUsername, i+1, err)
		}
	}
	return nil
}

// setPassword sets a user's password. PostgreSQL gets only its SCRAM secret.
func setPassword(ctx context.Context, db *pgxpool.Pool, user, secret string) error {
	if _, err := db.Exec(ctx, "ALTER ROLE "+pgx.Identifier{user}.Sanitize()+" PASSWORD '"+secret+"'"); err != nil {
		return fmt.Errorf("setting the password of %s: %w", user, err)
	}
	return nil
}

// isIAMUser reports whether a user logs in with tokens. A membership in rds_iam that only allows granting it to others
// does not count, so a master user keeps its password.
func isIAMUser(ctx context.Context, db *pgxpool.Pool, user string) (bool, error) {
	var iam bool
	err := db.QueryRow(ctx, `SELECT pg_has_role(oid, 'rds_iam', 'USAGE') OR pg_has_role(oid, 'rds_iam', 'SET')
		FROM pg_catalog.pg_roles WHERE rolname = $1 AND NOT rolsuper AND rolcanlogin`, user).Scan(&iam)
	if errors.Is(err, pgx.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("checking how a user logs in: %w", err)
	}
	return iam, nil
}

// pendingReboot returns the parameters whose new values wait for a restart.
func pendingReboot(ctx context.Context, db *pgxpool.Pool) ([]string, error) {
	rows, err := db.Query(ctx, "SELECT name FROM pg_catalog.pg_settings WHERE pending_restart ORDER BY name")
	if err != nil {
		return nil, fmt.Errorf("reading which parameters wait for a reboot: %w", err)
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("reading which parameters wait for a reboot: %w", err)
	}
	return names, nil
}

// reload makes PostgreSQL read its configuration files again. It waits until the postmaster has read them, so that new
// sessions use them.
func reload(ctx context.Context, db *pgxpool.Pool) error {
	conn, err := db.Acquire(ctx)
	if err != nil {
		return fmt.Errorf("reloading PostgreSQL: %w", err)
	}
	defer conn.Release()
	var before time.Time
	if err := conn.QueryRow(ctx, "SELECT pg_conf_load_time()").Scan(&before); err != nil {
		return fmt.Errorf("reloading PostgreSQL: %w", err)
	}
	if _, err := conn.Exec(ctx, "SELECT pg_reload_conf()"); err != nil {
		return fmt.Errorf("reloading PostgreSQL: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	return poll(ctx, 2*time.Millisecond, "PostgreSQL to reload its configuration", func() (bool, error) {
		var loaded time.Time
		if err := conn.QueryRow(ctx, "SELECT pg_conf_load_time()").Scan(&loaded); err != nil {
			return false, fmt.Errorf("reloading PostgreSQL: %w", err)
		}
		return loaded.After(before), nil
	})
}

// poll calls holds at the interval every until it returns true or an error, or ctx ends.
func poll(ctx context.Context, every time.Duration, what string, holds func() (bool, error)) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		ok, err := holds()
		if ok || err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("waiting for %s: %w", what, ctx.Err())
		}
	}
}

// unquotable reports whether a user name cannot be written in pg_hba.conf. There, a leading slash begins a pattern,
// even inside quotes.
func unquotable(user string) bool {
	return strings.HasPrefix(user, "/") || strings.ContainsAny(user, "\n\r\x00")
}
