package testkit

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit/await"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
)

// Conns returns the connections that a filter matches.
func Conns(t *testing.T, b *bridge.Bridge, f bridge.ConnFilter) []bridge.ConnInfo {
	t.Helper()
	var all []bridge.ConnInfo
	for c, err := range b.Conns(t.Context(), f) {
		require.NoError(t, err)
		all = append(all, c)
	}
	return all
}

// OpenConns waits until the filter matches n connections, and returns them.
func OpenConns(t *testing.T, b *bridge.Bridge, f bridge.ConnFilter, n int) (found []bridge.ConnInfo) {
	t.Helper()
	matched := func() bool { found = Conns(t, b, f); return len(found) == n }
	require.Eventually(t, matched, await.Limit, time.Millisecond)
	return found
}

// Attach returns the Link of a new session, as an application with another WebSocket library has
// it, and the session's ID.
func Attach(t *testing.T, a *App, shut func(code int, reason string)) (*bridge.Link, string) {
	t.Helper()
	var link *bridge.Link
	h := a.Handler(Page(func(r *http.Request) (any, error) {
		var err error
		link, err = a.Attach(r, shut)
		return "", err
	}))
	p := webclient.Pocket{}
	p.Get(t, a.Handler(a.Mux), "/inc")
	id := p.Get(t, a.Handler(a.Mux), "/id").Body.String()
	require.Equal(t, http.StatusOK, p.Get(t, h, "/").Code)
	require.Equal(t, id, link.SessionID())
	return link, id
}

// OnMessage is a handler of Bridge.Messages.
type OnMessage = func(ctx context.Context, c *bridge.Conn, msg bridge.Message, s *bridge.Session) error

// OpenMessages adds a socket at /messages and opens it in a browser with a session.
func OpenMessages(
	t *testing.T, a *App, opts *bridge.ConnOptions, fn OnMessage,
) (*webclient.Browser, *webclient.Socket) {
	t.Helper()
	a.Mux.Handle("/messages", a.Messages(fn, opts))
	br := webclient.NewBrowser(t, a.Serve(t))
	br.OK("/inc")
	return br, br.Dial("/messages")
}

// MustNotify sends text to the connections that to matches, which must be n.
func (a *App) MustNotify(t *testing.T, to bridge.To, text string, n int) {
	t.Helper()
	sent, err := a.Notify(t.Context(), to, []byte(text))
	require.NoError(t, err)
	require.Equal(t, n, sent)
}

// AttachPage serves a path that attaches its request for a moment. The errors arrive in the channel.
func (a *App) AttachPage(path string) <-chan error {
	result := make(chan error, 1)
	a.Mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
		link, err := a.Attach(r, func(int, string) {})
		if err == nil {
			link.Detach()
		}
		result <- err
		w.WriteHeader(bridge.HTTPStatus(err))
	})
	return result
}
