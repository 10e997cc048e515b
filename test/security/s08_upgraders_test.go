package security_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// offers are the subprotocols that an upgrader of another library would see, in the header of the
// answer and in the request.
type offers struct{ answer, left []string }

// foreign is an application whose /foreign prepares the request for another library's upgrader, and
// then opens the session.
func foreign(t *testing.T, opts *bridge.Options) (h http.Handler, p webclient.Pocket, saw *offers) {
	t.Helper()
	a := testkit.NewTicketApp(t, livestore.New(), opts)
	saw = &offers{}
	a.Mux.HandleFunc("/foreign", func(w http.ResponseWriter, r *http.Request) {
		header := a.HandshakeHeader(r)
		*saw = offers{header["Sec-Websocket-Protocol"], r.Header["Sec-Websocket-Protocol"]}
		testkit.Page(func(r *http.Request) (any, error) {
			link, err := a.Attach(r, func(int, string) {})
			if err != nil {
				return nil, err
			}
			defer link.Detach()
			return link.SessionID(), nil
		})(w, r)
	})
	h, p = a.Handler(a.Mux), webclient.Pocket{}
	p.Get(t, h, "/inc")
	return h, p, saw
}

func TestS08_TicketWithAnotherLibrary(t *testing.T) {
	h, p, saw := foreign(t, nil)
	id := p.Get(t, h, "/id").Body.String()
	for _, c := range []struct {
		others       string
		answer, left []string
	}{
		{"sessionbridge, ", []string{"sessionbridge"}, []string{"sessionbridge"}},
		{"", nil, nil},
		{"sessionbridge, chat, ", nil, []string{"sessionbridge, chat"}},
		{"chat, ", nil, []string{"chat"}},
	} {
		ticket := p.Get(t, h, "/ticket").Body.String()
		request := func() *http.Request {
			return webclient.UpgradeRequest(t, "/foreign", "Sec-Websocket-Protocol", c.others+"sessionbridge.ticket."+ticket)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, request())
		require.Equal(t, id, w.Body.String(), "%q", c.others)
		require.Equal(t, offers{c.answer, c.left}, *saw, "the upgrader never sees it")

		w = httptest.NewRecorder()
		h.ServeHTTP(w, request())
		require.Equal(t, http.StatusUnauthorized, w.Code, "the handshake is answered before the upgrader can")
		require.Equal(t, "The ticket is invalid or has expired.\n", w.Body.String())
	}
}

func TestTokenWithAnotherLibrary(t *testing.T) {
	h, _, saw := foreign(t, &bridge.Options{TokenFrom: bridge.TokenFromProtocol("app.token.")})
	const begin = "app.token."
	w := httptest.NewRecorder()
	h.ServeHTTP(w, webclient.UpgradeRequest(t, "/inc", "Sec-Websocket-Protocol", begin))
	token := w.Header().Get(bridge.SessionTokenHeader)
	w = httptest.NewRecorder()
	h.ServeHTTP(w, webclient.UpgradeRequest(t, "/id", "Sec-Websocket-Protocol", begin+token))
	id := w.Body.String()
	w = httptest.NewRecorder()
	h.ServeHTTP(w, webclient.UpgradeRequest(t, "/foreign", "Sec-Websocket-Protocol", begin+token+", sessionbridge"))
	require.Equal(t, id, w.Body.String())
	require.Equal(t, offers{[]string{"sessionbridge"}, []string{"sessionbridge"}}, *saw)
}

func TestHandshakeHeaderBringsTheToken(t *testing.T) {
	opts := tokens()
	a := testkit.NewApp(t, livestore.New(), opts)
	a.Mux.HandleFunc("/upgrade", func(w http.ResponseWriter, r *http.Request) {
		s, err := a.Session(r)
		require.NoError(t, err)
		s.Set("n", 1)
		h := a.HandshakeHeader(r)
		require.NotEmpty(t, h.Get(bridge.SessionTokenHeader))
		require.Empty(t, h["Set-Cookie"])
		_, _ = w.Write([]byte(h.Get(bridge.SessionTokenHeader)))
	})
	n := newNative(t, a.Serve(t))
	n.token = n.ok("/upgrade")
	require.Equal(t, "1", n.ok("/get"))
}
