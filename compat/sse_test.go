package compat_test

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
)

// stream is a page of server-sent events: each message sent to it is one.
func stream(b *bridge.Bridge, messages <-chan string, closed chan<- int) action {
	return func(w http.ResponseWriter, r *http.Request, s *bridge.Session) {
		s.Set("streaming", "v")
		w.Header().Set("Content-Type", "text/event-stream")
		c := http.NewResponseController(w)
		if err := c.Flush(); err != nil {
			return
		}
		link, err := b.Attach(r, func(code int, _ string) { closed <- code })
		if err != nil {
			return
		}
		defer link.Detach()
		for {
			select {
			case m := <-messages:
				_, _ = fmt.Fprintf(w, "data: %s\n\n", m)
				if c.Flush() != nil {
					return
				}
			case <-link.Context().Done():
				return
			case <-r.Context().Done():
				return
			}
		}
	}
}

func sseApp(t *testing.T, st *failingStore) (br *browser, messages chan string, closed chan int) {
	t.Helper()
	b := newBridge(t, st, nil)
	messages, closed = make(chan string), make(chan int, 1)
	mux := pages(b)
	mux.Handle("/events", do(b, stream(b, messages, closed)))
	return newBrowser(t, serve(t, b.Handler(mux))), messages, closed
}

func (br *browser) events() (*http.Response, *bufio.Reader) {
	br.t.Helper()
	r, err := http.NewRequestWithContext(br.t.Context(), http.MethodGet, br.base.String()+"/events", nil)
	require.NoError(br.t, err)
	res, err := br.client.Do(r)
	require.NoError(br.t, err)
	br.t.Cleanup(func() { _ = res.Body.Close() })
	return res, bufio.NewReader(res.Body)
}

func TestServerSentEvents(t *testing.T) {
	br, messages, closed := sseApp(t, newStore())
	res, body := br.events()
	require.Equal(t, "text/event-stream", res.Header.Get("Content-Type"))
	require.Equal(t, []string{"sid", "sid.cid"}, setCookies(res.Header))
	require.Equal(t, "v", br.value("streaming"), "stored while the stream is open")
	for _, m := range []string{"one", "two"} { // each arrives by itself
		messages <- m
		line, err := body.ReadString('\n')
		require.NoError(t, err)
		require.Equal(t, "data: "+m, strings.TrimSpace(line))
		_, err = body.ReadString('\n')
		require.NoError(t, err)
	}
	br.ok("/logout")
	require.Equal(t, bridge.CodeDestroyed, wait(t, closed))
	_, err := body.ReadString('\n')
	require.ErrorIs(t, err, io.EOF, "the stream ends with the session")
}

func TestG3_StreamThatCantBeStoredNeverBegins(t *testing.T) {
	st := newStore()
	br, _, _ := sseApp(t, st)
	st.breakDown()
	rep := br.get("/events")
	require.Equal(t, http.StatusServiceUnavailable, rep.status)
	require.NotContains(t, rep.header.Get("Content-Type"), "event-stream")
}
