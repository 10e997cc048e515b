// Package testserver runs HTTP servers without a network, for the tests of this module and, through
// bridgetest, of applications. They work inside testing/synctest and outside of it. It imports
// nothing but the standard library.
package testserver

import (
	"context"
	"net"
	"net/http"
	"testing"
	"time"
)

// Dial opens a connection to a server, whatever the address.
type Dial = func(ctx context.Context, network, addr string) (net.Conn, error)

// Serve runs a server until the test ends. Its connections are pipes. A pipe has no buffer: a peer
// must read what the other one writes.
func Serve(t testing.TB, srv *http.Server) Dial {
	t.Helper()
	if srv.ReadHeaderTimeout == 0 {
		srv.ReadHeaderTimeout = time.Minute
	}
	l, dial := Listen()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = srv.Serve(l)
	}()
	t.Cleanup(func() {
		_ = srv.Close()
		<-done
	})
	return dial
}

// Listen returns a listener for a server that the caller runs, and how to reach it. Its connections
// are those of Serve.
func Listen() (net.Listener, Dial) {
	l := &listener{conns: make(chan net.Conn), closed: make(chan struct{})}
	return l, l.dial
}
