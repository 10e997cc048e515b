package bridge_test

import (
	"bufio"
	"net"
	"net/http"
	"testing"

	"github.com/felixge/httpsnoop"
	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// between returns h with something done in the middle of each upgrade: the session has been loaded, the socket is not registered yet.
func between(h http.Handler, do func()) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.ServeHTTP(httpsnoop.Wrap(w, httpsnoop.Hooks{Hijack: func(next httpsnoop.HijackFunc) httpsnoop.HijackFunc {
			return func() (net.Conn, *bufio.ReadWriter, error) {
				do()
				return next()
			}
		}}), r)
	})
}

func TestG5_NoSocketOutlivesAHandshakeRace_Destroy(t *testing.T) {
	a := makeApp(t, livestore.New(), nil)
	var id string
	site := serve(t, between(a.Handler(a.mux), func() {
		was, err := a.DestroyByID(t.Context(), id)
		require.NoError(t, err)
		require.True(t, was)
	}))
	br := newBrowser(t, site)
	br.ok("/inc")
	id = br.ok("/id")
	require.Equal(t, bridge.CodeDestroyed, br.dial("/ws").closed())
}

func TestG5_NoSocketOutlivesAHandshakeRace_KeptWithoutASession(t *testing.T) {
	a := makeApp(t, livestore.New(), &bridge.Options{OnSessionEnd: bridge.KeepConns})
	var id string
	site := serve(t, between(a.Handler(a.mux), func() { _, _ = a.DestroyByID(t.Context(), id) }))
	br := newBrowser(t, site)
	br.ok("/inc")
	id = br.ok("/id")
	ws := br.dial("/ws")
	require.Equal(t, `""`, ws.ask("id"))
	require.Contains(t, ws.ask("inc"), bridge.ErrSessionMissing.Error())
}

func TestG5_NoSocketOutlivesAHandshakeRace_Login(t *testing.T) {
	a := makeApp(t, livestore.New(), nil)
	var login func()
	site := serve(t, between(a.Handler(a.mux), func() { login() }))
	br := newBrowser(t, site)
	br.ok("/inc")
	login = func() { br.ok("/login?user=ada") }
	require.Equal(t, bridge.CodeReconnect, br.dial("/ws").closed(), "it has proved a token that opens nothing any more")
	login = func() {}
	require.Equal(t, "2", br.dial("/ws").ask("inc"))
}
