package rds

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const host = "myshop-local.cabcdefghijk.ap-northeast-2.rds.amazonaws.com"

// server is a minimal PostgreSQL. It lets trusted users in at once, asks the others for the password "right", and
// answers every query with the query's text.
type server struct {
	listener net.Listener
	mu       sync.Mutex
	trusted  map[string]bool
	// logins counts sessions by user. cancels has the keys of cancel requests.
	logins  map[string]int
	cancels []string
}

func newServer(t *testing.T, trusted ...string) *server {
	t.Helper()
	listener, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	require.NoError(t, err)
	s := &server{listener: listener, trusted: map[string]bool{}, logins: map[string]int{}}
	for _, u := range trusted {
		s.trusted[u] = true
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { s.session(c) })
		}
	})
	t.Cleanup(func() {
		listener.Close()
		wg.Wait()
	})
	return s
}

func (s *server) session(c net.Conn) {
	defer c.Close()
	b := pgproto3.NewBackend(c, c)
	message, err := b.ReceiveStartupMessage()
	if err != nil {
		return
	}
	if cancel, ok := message.(*pgproto3.CancelRequest); ok {
		s.mu.Lock()
		s.cancels = append(s.cancels, string(cancel.SecretKey))
		s.mu.Unlock()
		return
	}
	start, ok := message.(*pgproto3.StartupMessage)
	if !ok {
		return
	}
	user := start.Parameters["user"]
	s.mu.Lock()
	trusted := s.trusted[user]
	s.mu.Unlock()
	if !trusted {
		b.Send(&pgproto3.AuthenticationCleartextPassword{})
		if b.Flush() != nil {
			return
		}
		answer, err := b.Receive()
		if p, ok := answer.(*pgproto3.PasswordMessage); err != nil || !ok || p.Password != "right" {
			b.Send(&pgproto3.ErrorResponse{
				Severity: "FATAL", Code: "28P01",
				Message: `password authentication failed for user "` + user + `"`,
			})
			_ = b.Flush()
			return
		}
	}
	s.mu.Lock()
	s.logins[user]++
	s.mu.Unlock()
	b.Send(&pgproto3.AuthenticationOk{})
	b.Send(&pgproto3.BackendKeyData{ProcessID: 7, SecretKey: []byte("key!")})
	b.Send(&pgproto3.ReadyForQuery{TxStatus: 'I'})
	if b.Flush() != nil {
		return
	}
	for {
		message, err := b.Receive()
		if err != nil {
			return
		}
		switch q := message.(type) {
		case *pgproto3.Query:
			if q.String == "leave" {
				b.Send(&pgproto3.ErrorResponse{
					Severity: "FATAL", Code: "57P01",
					Message: "terminating connection due to administrator command",
				})
				_ = b.Flush()
				return
			}
			b.Send(&pgproto3.RowDescription{Fields: []pgproto3.FieldDescription{
				{Name: []byte("q"), DataTypeOID: 25, DataTypeSize: -1},
			}})
			b.Send(&pgproto3.DataRow{Values: [][]byte{[]byte(q.String)}})
			b.Send(&pgproto3.CommandComplete{CommandTag: []byte("SELECT 1")})
			b.Send(&pgproto3.ReadyForQuery{TxStatus: 'I'})
			if b.Flush() != nil {
				return
			}
		case *pgproto3.Terminate:
			return
		}
	}
}

// rig is a front with a server behind it. Tests can change the front's decisions.
type rig struct {
	front   *front
	server  *server
	address string
	roots   *x509.CertPool

	mu       sync.Mutex
	iam      map[string]bool
	forceSSL bool
	allow    error
	token    string
}

func newRig(t *testing.T, trusted ...string) *rig {
	t.Helper()
	ca, err := openAuthority(t.TempDir(), time.Now)
	require.NoError(t, err)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	r := &rig{
		server: newServer(t, trusted...), address: listener.Addr().String(), roots: x509.NewCertPool(),
		iam: map[string]bool{}, forceSSL: true, token: "good-token",
	}
	require.True(t, r.roots.AppendCertsFromPEM(ca.bundle))
	locked := func(read func()) {
		r.mu.Lock()
		defer r.mu.Unlock()
		read()
	}
	r.front = newFront(listener, ca.serverTLS(host), decisions{
		allow:    func(netip.Addr) (err error) { locked(func() { err = r.allow }); return err },
		forceSSL: func() (on bool) { locked(func() { on = r.forceSSL }); return on },
		iamUser: func(_ context.Context, user string) (iam bool, err error) {
			locked(func() { iam = r.iam[user] })
			return iam, nil
		},
		verifyToken: func(_ context.Context, _, token string) (err error) {
			locked(func() {
				if token != r.token {
					err = errors.New("the token was made for another user")
				}
			})
			return err
		},
		dial: func(ctx context.Context) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", r.server.listener.Addr().String())
		},
	}, slog.New(slog.DiscardHandler))
	t.Cleanup(r.front.close)
	return r
}

// set changes the decisions of the front.
func (r *rig) set(change func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change()
}

// connect logs in with pgx, an independent client.
func (r *rig) connect(t *testing.T, user, password string, change ...func(*pgconn.Config)) (*pgconn.PgConn, error) {
	t.Helper()
	cfg, err := pgconn.ParseConfig("postgres://" + r.address + "/myshop?sslmode=disable")
	require.NoError(t, err)
	cfg.User, cfg.Password = user, password
	cfg.TLSConfig = &tls.Config{RootCAs: r.roots, ServerName: host, MinVersion: tls.VersionTLS12}
	for _, c := range change {
		c(cfg)
	}
	conn, err := pgconn.ConnectConfig(t.Context(), cfg)
	if err == nil {
		t.Cleanup(func() { conn.Close(context.Background()) })
	}
	return conn, err
}

func plain(c *pgconn.Config) { c.TLSConfig = nil }
func direct(c *pgconn.Config) {
	c.SSLNegotiation = "direct"
	c.TLSConfig.NextProtos = []string{"postgresql"}
}

func says(t *testing.T, err error, code, message string) {
	t.Helper()
	var told *pgconn.PgError
	require.ErrorAs(t, err, &told)
	assert.Equal(t, code, told.Code)
	assert.Equal(t, message, told.Message)
}

func ask(t *testing.T, c *pgconn.PgConn, query string) string {
	t.Helper()
	results, err := c.Exec(t.Context(), query).ReadAll()
	require.NoError(t, err)
	require.Len(t, results, 1)
	return string(results[0].Rows[0][0])
}

func TestASessionWithTLSIsPassedThrough(t *testing.T) {
	r := newRig(t)
	for name, change := range map[string]func(*pgconn.Config){
		"asked for":           func(*pgconn.Config) {},
		"from the first byte": direct,
	} {
		t.Run(name, func(t *testing.T) {
			c, err := r.connect(t, "app", "right", change)
			require.NoError(t, err)
			assert.Equal(t, "hello", ask(t, c, "hello"))
			long := strings.Repeat("x", 1<<20)
			assert.Equal(t, long, ask(t, c, long))
		})
	}
	_, err := r.connect(t, "app", "wrong")
	says(t, err, "28P01", `password authentication failed for user "app"`)
}

func TestAnotherCAIsNotTrusted(t *testing.T) {
	r := newRig(t)
	_, err := r.connect(t, "app", "right", func(c *pgconn.Config) { c.TLSConfig.RootCAs = x509.NewCertPool() })
	require.ErrorContains(t, err, "unknown authority")
	_, err = r.connect(t, "app", "right", func(c *pgconn.Config) { c.TLSConfig.ServerName = "other.rds.amazonaws.com" })
	assert.ErrorContains(t, err, "certificate is valid for "+host)
}

func TestWithoutTLSForceSSLDecides(t *testing.T) {
	r := newRig(t)
	_, err := r.connect(t, "app", "right", plain)
	says(t, err, "28000", `no pg_hba.conf entry for host "127.0.0.1", user "app", database "myshop", no encryption`)
	r.set(func() { r.forceSSL = false })
	c, err := r.connect(t, "app", "right", plain)
	require.NoError(t, err)
	assert.Equal(t, "hello", ask(t, c, "hello"))
}

func TestTheAdministratorCannotComeOverTheNetwork(t *testing.T) {
	r := newRig(t, "rdsadmin")
	_, err := r.connect(t, "rdsadmin", "")
	says(t, err, "28000",
		`pg_hba.conf rejects connection for host "127.0.0.1", user "rdsadmin", database "myshop", SSL encryption`)
	assert.Empty(t, r.server.logins)
}

func TestIAMUsersShowATokenUnderTLS(t *testing.T) {
	r := newRig(t, "app_iam")
	r.set(func() { r.iam["app_iam"], r.forceSSL = true, false })
	c, err := r.connect(t, "app_iam", "good-token")
	require.NoError(t, err)
	assert.Equal(t, "hello", ask(t, c, "hello"))
	_, err = r.connect(t, "app_iam", "right")
	says(t, err, "28000", `PAM authentication failed for user "app_iam"`)
	assert.NotContains(t, err.Error(), "another user", "the reason is not for clients")
	_, err = r.connect(t, "app_iam", "good-token", plain)
	says(t, err, "28000",
		`pg_hba.conf rejects connection for host "127.0.0.1", user "app_iam", database "myshop", no encryption`)
	assert.Equal(t, 1, r.server.logins["app_iam"])
}

// PostgreSQL still lets the user in without a password, although rds_iam was revoked a moment ago.
func TestNobodyGetsInWithoutAPasswordOrAToken(t *testing.T) {
	r := newRig(t, "app")
	_, err := r.connect(t, "app", "")
	says(t, err, "57P03", "the way this user logs in is being changed; try again")
}

// PostgreSQL does not see the grant of rds_iam when the token is checked, but shortly after.
func TestALoginWaitsForAGrantToTakeEffect(t *testing.T) {
	r := newRig(t)
	r.set(func() { r.iam["app"] = true })
	timer := time.AfterFunc(200*time.Millisecond, func() {
		r.server.mu.Lock()
		defer r.server.mu.Unlock()
		r.server.trusted["app"] = true
	})
	defer timer.Stop()
	c, err := r.connect(t, "app", "good-token")
	require.NoError(t, err)
	assert.Equal(t, "hello", ask(t, c, "hello"))
}

func TestASecurityGroupDropsConnectionsWithoutAnAnswer(t *testing.T) {
	r := newRig(t)
	r.set(func() { r.allow = errors.New("no rule allows it") })
	c, err := net.Dial("tcp", r.address)
	require.NoError(t, err)
	defer c.Close()
	_, err = c.Write(packet(codeSSL, ""))
	require.NoError(t, err)
	require.NoError(t, c.SetReadDeadline(time.Now().Add(300*time.Millisecond)))
	_, err = c.Read(make([]byte, 1))
	var timeout net.Error
	require.ErrorAs(t, err, &timeout)
	assert.True(t, timeout.Timeout(), "neither an answer nor an end: %v", err)
}

func TestACancelRequestReachesTheServer(t *testing.T) {
	r := newRig(t)
	c, err := r.connect(t, "app", "right")
	require.NoError(t, err)
	require.NoError(t, c.CancelRequest(t.Context()))
	raw, err := net.Dial("tcp", r.address)
	require.NoError(t, err)
	defer raw.Close()
	_, err = raw.Write(packet(codeCancel, "\x00\x00\x00\x07keyx"))
	require.NoError(t, err)
	_, err = io.ReadAll(raw)
	require.NoError(t, err, "the end comes when the server has it")
	r.server.mu.Lock()
	defer r.server.mu.Unlock()
	assert.Equal(t, []string{"key!", "keyx"}, r.server.cancels, "also without TLS, as older clients send it")
}

// raw sends bytes and returns all bytes that the front sends until the connection ends.
func (r *rig) raw(t *testing.T, send ...[]byte) string {
	t.Helper()
	c, err := net.Dial("tcp", r.address)
	require.NoError(t, err)
	defer c.Close()
	for _, b := range send {
		_, err = c.Write(b)
		require.NoError(t, err)
	}
	require.NoError(t, c.SetReadDeadline(time.Now().Add(5*time.Second)))
	answer, err := io.ReadAll(c)
	require.NoError(t, err)
	return string(answer)
}

func TestEncryptionRequestsFollowTheProtocol(t *testing.T) {
	r := newRig(t)
	answer := r.raw(t, packet(codeGSSENC, ""), packet(version30, "user\x00app\x00\x00"))
	assert.Equal(t, "N", answer[:1], "GSS encryption is refused")
	assert.Contains(t, answer, "no pg_hba.conf entry")
	assert.Contains(t, r.raw(t, packet(codeGSSENC, ""), packet(codeGSSENC, "")), "requested twice")
	assert.Contains(t, r.raw(t, packet(2<<16, "")), "unsupported frontend protocol 2.0")
	answer = r.raw(t, packet(codeSSL, ""), packet(version30, "user\x00app\x00\x00"))
	assert.NotContains(t, answer, "pg_hba", "a startup packet smuggled in behind the request for TLS is not read")

	c, err := tls.Dial("tcp", r.address, &tls.Config{RootCAs: r.roots, ServerName: host, MinVersion: tls.VersionTLS12})
	require.NoError(t, err)
	defer c.Close()
	text, err := io.ReadAll(c)
	require.NoError(t, err)
	assert.Contains(t, string(text), "without ALPN")
}

func TestTheServersLastMessageReachesTheClient(t *testing.T) {
	r := newRig(t)
	r.set(func() { r.forceSSL = false })
	for name, change := range map[string]func(*pgconn.Config){"TLS": func(*pgconn.Config) {}, "plain": plain} {
		t.Run(name, func(t *testing.T) {
			c, err := r.connect(t, "app", "right", change)
			require.NoError(t, err)
			_, err = c.Exec(t.Context(), "leave").ReadAll()
			says(t, err, "57P01", "terminating connection due to administrator command")
		})
	}
}

// A client may close its side and still wait for the answer.
func TestAHalfClosedClientGetsItsAnswer(t *testing.T) {
	r := newRig(t)
	r.set(func() { r.forceSSL = false })
	c, err := net.Dial("tcp", r.address)
	require.NoError(t, err)
	defer c.Close()
	require.NoError(t, c.SetDeadline(time.Now().Add(5*time.Second)))
	var out []byte
	for _, m := range []pgproto3.FrontendMessage{
		&pgproto3.StartupMessage{ProtocolVersion: version30, Parameters: map[string]string{"user": "app"}},
		&pgproto3.PasswordMessage{Password: "right"}, &pgproto3.Query{String: "last words"},
	} {
		out, err = m.Encode(out)
		require.NoError(t, err)
	}
	_, err = c.Write(out)
	require.NoError(t, err)
	tcp, ok := c.(*net.TCPConn)
	require.True(t, ok)
	require.NoError(t, tcp.CloseWrite())
	answer, err := io.ReadAll(c)
	require.NoError(t, err)
	assert.Contains(t, string(answer), "last words")
}

func TestCloseCutsEverySessionAndRefusesNewOnes(t *testing.T) {
	r := newRig(t)
	var conns []*pgconn.PgConn
	for range 5 {
		c, err := r.connect(t, "app", "right")
		require.NoError(t, err)
		conns = append(conns, c)
	}
	half, err := net.Dial("tcp", r.address)
	require.NoError(t, err)
	defer half.Close()
	r.front.close()
	for _, c := range conns {
		_, err := c.Exec(t.Context(), "hello").ReadAll()
		require.Error(t, err)
	}
	_, err = net.Dial("tcp", r.address)
	assert.ErrorContains(t, err, "refused")
}

func TestAServerThatDoesNotAnswerIsReportedAsPostgreSQLDoes(t *testing.T) {
	r := newRig(t)
	r.server.listener.Close()
	_, err := r.connect(t, "app", "right")
	says(t, err, "57P03", "the database system is not yet accepting connections")
}

func TestTooManyLoginsAtOnceAreRefused(t *testing.T) {
	r := newRig(t)
	var held []net.Conn
	defer func() {
		for _, c := range held {
			c.Close()
		}
	}()
	for range maxHandshakes {
		c, err := net.Dial("tcp", r.address)
		require.NoError(t, err)
		held = append(held, c)
	}
	require.Eventually(t, func() bool { return len(r.front.handshakes) == maxHandshakes }, 5*time.Second,
		5*time.Millisecond)
	assert.Contains(t, r.raw(t), "C53300\x00Msorry, too many clients are logging in at once")
	held[0].Close()
	require.Eventually(t, func() bool { return len(r.front.handshakes) < maxHandshakes }, 5*time.Second,
		5*time.Millisecond)
	_, err := r.connect(t, "app", "right")
	assert.NoError(t, err, "a client that gives up makes room for another")
}
