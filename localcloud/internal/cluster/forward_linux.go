package cluster

import (
	"context"
	"io"
	"net"
	"sync"
)

// forward accepts connections on a listener of the host and forwards them to an address inside.
func forward(ctx context.Context, listener net.Listener, to string) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		go splice(ctx, conn, to)
	}
}

func splice(ctx context.Context, outside net.Conn, to string) {
	defer outside.Close()
	var dialer net.Dialer
	insideConn, err := dialer.DialContext(ctx, "tcp", to)
	if err != nil {
		return
	}
	defer insideConn.Close()
	var both sync.WaitGroup
	both.Go(func() { pass(insideConn, outside) })
	both.Go(func() { pass(outside, insideConn) })
	both.Wait()
}

// pass copies until the source ends and then closes only the write side of the destination: a request can end before
// its response does.
func pass(to, from net.Conn) {
	_, _ = io.Copy(to, from)
	if half, ok := to.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
}
