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

// What RDS puts into every new PostgreSQL. rds_superuser may grant rds_iam to others without being a member in any way
// that counts: neither inheriting nor able to set the role (see instance.usesIAM). The master user's rights on its
// databases come from owning them.
const baseRoles = `
CREATE ROLE rds_superuser NOLOGIN;
CREATE ROLE rds_iam NOLOGIN;
CREATE ROLE rds_replication NOLOGIN;
CREATE ROLE rds_password NOLOGIN;
GRANT rds_iam, rds_replication, rds_password TO rds_superuser WITH ADMIN TRUE, INHERIT FALSE, SET FALSE;
GRANT pg_monitor, pg_signal_backend, pg_checkpoint, pg_use_reserved_connections TO rds_superuser WITH ADMIN OPTION;
`

// openAdmin makes a pool of connections as rdsadmin over the socket. They come out of the reserve of the superuser.
func openAdmin(ctx context.Context, socketDir string) (*pgxpool.Pool, error) {
	cfg, err := pgxpool.ParseConfig("")
	if err != nil {
		return nil, fmt.Errorf("preparing the administrator's connection: %w", err)
	}
	c := cfg.ConnConfig
	c.Host, c.Port, c.User, c.Database, c.Password = socketDir, socketPort, adminUser, "postgres", ""
	// What ParseConfig took from this process's environment is not meant for this connection.
	c.Fallbacks, c.TLSConfig = nil, nil
	c.ConnectTimeout = 5 * time.Second
	c.RuntimeParams = map[string]string{
		"application_name": "rdsadmin",
		// Nothing the administrator says belongs in a log that a customer reads.
		"log_statement": "none", "log_min_duration_statement": "-1", "log_min_error_statement": "panic",
		"log_duration":      "off",
		"statement_timeout": "30000", "lock_timeout": "10000", "idle_session_timeout": "0",
		"default_transaction_read_only": "off",
	}
	cfg.MaxConns = superuserReserved - 1
	cfg.MinConns = 0
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("preparing the administrator's connection: %w", err)
	}
	return pool, nil
}

// bootstrap makes the roles and the database of a new instance.
func bootstrap(ctx context.Context, db *pgxpool.Pool, spec Spec, secret string) error {
	if _, err := db.Exec(ctx, baseRoles); err != nil {
		return fmt.Errorf("making the roles of RDS: %w", err)
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
			return fmt.Errorf("making user %s and its database (step %d): %w", spec.MasterUsername, i+1, err)
		}
	}
	return nil
}

// setPassword gives a user a password that PostgreSQL sees only as its SCRAM secret.
func setPassword(ctx context.Context, db *pgxpool.Pool, user, secret string) error {
	if _, err := db.Exec(ctx, "ALTER ROLE "+pgx.Identifier{user}.Sanitize()+" PASSWORD '"+secret+"'"); err != nil {
		return fmt.Errorf("setting the password of %s: %w", user, err)
	}
	return nil
}

// isIAMUser asks whether a user logs in with tokens. A membership that only allows granting rds_iam to others does not
// count, so that a master user keeps its password.
func isIAMUser(ctx context.Context, db *pgxpool.Pool, user string) (bool, error) {
	var iam bool
	err := db.QueryRow(ctx, `SELECT pg_has_role(oid, 'rds_iam', 'USAGE') OR pg_has_role(oid, 'rds_iam', 'SET')
		FROM pg_catalog.pg_roles WHERE rolname = $1 AND NOT rolsuper AND rolcanlogin`, user).Scan(&iam)
	if errors.Is(err, pgx.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("asking how a user logs in: %w", err)
	}
	return iam, nil
}

// pendingReboot lists the parameters whose new values wait for a restart.
func pendingReboot(ctx context.Context, db *pgxpool.Pool) ([]string, error) {
	rows, err := db.Query(ctx, "SELECT name FROM pg_catalog.pg_settings WHERE pending_restart ORDER BY name")
	if err != nil {
		return nil, fmt.Errorf("asking which parameters wait for a reboot: %w", err)
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("asking which parameters wait for a reboot: %w", err)
	}
	return names, nil
}

// reload makes PostgreSQL read its files again and waits until the postmaster has: a session that begins after that
// carries the time of the reload.
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

// poll asks again and again until the condition holds, fails, or ctx ends.
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

// unquotable says whether a user's name cannot stand in pg_hba.conf as itself: there a leading slash means a pattern,
// quoted or not.
func unquotable(user string) bool {
	return strings.HasPrefix(user, "/") || strings.ContainsAny(user, "\n\r\x00")
}
