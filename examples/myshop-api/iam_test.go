package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// rdsFront imitates RDS for a user with rds_iam: TLS, and inside it the token as a password in plain text.
type rdsFront struct {
	address, authority string

	mu     sync.Mutex
	tokens []string
}

func (f *rdsFront) seen() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]string(nil), f.tokens...)
}

func newFront(t *testing.T) *rdsFront {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true,
		BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	front := &rdsFront{authority: filepath.Join(t.TempDir(), "ca.pem")}
	require.NoError(t, os.WriteFile(front.authority, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		0o600))
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { listener.Close() })
	front.address = "localhost:" + strconv.Itoa(listener.Addr().(*net.TCPAddr).Port)
	config := &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}},
		MinVersion:   tls.VersionTLS12,
	}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() { _ = front.serve(conn, config) }()
		}
	}()
	return front
}

func (f *rdsFront) url(user string) string {
	return fmt.Sprintf("postgresql://%s@%s/shop?sslmode=verify-full&sslrootcert=%s", user, f.address, f.authority)
}

func (f *rdsFront) serve(conn net.Conn, config *tls.Config) error {
	defer conn.Close()
	if _, err := pgproto3.NewBackend(conn, conn).ReceiveStartupMessage(); err != nil {
		return err
	}
	if _, err := conn.Write([]byte("S")); err != nil {
		return err
	}
	secure := tls.Server(conn, config)
	backend := pgproto3.NewBackend(secure, secure)
	if _, err := backend.ReceiveStartupMessage(); err != nil {
		return err
	}
	backend.Send(&pgproto3.AuthenticationCleartextPassword{})
	if err := backend.Flush(); err != nil {
		return err
	}
	if err := backend.SetAuthType(pgproto3.AuthTypeCleartextPassword); err != nil {
		return err
	}
	message, err := backend.Receive()
	if err != nil {
		return err
	}
	f.mu.Lock()
	f.tokens = append(f.tokens, message.(*pgproto3.PasswordMessage).Password)
	f.mu.Unlock()
	backend.Send(&pgproto3.AuthenticationOk{})
	for {
		backend.Send(&pgproto3.ReadyForQuery{TxStatus: 'I'})
		if err := backend.Flush(); err != nil {
			return err
		}
		switch message, err := backend.Receive(); message.(type) {
		case *pgproto3.Query:
			backend.Send(&pgproto3.EmptyQueryResponse{})
		default:
			return err
		}
	}
}

// anHour returns different credentials each time, as a role does each hour.
type anHour struct{ number int }

func (h *anHour) Retrieve(context.Context) (aws.Credentials, error) {
	h.number++
	return aws.Credentials{
		AccessKeyID: fmt.Sprintf("ASIA%d", h.number), SecretAccessKey: "hunter2",
		SessionToken: "session",
	}, nil
}

func podOf(credentials aws.CredentialsProvider) func(context.Context) (identity, error) {
	return func(context.Context) (identity, error) { return identity{"ap-northeast-2", credentials}, nil }
}

func TestEachConnectionLogsInWithATokenOfItsOwn(t *testing.T) {
	t.Parallel()
	front := newFront(t)
	cfg, err := iamConfig(t.Context(), front.url("shop_iam"), podOf(&anHour{}))
	require.NoError(t, err)
	pool, err := pgxpool.NewWithConfig(t.Context(), cfg)
	require.NoError(t, err)
	defer pool.Close()
	// Both are held at the same time, so that the second is another connection.
	var held []*pgxpool.Conn
	for range 2 {
		conn, err := pool.Acquire(t.Context())
		require.NoError(t, err)
		held = append(held, conn)
		require.NoError(t, conn.Ping(t.Context()))
	}
	for _, conn := range held {
		conn.Release()
	}
	tokens := front.seen()
	require.Len(t, tokens, 2)
	for i, token := range tokens {
		request, err := url.Parse("https://" + token)
		require.NoError(t, err)
		assert.Equal(t, front.address, request.Host, "for this endpoint")
		query := request.Query()
		assert.Equal(t, "connect", query.Get("Action"))
		assert.Equal(t, "shop_iam", query.Get("DBUser"))
		assert.Equal(t, "900", query.Get("X-Amz-Expires"))
		assert.Regexp(t, fmt.Sprintf(`^ASIA%d/\d{8}/ap-northeast-2/rds-db/aws4_request$`, i+1),
			query.Get("X-Amz-Credential"), "signed with the credentials of its moment")
		assert.NotEmpty(t, query.Get("X-Amz-Signature"))
	}
	assert.NotContains(t, strings.Join(tokens, " "), "hunter2")
}

func TestATokenIsGivenToNobodyWhoIsNotVerified(t *testing.T) {
	t.Parallel()
	front := newFront(t)
	const verify = "want sslmode=verify-full"
	for databaseURL, fault := range map[string]string{
		"":                      "DATABASE_IAM_URL is not set",
		"postgresql://u@h:port": "is not a usable PostgreSQL URL",
		strings.Replace(front.url("u"), "u@", "u:hunter2@", 1):                       "contains a password",
		strings.Replace(front.url("u"), "verify-full", "verify-ca", 1):               verify,
		strings.Replace(front.url("u"), "verify-full", "prefer", 1):                  verify,
		"postgresql://u@" + front.address + "/shop?sslmode=require":                  verify,
		"postgresql://u@" + front.address + "/shop?sslmode=disable":                  verify,
		"postgresql://u@a,b/shop?sslmode=verify-full&sslrootcert=" + front.authority: verify,
	} {
		_, err := iamConfig(t.Context(), databaseURL, podOf(&anHour{}))
		require.ErrorContains(t, err, fault, databaseURL)
		assert.NotContains(t, err.Error(), "hunter2")
	}
	_, err := iamConfig(t.Context(), front.url("u"),
		func(context.Context) (identity, error) { return identity{}, errors.New("no role") })
	require.ErrorContains(t, err, "no role")
	assert.Empty(t, front.seen())
}

func TestWithoutCredentialsTheFaultIsTheirs(t *testing.T) {
	t.Parallel()
	front := newFront(t)
	cfg, err := iamConfig(t.Context(), front.url("shop_iam"), podOf(aws.AnonymousCredentials{}))
	require.NoError(t, err)
	var out bytes.Buffer
	err = whoAmI(t.Context(), cfg, &out)
	require.ErrorContains(t, err, "signing a token for shop_iam at "+front.address)
	assert.Empty(t, out.String())
	assert.Empty(t, front.seen())
}

func TestTheWayToLogInIsOneOfTwo(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		env   []string
		fault string
	}{
		"another": {[]string{"DATABASE_AUTH", "kerberos"}, `DATABASE_AUTH: "kerberos": want password or iam`},
		"iam, no URL": {
			[]string{"DATABASE_AUTH", "iam", "DATABASE_URL", "postgres://u:p@h/d"},
			"DATABASE_IAM_URL is not set",
		},
		"password, none": {[]string{"DATABASE_AUTH", "password"}, "DATABASE_URL is not set"},
	} {
		_, err := poolConfig(t.Context(), env(c.env...))
		require.ErrorContains(t, err, c.fault, name)
	}
}
