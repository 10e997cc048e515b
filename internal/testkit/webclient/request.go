package webclient

import (
	"bufio"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
)

// Request returns a GET request. Other goroutines than the test's may call it.
func Request(t testing.TB, path string) *http.Request {
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://app.localhost"+path, nil)
	if err != nil {
		t.Errorf("request: %v", err)
	}
	return r
}

// UpgradeRequest returns the request of a handshake, with header lines: names and values in turn. A
// handler can open its session, but can't hijack the response of a recorder.
func UpgradeRequest(t testing.TB, path string, header ...string) *http.Request {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://app.localhost"+path, nil)
	r.Header.Set("Connection", "Upgrade")
	r.Header.Set("Upgrade", "websocket")
	r.Header.Set("Sec-Websocket-Version", "13")
	r.Header.Set("Sec-Websocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return r
}

// Handshake opens a WebSocket and returns its connection, on which the test reads and writes frames
// itself.
func Handshake(t *testing.T, s *Site, path string) net.Conn {
	t.Helper()
	conn, err := s.Dial(t.Context(), "", "")
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	go func() {
		_, _ = conn.Write([]byte("GET " + path + " HTTP/1.1\r\nHost: app.localhost\r\n" +
			"Connection: Upgrade\r\nUpgrade: websocket\r\n" +
			"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"))
	}()
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(t, err)
	require.Equal(t, http.StatusSwitchingProtocols, res.StatusCode)
	require.NoError(t, res.Body.Close())
	return conn
}
