package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/feature/rds/auth"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// This file logs in with IAM tokens instead of a password. A token is a request to connect, signed with the credentials
// of the pod's role. It is valid for 15 minutes and only needed for the login: a connection continues when its token
// has expired. Signing needs no call to AWS, so each new connection gets a new token and nothing is renewed on a
// schedule. The role's credentials expire an hour after STS issued them; the SDK renews them before that.

// identity signs tokens.
type identity struct {
	region      string
	credentials aws.CredentialsProvider
}

// podIdentity returns the role of this pod. The SDK finds it by a token of the ServiceAccount
// (AWS_WEB_IDENTITY_TOKEN_FILE) or by EKS Pod Identity.
func podIdentity(ctx context.Context) (identity, error) {
	cfg, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return identity{}, fmt.Errorf("finding the pod's role: %w", err)
	}
	if cfg.Region == "" {
		return identity{}, errors.New("AWS_REGION is not set: tokens are signed for the region of the database")
	}
	return identity{cfg.Region, cfg.Credentials}, nil
}

// iamConfig parses DATABASE_IAM_URL, a URL without a password, and makes each connection log in with a new token.
func iamConfig(
	ctx context.Context, databaseURL string, pod func(context.Context) (identity, error),
) (*pgxpool.Config, error) {
	if databaseURL == "" {
		return nil, errors.New(
			"DATABASE_IAM_URL is not set: the service's stack sets it with `dbtier:iam: {enabled: true}`",
		)
	}
	cfg, err := pgxpool.ParseConfig(databaseURL)
	switch {
	case err != nil:
		// The error does not quote the URL: by mistake it may be one with a password.
		return nil, errors.New("DATABASE_IAM_URL is not a usable PostgreSQL URL: " +
			"want postgresql://user@host:port/database?sslmode=verify-full&sslrootcert=<file>")
	case cfg.ConnConfig.Password != "":
		return nil, errors.New(
			"DATABASE_IAM_URL contains a password, but the login uses a token: remove the password, or use " +
				"DATABASE_URL " +
				"without DATABASE_AUTH=iam",
		)
	case !verifies(cfg.ConnConfig.TLSConfig) || len(cfg.ConnConfig.Fallbacks) > 0:
		return nil, errors.New(
			"DATABASE_IAM_URL does not verify the server that gets the token: want sslmode=verify-full and " +
				"sslrootcert=<file>",
		)
	}
	if cfg.ConnConfig.ConnectTimeout == 0 {
		cfg.ConnConfig.ConnectTimeout = connectTimeout
	}
	as, err := pod(ctx)
	if err != nil {
		return nil, err
	}
	cfg.BeforeConnect = func(ctx context.Context, connection *pgx.ConnConfig) error {
		endpoint := net.JoinHostPort(connection.Host, strconv.Itoa(int(connection.Port)))
		token, err := auth.BuildAuthToken(ctx, endpoint, as.region, connection.User, as.credentials)
		if err != nil {
			return fmt.Errorf("signing a token for %s at %s: %w", connection.User, endpoint, err)
		}
		connection.Password = token
		return nil
	}
	return cfg, nil
}

// verifies reports whether a connection verifies both the certificate and its name.
func verifies(t *tls.Config) bool { return t != nil && !t.InsecureSkipVerify && t.ServerName != "" }

// whoAmI connects once and writes the name of the database user.
func whoAmI(ctx context.Context, cfg *pgxpool.Config, out io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, 2*connectTimeout)
	defer cancel()
	cfg.MaxConns = 1
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return fmt.Errorf("creating the connection pool: %w", err)
	}
	defer pool.Close()
	var user string
	if err := pool.QueryRow(ctx, "SELECT current_user").Scan(&user); err != nil {
		return fmt.Errorf("asking the database for the user: %w", err)
	}
	_, err = fmt.Fprintln(out, user)
	return err
}
