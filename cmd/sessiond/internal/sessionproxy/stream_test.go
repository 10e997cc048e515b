package sessionproxy_test

import (
	"bufio"
	"io"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/cmd/sessiond/internal/sessionproxy"
	"github.com/sessionbridge/sessionbridge/internal/testkit/await"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
)

// An event stream of the backend is a connection of the session, and is cut with it.
func TestEventStreamEndsWithTheSession(t *testing.T) {
	p, ended := newProxied(t, sessionproxy.Options{}), make(chan struct{}, 2)
	p.mux.HandleFunc("/events", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
		_, _ = io.WriteString(w, "data: hello\n\n")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
		ended <- struct{}{}
	})
	br := webclient.NewBrowser(t, p.site)
	id := p.login(br, "ada")
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.site.URL+"/events", nil)
	require.NoError(t, err)
	res, err := br.Client.Do(req)
	require.NoError(t, err)
	defer res.Body.Close()
	stream := bufio.NewReader(res.Body)
	line, err := stream.ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "data: hello\n", line)
	n := 0
	for _, err := range p.b.Conns(t.Context(), bridge.ConnFilter{SessionID: id}) {
		require.NoError(t, err)
		n++
	}
	require.Equal(t, 1, n)
	_, err = p.b.DestroyByID(t.Context(), id)
	require.NoError(t, err)
	_, err = io.Copy(io.Discard, stream)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	await.Receive(t, ended)

	require.Equal(t, http.StatusForbidden, br.Get("/events", "Origin", "https://evil.example").Status)
	await.Receive(t, ended)
}

// An answer that the client doesn't get changes nothing.
func TestRefusedEventStreamChangesNothing(t *testing.T) {
	p := newProxied(t, sessionproxy.Options{TrustBackend: true})
	p.order("/events", "X-Session-Login", "ada", "Content-Type", "text/event-stream")
	br := webclient.NewBrowser(t, p.site)
	id := p.login(br, "bob")
	require.Equal(t, http.StatusForbidden, br.Get("/events", "Origin", "https://evil.example").Status)
	s := p.session(br)
	require.Equal(t, id, s.ID())
	require.Equal(t, "bob", s.UserID())
}

// A stream that answers a handshake is a connection only while it lasts.
func TestEventStreamInsteadOfASocket(t *testing.T) {
	p := newProxied(t, sessionproxy.Options{})
	p.mux.HandleFunc("/events", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, "data: hello\n\n")
	})
	rep := webclient.NewBrowser(t, p.site).Get("/events", "Connection", "Upgrade", "Upgrade", "websocket",
		"Sec-WebSocket-Version", "13", "Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAAA==")
	require.Equal(t, "data: hello\n\n", rep.Body)
	require.Zero(t, p.b.Stats().Conns, "it is no connection any more")
}
