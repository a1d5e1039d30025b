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
	// An unreachable database must fail a request while its client still waits, not after the kernel's two minutes.
	connectTimeout = 5 * time.Second
)

// databaseConfig reads a connection URL. Its errors never quote the URL: a URL that does not parse is exactly the one
// whose password cannot be found and masked.
func databaseConfig(databaseURL string) (*pgxpool.Config, error) {
	if databaseURL == "" {
		return nil, errors.New(
			"DATABASE_URL is not set: give it the PostgreSQL URL of the database, for example from the Secret " +
				"myshop-api-db",
		)
	}
	cfg, err := pgxpool.ParseConfig(databaseURL)
	if err != nil {
		return nil, errors.New("DATABASE_URL is no PostgreSQL URL that can be used (not shown, it holds a password): " +
			"want postgres://user:password@host:port/database?sslmode=…, user and password URL-encoded, sslrootcert " +
			"an existing file")
	}
	if cfg.ConnConfig.ConnectTimeout == 0 {
		cfg.ConnConfig.ConnectTimeout = connectTimeout
	}
	return cfg, nil
}

// poolConfig is how the service connects, with the limits of this process. Prepared statements stay pgx's default:
// PgBouncer keeps track of them in transaction mode since 1.21.
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
	if err := errors.Join(err, limitErr); err != nil {
		return nil, err
	}
	cfg.MaxConns = limit
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
