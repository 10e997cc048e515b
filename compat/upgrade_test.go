package compat_test

import (
	"context"
	"net/http"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
)

// chat is an application whose connections are made by a library that knows nothing of sessions.
type chat struct {
	library
	b        *bridge.Bridge
	handOver bool            // the cookies, with HandshakeHeader
	upgrades chan error      // what each upgrade returned
	running  *sync.WaitGroup // handlers of connections
}

func newChat(t *testing.T, lib library, st *failingStore, handOver bool) (*chat, string) {
	t.Helper()
	c := &chat{lib, newBridge(t, st, nil), handOver, make(chan error, 10), &sync.WaitGroup{}}
	mux := pages(c.b)
	mux.HandleFunc("/ws", c.serveHTTP)
	site := serve(t, c.b.Handler(mux))
	t.Cleanup(c.running.Wait) // the server doesn't wait for connections that were hijacked
	return c, site
}

// serveHTTP notes the upgrade in the session, and adds each message to it.
func (c *chat) serveHTTP(w http.ResponseWriter, r *http.Request) {
	c.running.Add(1)
	defer c.running.Done()
	s, err := c.b.Session(r)
	if err != nil {
		http.Error(w, err.Error(), bridge.HTTPStatus(err))
		return
	}
	s.Set("upgraded", c.name)
	var header http.Header
	if c.handOver {
		header = c.b.HandshakeHeader(r)
	}
	p, err := c.upgrade(w, r, header)
	c.upgrades <- err
	if err != nil {
		return
	}
	link, err := c.b.Attach(r, p.end)
	if err != nil {
		p.end(bridge.CloseCode(err), "")
		return
	}
	defer link.Detach()
	text := bridge.NewKey[string]("text")
	p.serve(func(message string) string {
		all, err := bridge.WithSession(link.Context(), link, func(_ context.Context, s *bridge.Session) (string, error) {
			before, _ := text.Get(s)
			text.Set(s, before+message)
			return before + message, nil
		}, nil)
		if err != nil {
			return err.Error()
		}
		return all
	})
}

// each runs a test with every library.
func each(t *testing.T, test func(t *testing.T, lib library)) {
	for _, lib := range libraries {
		t.Run(lib.name, func(t *testing.T) { test(t, lib) })
	}
}

// A connection may be the first that a browser asks for: the session that the handshake creates is its own.
func TestUpgradeStoresTheSessionAndHandsOverItsCookie(t *testing.T) {
	each(t, func(t *testing.T, lib library) {
		_, site := newChat(t, lib, newStore(), true)
		br := newBrowser(t, site)
		ws, res := br.dial("/ws")
		require.Equal(t, http.StatusSwitchingProtocols, res.StatusCode)
		cookies := []string{"sid", "sid.cid"}
		if lib.oneOfEach {
			cookies = cookies[:1] // the one that matters comes first
		}
		require.Equal(t, cookies, setCookies(res.Header))

		require.Equal(t, lib.name, br.value("upgraded"), "stored with the handshake")
		require.Equal(t, "a", ws.ask("a"))
		require.Equal(t, "ab", ws.ask("b"))
		require.Equal(t, "ab", br.value("text"), "the connection and the pages have one session")
	})
}

// A library that sends one cookie only costs no session: the client cookie is healed with the next answer.
func TestUpgradeWithoutTheClientCookieIsHealed(t *testing.T) {
	each(t, func(t *testing.T, lib library) {
		_, site := newChat(t, lib, newStore(), true)
		br := newBrowser(t, site)
		ws, _ := br.dial("/ws")
		br.value("upgraded")
		require.NotEmpty(t, br.cookie("sid.cid"))
		require.Equal(t, "a", ws.ask("a"))
		br.ok("/logout")
		require.Equal(t, bridge.CodeDestroyed, ws.closed(), "it is a connection of the session all the same")
	})
}

func TestUpgradeWorksWithoutHandshakeHeader(t *testing.T) {
	each(t, func(t *testing.T, lib library) {
		_, site := newChat(t, lib, newStore(), false)
		br := newBrowser(t, site)
		br.ok("/set?text=x")
		ws, res := br.dial("/ws")
		require.Empty(t, res.Header.Values("Set-Cookie"), "the browser has both cookies")
		require.Equal(t, lib.name, br.value("upgraded"), "stored all the same")
		require.Equal(t, "xa", ws.ask("a"))
		require.Equal(t, "xa", br.value("text"))
	})
}

// Without HandshakeHeader, a library that writes its own 101 can't bring a new session's cookie; nothing else goes wrong.
func TestUpgradeOfANewBrowserWithoutHandshakeHeader(t *testing.T) {
	each(t, func(t *testing.T, lib library) {
		_, site := newChat(t, lib, newStore(), false)
		br := newBrowser(t, site)
		ws, res := br.dial("/ws")
		require.Equal(t, lib.writes101, len(setCookies(res.Header)) == 0)
		require.Equal(t, "a", ws.ask("a"), "the connection has the session")
		want := "a"
		if lib.writes101 {
			want = "none"
		}
		require.Equal(t, want, br.value("text"))
	})
}

func TestG4_DestroyClosesConnectionsOfOtherLibraries(t *testing.T) {
	each(t, func(t *testing.T, lib library) {
		_, site := newChat(t, lib, newStore(), true)
		br := newBrowser(t, site)
		br.ok("/set?text=x")
		first, _ := br.dial("/ws")
		second, _ := br.dial("/ws")
		other, _ := newBrowser(t, site).dial("/ws")
		require.Equal(t, "xa", first.ask("a")) // attached
		require.Equal(t, "xab", second.ask("b"))
		br.ok("/logout")
		require.Equal(t, bridge.CodeDestroyed, first.closed())
		require.Equal(t, bridge.CodeDestroyed, second.closed())
		require.Equal(t, "c", other.ask("c"), "another session's connection stays")
	})
}

func TestG6_LoginClosesConnectionsOfOtherLibraries(t *testing.T) {
	each(t, func(t *testing.T, lib library) {
		_, site := newChat(t, lib, newStore(), true)
		br := newBrowser(t, site)
		br.ok("/set?text=x")
		ws, _ := br.dial("/ws")
		require.Equal(t, "xa", ws.ask("a"))
		br.ok("/login")
		require.Equal(t, bridge.CodeReconnect, ws.closed())
		again, _ := br.dial("/ws")
		require.Equal(t, "xab", again.ask("b"))
	})
}

func TestG3_UpgradeThatCantBeStoredGets503(t *testing.T) {
	for _, handOver := range []bool{true, false} {
		name := map[bool]string{true: "with HandshakeHeader", false: "without"}[handOver]
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, lib library) {
				st := newStore()
				c, site := newChat(t, lib, st, handOver)
				br := newBrowser(t, site)
				st.breakDown()
				_, res, err := br.tryDial("/ws")
				require.Error(t, err)
				require.NotNil(t, res)
				require.Equal(t, http.StatusServiceUnavailable, res.StatusCode)
				require.NotContains(t, setCookies(res.Header), "sid")
				require.ErrorContains(t, wait(t, c.upgrades), bridge.ErrStoreUnavailable.Error(), "the application learns of it")

				st.heal()
				ws, _ := br.dial("/ws")
				require.NoError(t, wait(t, c.upgrades))
				require.Equal(t, "a", ws.ask("a"))
			})
		})
	}
}

func TestShutdownClosesConnectionsOfOtherLibraries(t *testing.T) {
	each(t, func(t *testing.T, lib library) {
		c, site := newChat(t, lib, newStore(), true)
		ws, _ := newBrowser(t, site).dial("/ws")
		require.Equal(t, "a", ws.ask("a"))
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		down := make(chan error, 1)
		go func() { down <- c.b.Shutdown(ctx) }()
		require.Equal(t, bridge.CodeShutdown, ws.closed())
		require.NoError(t, wait(t, down))
	})
}
