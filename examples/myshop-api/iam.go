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

// Login with IAM tokens in place of a password. A token is a request to connect that is signed with the credentials of
// the pod's role; it holds for 15 minutes, and for a login only: a connection lives on when its token has run out.
// Signing needs no call to AWS, so each new connection gets a token of its own, and there is nothing to renew on a
// schedule. What does run out are the role's credentials, an hour after STS gave them; the SDK takes new ones in time.

// identity is who signs.
type identity struct {
	region      string
	credentials aws.CredentialsProvider
}

// podIdentity is the role of this pod: by a token of its ServiceAccount (AWS_WEB_IDENTITY_TOKEN_FILE) or by EKS Pod
// Identity, as the SDK finds it.
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

// iamConfig reads DATABASE_IAM_URL, a URL without a password, and has every connection log in with a token of its own.
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
		// Not quoted all the same: it may be another URL, with a password.
		return nil, errors.New("DATABASE_IAM_URL is no PostgreSQL URL that can be used: " +
			"want postgresql://user@host:port/database?sslmode=verify-full&sslrootcert=<file>")
	case cfg.ConnConfig.Password != "":
		return nil, errors.New(
			"DATABASE_IAM_URL holds a password, and the login is by a token: leave it out, or use DATABASE_URL " +
				"without DATABASE_AUTH=iam",
		)
	case !verifies(cfg.ConnConfig.TLSConfig) || len(cfg.ConnConfig.Fallbacks) > 0:
		return nil, errors.New(
			"DATABASE_IAM_URL does not verify whom it gives the token to: want sslmode=verify-full and " +
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

// verifies says that a connection checks both the certificate and the name in it.
func verifies(t *tls.Config) bool { return t != nil && !t.InsecureSkipVerify && t.ServerName != "" }

// whoAmI connects once, and writes the name that the database knows this process by.
func whoAmI(ctx context.Context, cfg *pgxpool.Config, out io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, 2*connectTimeout)
	defer cancel()
	cfg.MaxConns = 1
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return fmt.Errorf("making the connection pool: %w", err)
	}
	defer pool.Close()
	var user string
	if err := pool.QueryRow(ctx, "SELECT current_user").Scan(&user); err != nil {
		return fmt.Errorf("asking the database who this is: %w", err)
	}
	_, err = fmt.Fprintln(out, user)
	return err
}
