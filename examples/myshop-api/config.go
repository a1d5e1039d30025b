package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

const (
	defaultListen         = ":8080"
	defaultMaxConnections = 10
	// A request to an unreachable database must fail while its client still waits. The kernel's own timeout is two
	// minutes.
	connectTimeout = 5 * time.Second
)

// databaseConfig parses a connection URL. Its errors never quote the URL: in a URL that does not parse, the password
// cannot be found and masked.
func databaseConfig(databaseURL string) (*pgxpool.Config, error) {
	if databaseURL == "" {
		return nil, errors.New(
			"DATABASE_URL is not set: set it to the PostgreSQL URL of the database, for example from the Secret " +
				"myshop-api-db",
		)
	}
	cfg, err := pgxpool.ParseConfig(databaseURL)
	if err != nil {
		return nil, errors.New(
			"DATABASE_URL is not a usable PostgreSQL URL (not shown because it contains a password): " +
				"want postgres://user:password@host:port/database?sslmode=…, user and password URL-encoded, " +
				"sslrootcert an existing file")
	}
	if cfg.ConnConfig.ConnectTimeout == 0 {
		cfg.ConnConfig.ConnectTimeout = connectTimeout
	}
	return cfg, nil
}

// poolConfig returns how the service connects, with the limits of this process. It keeps pgx's default of prepared
// statements: PgBouncer supports them in transaction mode since version 1.21.
func poolConfig(ctx context.Context, getenv func(string) string) (*pgxpool.Config, error) {
	var cfg *pgxpool.Config
	var err error
	switch how := getenv("DATABASE_AUTH"); how {
	case "", "password":
		cfg, err = databaseConfig(getenv("DATABASE_URL"))
	case "iam":
		cfg, err = iamConfig(ctx, getenv("DATABASE_IAM_URL"), podIdentity)
	default:
		err = fmt.Errorf("DATABASE_AUTH: %q: want password or iam", how)
	}
	limit, limitErr := maxConnections(getenv("DATABASE_MAX_CONNECTIONS"))
	lifetime, lifetimeErr := maxLifetime(getenv("DATABASE_CONNECTION_MAX_LIFETIME_SECONDS"))
	if err := errors.Join(err, limitErr, lifetimeErr); err != nil {
		return nil, err
	}
	cfg.MaxConns = limit
	if lifetime > 0 {
		// A tenth earlier at random, so that the connections are not all replaced at once.
		cfg.MaxConnLifetime, cfg.MaxConnLifetimeJitter = lifetime*9/10, lifetime/10
		// An idle connection is looked at once in this time.
		cfg.HealthCheckPeriod = min(cfg.HealthCheckPeriod, lifetime/10)
	}
	if _, named := cfg.ConnConfig.RuntimeParams["application_name"]; !named {
		cfg.ConnConfig.RuntimeParams["application_name"] = "myshop-api"
	}
	return cfg, nil
}

func maxConnections(value string) (int32, error) {
	if value == "" {
		return defaultMaxConnections, nil
	}
	n, err := strconv.ParseInt(value, 10, 32)
	if err != nil || n < 1 || n > 1000 {
		return 0, fmt.Errorf("DATABASE_MAX_CONNECTIONS: %q: want a whole number from 1 to 1000", value)
	}
	return int32(n), nil
}

// maxLifetime is how long a connection may be kept, 0 for pgx's default of an hour. An old pod of PgBouncer waits for
// its clients to leave, and cuts those that stay.
func maxLifetime(value string) (time.Duration, error) {
	if value == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(value)
	if err != nil || n < 1 || n > 86400 {
		return 0, fmt.Errorf("DATABASE_CONNECTION_MAX_LIFETIME_SECONDS: %q: want a whole number from 1 to 86400", value)
	}
	return time.Duration(n) * time.Second, nil
}
