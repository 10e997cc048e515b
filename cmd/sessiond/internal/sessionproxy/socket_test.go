package sessionproxy_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/cmd/sessiond/internal/sessionproxy"
	"github.com/sessionbridge/sessionbridge/internal/testkit/await"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
)

// newEcho returns a backend with a WebSocket at /socket that begins with the user, and answers each
// message; "bye" has it close, "drop" vanish. ended gets how each connection has ended for it.
func newEcho(t *testing.T, opts sessionproxy.Options) (p *proxied, ended chan websocket.StatusCode) {
	t.Helper()
	p, ended = newProxied(t, opts), make(chan websocket.StatusCode, 10)
	p.mux.HandleFunc("/socket", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Add("Set-Cookie", "theme=dark")
		ws, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{"v2", "v1"}})
		if err != nil {
			return
		}
		defer ws.CloseNow()
		ws.SetReadLimit(-1)
		_ = ws.Write(r.Context(), websocket.MessageText, []byte(r.Header.Get("X-Session-User")))
		for {
			kind, message, err := ws.Read(r.Context())
			switch {
			case err != nil:
				ended <- websocket.CloseStatus(err)
				return
			case string(message) == "bye":
				_ = ws.Close(4321, "so long")
				return
			case string(message) == "drop":
				return
			}
			_ = ws.Write(r.Context(), kind, message)
		}
	})
	return p, ended
}

func TestSocketIsRelayed(t *testing.T) {
	p, ended := newEcho(t, sessionproxy.Options{})
	br := webclient.NewBrowser(t, p.site)
	p.login(br, "ada")
	ws, res, err := br.DialOffering("/socket", []string{"v1", "v2"}, "v1", "v2")
	require.NoError(t, err)
	require.Equal(t, "v2", ws.Conn.Subprotocol(), "the backend's choice")
	require.Equal(t, []string{"theme=dark"}, res.Header["Set-Cookie"])
	require.Equal(t, "ada", ws.Hear())
	ws.Say("hello")
	require.Equal(t, "hello", ws.Hear())
	require.NoError(t, ws.Conn.Write(t.Context(), websocket.MessageBinary, []byte{0, 255}))
	kind, data, err := ws.Conn.Read(t.Context())
	require.NoError(t, err)
	require.Equal(t, websocket.MessageBinary, kind)
	require.Equal(t, []byte{0, 255}, data)

	sent := bridge.Traffic{Messages: 2, Bytes: 7}
	ws.Conn.SetReadLimit(-1)
	for _, size := range []int{0, 32 << 10, 32<<10 + 1, 100_000} {
		text := strings.Repeat("x", size)
		sent.Messages, sent.Bytes = sent.Messages+1, sent.Bytes+uint64(size)
		require.NoError(t, ws.TrySay(text))
		require.Equal(t, text, ws.Hear())
	}

	_, err = p.b.Notify(t.Context(), bridge.To{UserID: "ada"}, []byte("a word of the API"))
	require.NoError(t, err)
	require.Equal(t, "a word of the API", ws.Hear())
	for conn, err := range p.b.Conns(t.Context(), bridge.ConnFilter{UserID: "ada"}) {
		require.NoError(t, err)
		require.Equal(t, sent, conn.Received)
	}

	require.NoError(t, ws.Conn.Close(3210, "mine"))
	require.EqualValues(t, 3210, await.Receive(t, ended))
}

// The backend knows nothing of sessions, but the end of a session ends its sockets with the codes
// of the Bridge.
func TestSessionsEndClosesSockets(t *testing.T) {
	p, ended := newEcho(t, sessionproxy.Options{TrustBackend: true})
	for name, c := range map[string]struct {
		end  func(br *webclient.Browser, id string)
		code int
	}{
		"logout by the backend": {func(br *webclient.Browser, _ string) { br.OK("/logout") }, bridge.CodeDestroyed},
		"logout by the API": {func(_ *webclient.Browser, id string) {
			existed, err := p.b.DestroyByID(t.Context(), id)
			require.NoError(t, err)
			require.True(t, existed)
		}, bridge.CodeDestroyed},
		"another login": {func(br *webclient.Browser, _ string) { br.OK("/login") }, bridge.CodeReconnect},
	} {
		t.Run(name, func(t *testing.T) {
			br, other := webclient.NewBrowser(t, p.site), webclient.NewBrowser(t, p.site)
			id := p.login(br, "eve")
			p.login(other, "bob")
			ws, stays := br.Dial("/socket"), other.Dial("/socket")
			require.Equal(t, "eve", ws.Hear())
			require.Equal(t, "bob", stays.Hear())
			c.end(br, id)
			require.Equal(t, c.code, ws.Closed())
			require.Equal(t, websocket.StatusGoingAway, await.Receive(t, ended))
			stays.Say("still here")
			require.Equal(t, "still here", stays.Hear())
			require.NoError(t, stays.Conn.Close(websocket.StatusNormalClosure, ""))
			require.Equal(t, websocket.StatusNormalClosure, await.Receive(t, ended))
		})
	}
}

func TestBackendClosesTheSocket(t *testing.T) {
	p, _ := newEcho(t, sessionproxy.Options{})
	br := webclient.NewBrowser(t, p.site)
	for word, code := range map[string]int{"bye": 4321, "drop": bridge.CodeUnavailable} {
		ws := br.Dial("/socket")
		ws.Hear()
		ws.Say(word)
		require.Equal(t, code, ws.Closed(), word)
	}
}

func TestClientThatVanishesOrSendsTooMuch(t *testing.T) {
	p, ended := newEcho(t, sessionproxy.Options{MaxMessageBytes: 1000})
	br := webclient.NewBrowser(t, p.site)
	ws := br.Dial("/socket")
	ws.Hear()
	require.NoError(t, ws.Conn.CloseNow())
	require.Negative(t, await.Receive(t, ended))

	ws = br.Dial("/socket")
	ws.Hear()
	ws.Say(strings.Repeat("x", 1001))
	require.Equal(t, int(websocket.StatusMessageTooBig), ws.Closed())
	await.Receive(t, ended)
}

// What the backend answers to a handshake that it refuses, the client gets.
// Pings reveal a client that has vanished, and keep proxies from closing a silent connection.
func TestClientIsPinged(t *testing.T) {
	p, ended := newEcho(t, sessionproxy.Options{Heartbeat: time.Millisecond})
	pinged := make(chan struct{}, 1)
	ctx := context.WithoutCancel(t.Context())
	ws, res, err := websocket.Dial(ctx, p.site.URL+"/socket", &websocket.DialOptions{
		HTTPClient: webclient.NewBrowser(t, p.site).Client,
		OnPingReceived: func(context.Context, []byte) bool {
			select {
			case pinged <- struct{}{}:
			default:
			}
			return true
		},
	})
	require.NoError(t, err)
	require.Equal(t, http.StatusSwitchingProtocols, res.StatusCode)
	_, _, err = ws.Read(ctx) // the user, of which there is none
	require.NoError(t, err)
	ws.CloseRead(ctx) // answers pings
	await.Receive(t, pinged)
	_ = ws.CloseNow()
	await.Receive(t, ended)
}

func TestRefusalOfTheBackendIsRelayed(t *testing.T) {
	p := newProxied(t, sessionproxy.Options{TrustBackend: true})
	long := strings.Repeat("no ", 10_000)
	p.mux.HandleFunc("/closed", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Session-Grant", r.Header.Get("X-Session-Grant"))
		w.Header().Set("X-Session-Logout", "1")
		w.Header().Set("Location", "/login")
		w.WriteHeader(http.StatusFound)
		_, _ = io.WriteString(w, long)
	})
	br := webclient.NewBrowser(t, p.site)
	id := p.login(br, "ada")
	client := *br.Client
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	br.Client = &client
	rep := br.Get("/closed", "Connection", "Upgrade", "Upgrade", "websocket",
		"Sec-WebSocket-Version", "13", "Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAAA==")
	require.Equal(t, http.StatusFound, rep.Status)
	require.Equal(t, "/login", rep.Header.Get("Location"))
	require.Equal(t, long, rep.Body)
	require.Empty(t, rep.Header.Get("X-Session-Logout"))
	_, err := p.b.GetByID(t.Context(), id)
	require.ErrorIs(t, err, bridge.ErrSessionMissing)
}

// A handshake can't change the session: browsers may drop the cookies of its answer.
func TestHandshakeChangesNoSession(t *testing.T) {
	p := newProxied(t, sessionproxy.Options{TrustBackend: true})
	p.mux.HandleFunc("/socket", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Session-Grant", r.Header.Get("X-Session-Grant"))
		w.Header().Set("X-Session-Login", "ada")
		if ws, err := websocket.Accept(w, r, nil); err == nil {
			_, _, _ = ws.Read(r.Context())
		}
	})
	_, res, err := webclient.NewBrowser(t, p.site).TryDial("/socket", nil)
	require.Error(t, err)
	require.Equal(t, http.StatusBadGateway, res.StatusCode)
}

// A page of another site doesn't reach the backend, and neither does a visitor without a login
// where one is required.
func TestHandshakeThatMayNotPass(t *testing.T) {
	p, _ := newEcho(t, sessionproxy.Options{Require: sessionproxy.RequireLogin})
	br := webclient.NewBrowser(t, p.site)
	for status, origin := range map[int]string{403: "https://evil.example", 401: p.site.URL} {
		_, res, err := br.TryDial("/socket", http.Header{"Origin": {origin}})
		require.Error(t, err)
		require.Equal(t, status, res.StatusCode)
	}
	require.Zero(t, p.asked.Load())
}

// The Bridge's own subprotocols may be credentials, which the backend doesn't get.
func TestBackendGetsNoTicket(t *testing.T) {
	p, _ := newEcho(t, sessionproxy.Options{})
	offered := make(chan []string, 1)
	p.mux.HandleFunc("/offers", func(w http.ResponseWriter, r *http.Request) {
		offered <- r.Header["Sec-Websocket-Protocol"]
		ws, err := websocket.Accept(w, r, nil)
		if err == nil {
			_, _, _ = ws.Read(r.Context())
		}
	})
	ws, _, err := webclient.NewBrowser(t, p.site).DialOffering("/offers",
		[]string{bridge.Subprotocol}, bridge.Subprotocol, bridge.Subprotocol+".token.x")
	require.NoError(t, err)
	require.Equal(t, bridge.Subprotocol, ws.Conn.Subprotocol())
	require.Empty(t, await.Receive(t, offered))
	require.NoError(t, ws.Conn.Close(websocket.StatusNormalClosure, ""))
}

// What isn't the handshake of a WebSocket is passed on as a request, without the header that would
// turn the connection into something that the proxy can't end.
func TestOtherUpgradesDoNotPass(t *testing.T) {
	p := newProxied(t, sessionproxy.Options{})
	br := webclient.NewBrowser(t, p.site)
	for _, header := range [][]string{
		{"Connection", "Upgrade", "Upgrade", "h2c"},
		{"Connection", "Upgrade", "Upgrade", "websocket, other"},
		{"Upgrade", "websocket"},
	} {
		require.Empty(t, p.headers(br, header...)["Upgrade"])
	}
	require.Equal(t, http.StatusOK, br.Post("/who", "Connection", "Upgrade", "Upgrade", "websocket").Status)
}

// A backend that switches protocols without a request to do so gets no connection to the client, and
// keeps none to the proxy.
func TestUnrequestedSwitchOfProtocols(t *testing.T) {
	p := newProxied(t, sessionproxy.Options{})
	ended := make(chan error, 2)
	for path, header := range map[string]string{
		"/named": "Connection: Upgrade\r\nUpgrade: x\r\n", "/unnamed": "Connection: Upgrade\r\n",
	} {
		p.mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) {
			conn, buf, err := http.NewResponseController(w).Hijack()
			if err != nil {
				return
			}
			defer conn.Close()
			_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\n"+header+"\r\n")
			_, err = buf.ReadByte()
			ended <- err
		})
		require.Equal(t, http.StatusBadGateway, webclient.NewBrowser(t, p.site).Get(path).Status)
		require.ErrorIs(t, await.Receive(t, ended), io.EOF)
	}
}

// Credentials of the Bridge reach the backend with no other request either.
func TestRequestHasNoSubprotocols(t *testing.T) {
	p := newProxied(t, sessionproxy.Options{})
	h := p.headers(webclient.NewBrowser(t, p.site), "Sec-WebSocket-Protocol", bridge.Subprotocol+".token.x")
	require.Empty(t, h["Sec-Websocket-Protocol"])
}

func TestShutdownClosesSockets(t *testing.T) {
	p, ended := newEcho(t, sessionproxy.Options{})
	ws := webclient.NewBrowser(t, p.site).Dial("/socket")
	ws.Hear()
	code := ws.WhenClosed()
	require.NoError(t, p.b.Shutdown(context.WithoutCancel(t.Context())))
	require.Equal(t, bridge.CodeShutdown, await.Receive(t, code))
	require.Equal(t, websocket.StatusGoingAway, await.Receive(t, ended))
}
