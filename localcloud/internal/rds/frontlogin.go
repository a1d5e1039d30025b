package rds

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
)

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
			return client, startup{}, invalidStartup("encryption was requested twice")
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
		err = invalidStartup("encryption was requested twice")
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
