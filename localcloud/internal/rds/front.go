package rds

import (
	"context"
	"crypto/tls"
	"errors"
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
