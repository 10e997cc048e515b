package bridge_test

import (
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// stranger has a copy of the browser's client cookie, and nothing else.
func (br *browser) stranger() *browser {
	s := br.another()
	s.setCookie("sid", "")
	return s
}

// A copied client cookie opens nothing, and its owner can go on: whoever has it makes sessions of the client, but can't cut the owner's sockets over and over.
func TestG10_ClientCookieOpensNothing_AndCutsNobodyAgainAndAgain(t *testing.T) {
	for name, c := range map[string]struct {
		attack func(thief *browser, i int) // makes a session, or changes one
		most   int
	}{
		"new sessions": {func(thief *browser, _ int) { thief.setCookie("sid", ""); thief.ok("/inc") }, 2},
		"new sessions and logins": {func(thief *browser, i int) {
			thief.setCookie("sid", "")
			thief.ok(fmt.Sprintf("/login?user=mallory%d", i))
		}, 2},
		"logins in one session of the thief's": {func(thief *browser, i int) { thief.ok(fmt.Sprintf("/login?user=mallory%d", i)) }, 2},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := makeApp(t, livestore.New(), nil)
				br := newBrowser(t, a.serveInMemory(t))
				br.ok("/login?user=ada")
				thief := br.stranger()
				thief.ok("/inc")
				time.Sleep(time.Hour)
				cuts := 0
				ws := br.dial("/ws").listen()
				ws.ask("id")
				for i := range 50 {
					c.attack(thief, i)
					time.Sleep(6 * time.Second) // the close waits that long for the response
					select {
					case _, open := <-ws.inbox:
						require.False(t, open)
						cuts++
						ws = br.dial("/ws").listen()
					default:
					}
					require.NotEqual(t, `""`, ws.ask("id"), "the owner is in")
				}
				require.Positive(t, cuts, "an owner who has lost the session cookie comes back with the new one")
				require.LessOrEqual(t, cuts, c.most)
				require.Equal(t, "1", ws.ask("inc"), "in the owner's session")
			})
		})
	}
}

func TestG10_ClientCookieOpensNothing_AndCutsNobodyWithoutASessionAgainAndAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := makeApp(t, livestore.New(), nil)
		br := newBrowser(t, a.serveInMemory(t))
		ws := br.dial("/ws").listen()
		require.Equal(t, `""`, ws.ask("id"))
		thief := br.stranger()
		cuts := 0
		for range 200 {
			thief.setCookie("sid", "")
			thief.ok("/inc")
			time.Sleep(6 * time.Second)
			select {
			case <-ws.inbox:
				cuts++
				ws = br.dial("/ws").listen()
			default:
			}
		}
		require.Positive(t, cuts)
		require.LessOrEqual(t, cuts, 20+20, "20 in a row, and one a minute")
	})
}

// A handshake is no better moment.
func TestG10_ClientCookieOpensNothing_AndCutsNoHandshakeAgainAndAgain(t *testing.T) {
	a := makeApp(t, livestore.New(), nil)
	attack := func() {}
	site := serve(t, between(a.Handler(a.mux), func() { attack() }))
	br := newBrowser(t, site)
	br.ok("/inc")
	thief := br.stranger()
	attack = func() { thief.setCookie("sid", ""); thief.get("/inc") }
	cuts := 0
	for range 20 {
		ws := br.dial("/ws")
		_ = ws.ws.Write(t.Context(), websocket.MessageText, []byte("id"))
		if _, err := ws.read(t.Context()); err != nil {
			require.EqualValues(t, bridge.CodeReconnect, websocket.CloseStatus(err))
			cuts++
		}
	}
	require.LessOrEqual(t, cuts, 2)
}

// The owner's own session ends its own connections as ever.
func TestLoginCutsOffConnectionsOfItsSessionHoweverOften(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := makeApp(t, livestore.New(), nil)
		br := newBrowser(t, a.serveInMemory(t))
		for range 30 {
			br.ok("/inc")
			ws := br.dial("/ws").listen()
			ws.ask("id")
			br.ok("/login?user=ada")
			require.Equal(t, bridge.CodeReconnect, ws.closedEventually())
		}
	})
}

// A ticket is for a connection. That a request says it wants one is nothing: pages of a real server don't look at the Upgrade header.
func TestS08_TicketOpensNoPage(t *testing.T) {
	a := makeApp(t, livestore.New(), nil)
	a.page("/ticket", func(r *http.Request) (any, error) { return a.Ticket(r) })
	br := newBrowser(t, a.serve(t))
	br.ok("/inc")
	for _, path := range []string{"/inc", "/get", "/id", "/logout", "/login?user=mallory", "/ticket"} {
		stranger := newBrowser(t, &site{br.base.String(), br.client.Transport.(*http.Transport).DialContext})
		rep := stranger.get(path, "Connection", "Upgrade", "Upgrade", "websocket", "Sec-WebSocket-Version", "13",
			"Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAAA==", "Sec-WebSocket-Protocol", "sessionbridge, sessionbridge.ticket."+br.ok("/ticket"))
		require.NotEqual(t, http.StatusOK, rep.status, "%s: %s", path, rep.body)
	}
	require.Equal(t, "1", br.ok("/get"), "the session is as it was")
}
