package bridge_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
)

// native is a program that does without cookies: it keeps a token, and sends it in a header.
type native struct {
	t     testing.TB
	br    *browser // without a jar
	token string
}

func newNative(t testing.TB, s *site) *native {
	t.Helper()
	br := newBrowser(t, s)
	br.client.Jar = nil
	return &native{t: t, br: br}
}

func bearer(token string) string { return strings.TrimSpace("Bearer " + token) }

// keep does with the response what a client is to do. No cookie may be in it.
func (n *native) keep(h http.Header) {
	n.t.Helper()
	require.Empty(n.t, h["Set-Cookie"], "a client without cookies gets none")
	if kept, ok := h[bridge.SessionTokenHeader]; ok {
		require.Len(n.t, kept, 1)
		n.token = kept[0]
	}
}

func (n *native) get(path string) reply {
	n.t.Helper()
	rep := n.br.get(path, "Authorization", bearer(n.token))
	n.keep(rep.header)
	return rep
}

func (n *native) ok(path string) string {
	n.t.Helper()
	rep := n.get(path)
	require.Equal(n.t, http.StatusOK, rep.status, "GET %s: %s", path, rep.body)
	return rep.body
}

func (n *native) dial(path string) *socket {
	n.t.Helper()
	ws, res, err := n.br.tryDial(path, http.Header{"Authorization": {bearer(n.token)}})
	require.NoError(n.t, err)
	n.keep(res.Header)
	return ws
}

// dialOffering opens a WebSocket, as a browser's script does it, with subprotocols; the answer must be one of those that may be answered.
func (br *browser) dialOffering(path string, may []string, offers ...string) (*socket, *http.Response, error) {
	br.t.Helper()
	ws, res, err := websocket.Dial(br.t.Context(), br.base.String()+path, &websocket.DialOptions{HTTPClient: br.client, Subprotocols: offers})
	if res != nil {
		answer := res.Header["Sec-Websocket-Protocol"]
		for _, name := range answer {
			require.Contains(br.t, may, name, "what is answered")
		}
		require.LessOrEqual(br.t, len(answer), 1)
	}
	if err != nil {
		return nil, res, err
	}
	br.t.Cleanup(func() { _ = ws.CloseNow() })
	return &socket{t: br.t, ws: ws}, res, nil
}

// upgradeRequest is a handshake that a test hands to a handler itself: it gets as far as the session.
func upgradeRequest(t testing.TB, path string, header ...string) *http.Request {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
	r.Header.Set("Connection", "Upgrade")
	r.Header.Set("Upgrade", "websocket")
	r.Header.Set("Sec-Websocket-Version", "13")
	r.Header.Set("Sec-Websocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return r
}
