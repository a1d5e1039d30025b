package rds

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
)

const (
	alpnPostgreSQL = "postgresql"

	// The time from the first byte to the startup packet, TLS included. No part of it waits for a person.
	helloTimeout = 15 * time.Second
	// PostgreSQL's authentication_timeout, for the steps in which the front waits for the client.
	loginTimeout   = 60 * time.Second
	backendTimeout = 5 * time.Second
	cancelTimeout  = 5 * time.Second
	// The time until new sessions see a reload.
	switchTimeout = 3 * time.Second
	// The time for a client to read the last data after its session has ended.
	lingerTimeout = 10 * time.Second
	// The time for which a connection that no security group allows gets no answer.
	droppedTimeout = 10 * time.Second

	maxHandshakes = 256
	maxDropped    = 256
	// Tokens of RDS have one to two kilobytes.
	maxTokenMessage = 64 << 10
	maxAuthMessage  = 64 << 10
	copyBuffer      = 32 << 10
)

// decisions are what the front asks at each connection.
type decisions struct {
	// allow checks the security groups. An error refuses the connection.
	allow func(src netip.Addr) error
	// forceSSL returns the parameter rds.force_ssl.
	forceSSL func() bool
	// iamUser reports whether the user logs in with a token. When it returns true, PostgreSQL lets the front in as this
	// user without a password, and the front must check the token.
	iamUser func(ctx context.Context, user string) (bool, error)
	// verifyToken checks a token.
	verifyToken func(ctx context.Context, user, token string) error
	// dial connects to PostgreSQL.
	dial func(ctx context.Context) (net.Conn, error)
}

// front accepts the connections of one endpoint.
type front struct {
	decisions
	tls *tls.Config
	log *slog.Logger

	listener   net.Listener
	handshakes chan struct{}
	dropped    atomic.Int64
	wg         sync.WaitGroup
	ctx        context.Context
	cancel     context.CancelFunc

	mu     sync.Mutex
	closed bool
	conns  map[net.Conn]struct{}
}

func newFront(listener net.Listener, tlsConfig *tls.Config, d decisions, log *slog.Logger) *front {
	ctx, cancel := context.WithCancel(context.Background())
	f := &front{
		decisions: d, tls: tlsConfig, log: log, listener: listener, handshakes: make(chan struct{}, maxHandshakes),
		ctx: ctx, cancel: cancel, conns: map[net.Conn]struct{}{},
	}
	f.wg.Go(f.serve)
	return f
}

// stopAccepting makes the endpoint refuse new connections. Existing sessions continue.
func (f *front) stopAccepting() { f.listener.Close() }

// close closes all connections and waits until all goroutines of the front have ended.
func (f *front) close() {
	f.listener.Close()
	f.cancel()
	f.mu.Lock()
	f.closed = true
	for c := range f.conns {
		c.Close()
	}
	f.mu.Unlock()
	f.wg.Wait()
}

// track records a connection, so that close can close it. It returns false if the front is closed already.
func (f *front) track(c net.Conn) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		c.Close()
		return false
	}
	f.conns[c] = struct{}{}
	return true
}

func (f *front) release(c net.Conn) {
	f.mu.Lock()
	delete(f.conns, c)
	f.mu.Unlock()
	c.Close()
}

func (f *front) serve() {
	for {
		conn, err := f.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			// Probably out of file descriptors. Wait until sessions have ended.
			f.log.Error("accepting connections", "error", err)
			select {
			case <-time.After(100 * time.Millisecond):
			case <-f.ctx.Done():
				return
			}
			continue
		}
		if !f.track(conn) {
			return
		}
		f.wg.Go(func() {
			defer f.release(conn)
			f.connection(conn)
		})
	}
}

// connection serves one client until its connection ends.
func (f *front) connection(conn net.Conn) {
	source := remoteAddr(conn)
	if err := f.allow(source); err != nil {
		f.drop(conn, source, err)
		return
	}
	select {
	case f.handshakes <- struct{}{}:
	default:
		f.refuse(conn, &protocolError{"53300", "sorry, too many clients are logging in at once"})
		return
	}
	client, backend, err := f.login(conn, source)
	<-f.handshakes
	if backend != nil {
		defer f.release(backend)
	}
	if err != nil {
		var told *protocolError
		switch {
		case errors.As(err, &told):
			f.log.Debug("login refused", "source", source, "reason", told.message)
			f.refuse(client, told)
		case closedEarly(err), f.ctx.Err() != nil:
		default:
			f.log.Debug("login failed", "source", source, "error", err)
		}
		return
	}
	if backend != nil {
		splice(client, backend)
	}
}

// drop leaves a connection without an answer, as a firewall would.
func (f *front) drop(conn net.Conn, source netip.Addr, why error) {
	f.log.Warn("connection dropped by security group", "source", source, "reason", why)
	if f.dropped.Add(1) <= maxDropped {
		timer := time.NewTimer(droppedTimeout)
		defer timer.Stop()
		gone := make(chan struct{})
		f.wg.Go(func() {
			defer close(gone)
			_, _ = io.Copy(io.Discard, conn)
		})
		select {
		case <-timer.C:
		case <-gone:
		case <-f.ctx.Done():
		}
		conn.Close()
		<-gone
	}
	f.dropped.Add(-1)
}

// login connects a client with PostgreSQL. The returned client connection may be wrapped in TLS, and is valid even with
// an error. If both backend and err are nil, the request was completed without a session.
func (f *front) login(conn net.Conn, source netip.Addr) (client, backend net.Conn, err error) {
	if err := conn.SetDeadline(time.Now().Add(helloTimeout)); err != nil {
		return conn, nil, err
	}
	client, request, err := f.begin(f.ctx, conn)
	if err != nil {
		return client, nil, err
	}
	ctx, cancel := context.WithTimeout(f.ctx, loginTimeout)
	defer cancel()
	if err := conn.SetDeadline(time.Now().Add(loginTimeout)); err != nil {
		return client, nil, err
	}
	if request.kind == startCancel {
		return client, nil, f.forwardCancel(ctx, request)
	}
	_, encrypted := client.(*tls.Conn)
	if err := f.hostBasedAccess(request, source, encrypted); err != nil {
		return client, nil, err
	}
	backend, err = f.authenticate(ctx, client, request, source, encrypted)
	if err != nil {
		return client, backend, err
	}
	return client, backend, errors.Join(client.SetDeadline(time.Time{}), backend.SetDeadline(time.Time{}))
}

// begin answers requests for encryption. It returns the first packet that is not such a request.
func (f *front) begin(ctx context.Context, conn net.Conn) (net.Conn, startup, error) {
	first := make([]byte, 1)
	if _, err := io.ReadFull(conn, first); err != nil {
		return conn, startup{}, err
	}
	plain := &prefixed{Conn: conn, prefix: first}
	if first[0] == recordTypeHandshake {
		return f.directTLS(ctx, plain)
	}
	var client net.Conn = plain
	askedGSS := false
	for {
		request, err := readStartup(client)
		if err != nil {
			return client, startup{}, err
		}
		_, encrypted := client.(*tls.Conn)
		switch {
		case request.kind == startGSS && !encrypted && !askedGSS:
			askedGSS = true
			if _, err := client.Write([]byte{'N'}); err != nil {
				return client, startup{}, err
			}
		case request.kind == startTLS && !encrypted:
			if _, err := client.Write([]byte{'S'}); err != nil {
				return client, startup{}, err
			}
			if client, err = f.handshake(ctx, client); err != nil {
				return client, startup{}, err
			}
		case request.kind == startGSS, request.kind == startTLS:
			return client, startup{}, invalidStartup("encryption was asked for twice")
		default:
			if !encrypted {
				// The prefix has been read. Use the plain connection, which lets the kernel copy.
				client = conn
			}
			return client, request, nil
		}
	}
}

// The first byte of a TLS connection (RFC 8446, 5.1). A PostgreSQL startup packet begins with a zero.
const recordTypeHandshake = 0x16

// directTLS serves sslnegotiation=direct: TLS begins with the first byte, and the client must name the protocol.
func (f *front) directTLS(ctx context.Context, conn net.Conn) (net.Conn, startup, error) {
	client, err := f.handshake(ctx, conn)
	if err != nil {
		return client, startup{}, err
	}
	if t, ok := client.(*tls.Conn); !ok || t.ConnectionState().NegotiatedProtocol != alpnPostgreSQL {
		return client, startup{}, invalidStartup(
			"received direct SSL connection request without ALPN protocol negotiation extension",
		)
	}
	request, err := readStartup(client)
	if err == nil && (request.kind == startTLS || request.kind == startGSS) {
		err = invalidStartup("encryption was asked for twice")
	}
	return client, request, err
}

func (f *front) handshake(ctx context.Context, conn net.Conn) (net.Conn, error) {
	client := tls.Server(conn, f.tls)
	if err := client.HandshakeContext(ctx); err != nil {
		// A client in a handshake cannot read an error in plain text.
		return conn, fmt.Errorf("TLS handshake: %w", err)
	}
	return client, nil
}

// hostBasedAccess applies the rules that RDS has in pg_hba.conf for connections over the network.
func (f *front) hostBasedAccess(s startup, source netip.Addr, encrypted bool) error {
	if s.user == adminUser || s.database == adminUser {
		return &protocolError{"28000", "pg_hba.conf rejects connection for " + from(s, source, encrypted)}
	}
	if !encrypted && f.forceSSL() {
		return &protocolError{"28000", "no pg_hba.conf entry for " + from(s, source, encrypted)}
	}
	return nil
}

// from describes a login as PostgreSQL does in its messages about pg_hba.conf: quoted but not escaped.
func from(s startup, source netip.Addr, encrypted bool) string {
	encryption := "no encryption"
	if encrypted {
		encryption = "SSL encryption"
	}
	return `host "` + source.String() + `", user "` + s.user + `", database "` + s.database + `", ` + encryption
}

// authenticate connects to PostgreSQL and begins the session. For users with a password, it passes on PostgreSQL's
// first question and leaves the rest to the client and PostgreSQL. IAM users must show their token first; PostgreSQL
// then lets the front in.
//
// A grant may change how the user logs in after iamUser was called. PostgreSQL's first message shows this, and
// authenticate then starts again. PostgreSQL's AuthenticationOk therefore never reaches a client that showed no token.
func (f *front) authenticate(
	ctx context.Context, client net.Conn, s startup, source netip.Addr, encrypted bool,
) (net.Conn, error) {
	shown := false
	deadline := time.Now().Add(switchTimeout)
	for {
		iam, err := f.iamUser(ctx, s.user)
		if err != nil {
			f.log.Warn("cannot check how the user logs in", "user", s.user, "error", err)
			return nil, &protocolError{"57P03", "the database system is not yet accepting connections"}
		}
		if iam && !shown {
			if err := f.demandToken(ctx, client, s, source, encrypted); err != nil {
				return nil, err
			}
			shown = true
			deadline = time.Now().Add(switchTimeout)
		}
		backend, received, word, err := f.beginSession(ctx, s)
		if err != nil {
			return nil, err
		}
		if word == wordError || (word == wordOK) == iam {
			// After an error PostgreSQL closes the connection, which ends the session normally.
			_, err := client.Write(received)
			return backend, err
		}
		f.release(backend)
		if time.Now().After(deadline) {
			return nil, &protocolError{"57P03", "the way this user logs in is being changed; try again"}
		}
	}
}

// word is the kind of PostgreSQL's first authentication message.
type word int

const (
	wordQuestion word = iota
	wordOK
	wordError
)

// beginSession sends the startup packet to PostgreSQL and reads until its first authentication message.
func (f *front) beginSession(
	ctx context.Context, s startup,
) (backend net.Conn, received []byte, first word, err error) {
	ctx, cancel := context.WithTimeout(ctx, backendTimeout)
	defer cancel()
	backend, err = f.dial(ctx)
	if err != nil {
		f.log.Warn("PostgreSQL does not answer", "error", err)
		return nil, nil, 0, &protocolError{"57P03", "the database system is not yet accepting connections"}
	}
	if !f.track(backend) {
		return nil, nil, 0, net.ErrClosed
	}
	received, first, err = askFirst(ctx, backend, s.raw)
	if err != nil {
		f.release(backend)
		return nil, nil, 0, fmt.Errorf("beginning a session: %w", err)
	}
	return backend, received, first, nil
}

func askFirst(ctx context.Context, backend net.Conn, packet []byte) (received []byte, first word, err error) {
	if deadline, ok := ctx.Deadline(); ok {
		if err := backend.SetDeadline(deadline); err != nil {
			return nil, 0, err
		}
	}
	if _, err := backend.Write(packet); err != nil {
		return nil, 0, err
	}
	for {
		message, err := readMessage(backend, maxAuthMessage)
		if err != nil {
			return nil, 0, err
		}
		// Notices and the negotiation of the protocol version may come first.
		received = append(received, message...)
		switch message[0] {
		case 'R':
			if len(message) == 9 && binary.BigEndian.Uint32(message[5:]) == pgproto3.AuthTypeOk {
				return received, wordOK, nil
			}
			return received, wordQuestion, nil
		case 'E':
			return received, wordError, nil
		}
	}
}

// readMessage reads one message with its type and length.
func readMessage(r io.Reader, limit int) ([]byte, error) {
	var header [5]byte
	if _, err := io.ReadFull(r, header[:]); err != nil {
		return nil, err
	}
	length := int64(binary.BigEndian.Uint32(header[1:]))
	if length < 4 || length > int64(limit) {
		return nil, invalidStartup("invalid message length")
	}
	message := make([]byte, 1+length)
	copy(message, header[:])
	if _, err := io.ReadFull(r, message[5:]); err != nil {
		return nil, fmt.Errorf("incomplete message: %w", err)
	}
	return message, nil
}

// demandToken asks the client for its token and verifies it. The token is sent as a clear-text password, which is
// allowed only over TLS.
func (f *front) demandToken(ctx context.Context, client net.Conn, s startup, source netip.Addr, encrypted bool) error {
	if !encrypted {
		return &protocolError{"28000", "pg_hba.conf rejects connection for " + from(s, source, encrypted)}
	}
	question, err := (&pgproto3.AuthenticationCleartextPassword{}).Encode(nil)
	if err != nil {
		return fmt.Errorf("asking for a token: %w", err)
	}
	if _, err := client.Write(question); err != nil {
		return err
	}
	message, err := readMessage(client, maxTokenMessage)
	if err != nil {
		return err
	}
	var answer pgproto3.PasswordMessage
	if message[0] != 'p' || len(message) < 6 || answer.Decode(message[5:]) != nil {
		return invalidStartup("expected password response, got message type %q", message[0])
	}
	if err := f.verifyToken(ctx, s.user, answer.Password); err != nil {
		// The reason goes to the log only. RDS tells its clients no more than this.
		f.log.Warn("IAM authentication failed", "user", s.user, "source", source, "reason", err)
		return &protocolError{"28000", `PAM authentication failed for user "` + s.user + `"`}
	}
	return nil
}

// forwardCancel forwards a cancel request. Its key is PostgreSQL's, because sessions pass through unchanged.
func (f *front) forwardCancel(ctx context.Context, s startup) error {
	ctx, cancel := context.WithTimeout(ctx, cancelTimeout)
	defer cancel()
	backend, err := f.dial(ctx)
	if err != nil {
		return err
	}
	if !f.track(backend) {
		return net.ErrClosed
	}
	defer f.release(backend)
	if deadline, ok := ctx.Deadline(); ok {
		if err := backend.SetDeadline(deadline); err != nil {
			return err
		}
	}
	if _, err := backend.Write(s.raw); err != nil {
		return err
	}
	// PostgreSQL closes the connection after it has sent the signal. Clients may rely on that.
	_, err = io.Copy(io.Discard, backend)
	return err
}

// refuse tells a client why its connection ends.
func (f *front) refuse(client net.Conn, why *protocolError) {
	message, err := (&pgproto3.ErrorResponse{
		Severity: "FATAL", SeverityUnlocalized: "FATAL", Code: why.code, Message: why.message,
	}).Encode(nil)
	if err == nil {
		err = client.SetDeadline(time.Now().Add(lingerTimeout))
	}
	if err == nil {
		_, err = client.Write(message)
	}
	if err != nil {
		f.log.Debug("sending an error to a client", "error", err)
	}
	closeWrite(client)
}

// splice copies in both directions until the session ends. A client that closes its side still gets the rest of
// PostgreSQL's answer. When PostgreSQL closes its side, the session ends.
func splice(client, backend net.Conn) {
	toBackend := make(chan struct{})
	go func() {
		defer close(toBackend)
		copyBytes(backend, client)
		closeWrite(backend)
	}()
	copyBytes(client, backend)
	// If the client stops reading, neither direction may wait for the other.
	backend.Close()
	_ = client.SetWriteDeadline(time.Now().Add(lingerTimeout))
	closeWrite(client)
	_ = client.SetReadDeadline(time.Now())
	<-toBackend
}

var buffers = sync.Pool{New: func() any { return new([copyBuffer]byte) }}

// copyBytes copies from one connection to the other. The kernel copies between plain sockets; TLS uses a shared buffer.
func copyBytes(to, from net.Conn) {
	_, toTLS := to.(*tls.Conn)
	_, fromTLS := from.(*tls.Conn)
	if !toTLS && !fromTLS {
		_, _ = io.Copy(to, from)
		return
	}
	buffer, ok := buffers.Get().(*[copyBuffer]byte)
	if !ok {
		buffer = new([copyBuffer]byte)
	}
	defer buffers.Put(buffer)
	// Hide the methods ReadFrom and WriteTo, which would allocate other buffers.
	_, _ = io.CopyBuffer(struct{ io.Writer }{to}, struct{ io.Reader }{from}, buffer[:])
}

// closeWrite closes one direction of a connection.
func closeWrite(c net.Conn) {
	if half, ok := c.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
		return
	}
	c.Close()
}

// remoteAddr returns the address of the client.
func remoteAddr(c net.Conn) netip.Addr {
	if tcp, ok := c.RemoteAddr().(*net.TCPAddr); ok {
		return tcp.AddrPort().Addr().Unmap()
	}
	return netip.Addr{}
}

// prefixed is a connection whose first bytes have already been read.
type prefixed struct {
	net.Conn
	prefix []byte
}

func (p *prefixed) Read(b []byte) (int, error) {
	if len(p.prefix) > 0 {
		n := copy(b, p.prefix)
		p.prefix = p.prefix[n:]
		return n, nil
	}
	return p.Conn.Read(b)
}

// CloseWrite closes the direction to the client.
func (p *prefixed) CloseWrite() error {
	closeWrite(p.Conn)
	return nil
}
