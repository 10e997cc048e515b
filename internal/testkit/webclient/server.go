package webclient

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/sessionbridge/sessionbridge/internal/testkit/await"
)

// Site is a server that runs until the end of the test.
type Site struct {
	URL  string
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
}

// Serve starts a server on the loopback network.
func Serve(t testing.TB, h http.Handler) *Site {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return &Site{srv.URL, (&net.Dialer{}).DialContext}
}

// ServeInMemory starts a server whose connections are pipes, for tests in a synctest bubble. A pipe
// has no buffer: a peer must read what the other one writes.
func ServeInMemory(t testing.TB, h http.Handler) *Site {
	t.Helper()
	l := &pipeListener{conns: make(chan net.Conn), closed: make(chan struct{})}
	srv := &http.Server{Handler: h, ReadHeaderTimeout: await.Limit}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = srv.Serve(l)
	}()
	t.Cleanup(func() {
		_ = srv.Close()
		<-done
	})
	return &Site{"http://app.test", l.dial}
}
