package webclient

import (
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/sessionbridge/sessionbridge/internal/testserver"
)

// Site is a server that runs until the end of the test.
type Site struct {
	URL  string
	Dial testserver.Dial
}

// Serve starts a server on the loopback network.
func Serve(t testing.TB, h http.Handler) *Site {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return &Site{srv.URL, (&net.Dialer{}).DialContext}
}

// ServeInMemory starts a server whose connections are pipes, for tests in a synctest bubble: see
// testserver.Serve.
func ServeInMemory(t testing.TB, h http.Handler) *Site {
	t.Helper()
	return &Site{"http://app.localhost", testserver.Serve(t, &http.Server{Handler: h})}
}
