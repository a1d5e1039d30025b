package rds

import (
	"crypto/tls"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"
)

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
