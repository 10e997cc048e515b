package guarantees_test

import (
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// A copied client cookie opens nothing, and its owner can go on: a thief can create sessions of the
// client, but can't cut the owner's sockets again and again.
func TestG10_ClientCookieOpensNothing_AndCutsNobodyAgainAndAgain(t *testing.T) {
	for name, c := range map[string]struct {
		attack func(thief *webclient.Browser, i int) // makes a session, or changes one
		most   int
	}{
		"new sessions": {func(thief *webclient.Browser, _ int) { thief.SetCookie("sid", ""); thief.OK("/inc") }, 2},
		"new sessions and logins": {func(thief *webclient.Browser, i int) {
			thief.SetCookie("sid", "")
			thief.OK(fmt.Sprintf("/login?user=mallory%d", i))
		}, 2},
		"logins in one session of the thief's": {func(thief *webclient.Browser, i int) { thief.OK(fmt.Sprintf("/login?user=mallory%d", i)) }, 2},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := testkit.NewApp(t, livestore.New(), nil)
				br := webclient.NewBrowser(t, a.ServeInMemory(t))
				br.OK("/login?user=ada")
				thief := br.WithoutSession()
				thief.OK("/inc")
				time.Sleep(time.Hour)
				cuts := 0
				ws := br.Dial("/ws").Listen()
				ws.Ask("id")
				for i := range 50 {
					c.attack(thief, i)
					time.Sleep(6 * time.Second) // the close waits that long for the response
					select {
					case _, open := <-ws.Inbox:
						require.False(t, open)
						cuts++
						ws = br.Dial("/ws").Listen()
					default:
					}
					require.NotEqual(t, `""`, ws.Ask("id"), "the owner is in")
				}
				require.Positive(t, cuts, "an owner who has lost the session cookie comes back with the new one")
				require.LessOrEqual(t, cuts, c.most)
				require.Equal(t, "1", ws.Ask("inc"), "in the owner's session")
			})
		})
	}
}

func TestG10_ClientCookieOpensNothing_AndCutsNobodyWithoutASessionAgainAndAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := testkit.NewApp(t, livestore.New(), nil)
		br := webclient.NewBrowser(t, a.ServeInMemory(t))
		ws := br.Dial("/ws").Listen()
		require.Equal(t, `""`, ws.Ask("id"))
		thief := br.WithoutSession()
		cuts := 0
		for range 200 {
			thief.SetCookie("sid", "")
			thief.OK("/inc")
			time.Sleep(6 * time.Second)
			select {
			case <-ws.Inbox:
				cuts++
				ws = br.Dial("/ws").Listen()
			default:
			}
		}
		require.Positive(t, cuts)
		require.LessOrEqual(t, cuts, 20+20, "20 in a row, and one a minute")
	})
}

// The same holds during a handshake.
func TestG10_ClientCookieOpensNothing_AndCutsNoHandshakeAgainAndAgain(t *testing.T) {
	a := testkit.NewApp(t, livestore.New(), nil)
	attack := func() {}
	site := webclient.Serve(t, testkit.BetweenUpgrade(a.Handler(a.Mux), func() { attack() }))
	br := webclient.NewBrowser(t, site)
	br.OK("/inc")
	thief := br.WithoutSession()
	attack = func() { thief.SetCookie("sid", ""); thief.Get("/inc") }
	cuts := 0
	for range 20 {
		ws := br.Dial("/ws")
		_ = ws.Conn.Write(t.Context(), websocket.MessageText, []byte("id"))
		if _, err := ws.Read(t.Context()); err != nil {
			require.EqualValues(t, bridge.CodeReconnect, websocket.CloseStatus(err))
			cuts++
		}
	}
	require.LessOrEqual(t, cuts, 2)
}

// A login in the owner's own session cuts that session's connections without a limit.
func TestLoginCutsOffConnectionsOfItsSessionHoweverOften(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := testkit.NewApp(t, livestore.New(), nil)
		br := webclient.NewBrowser(t, a.ServeInMemory(t))
		for range 30 {
			br.OK("/inc")
			ws := br.Dial("/ws").Listen()
			ws.Ask("id")
			br.OK("/login?user=ada")
			require.Equal(t, bridge.CodeReconnect, ws.ClosedEventually())
		}
	})
}

// A ticket is for a connection. A request with an Upgrade header isn't one: pages of a real server
// ignore the header.
func TestS08_TicketOpensNoPage(t *testing.T) {
	a := testkit.NewApp(t, livestore.New(), nil)
	a.Page("/ticket", func(r *http.Request) (any, error) { return a.Ticket(r) })
	br := webclient.NewBrowser(t, a.Serve(t))
	br.OK("/inc")
	for _, path := range []string{"/inc", "/get", "/id", "/logout", "/login?user=mallory", "/ticket"} {
		stranger := webclient.NewBrowser(t, &webclient.Site{URL: br.Base.String(), Dial: br.Client.Transport.(*http.Transport).DialContext})
		rep := stranger.Get(path, "Connection", "Upgrade", "Upgrade", "websocket", "Sec-WebSocket-Version", "13",
			"Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAAA==", "Sec-WebSocket-Protocol", "sessionbridge, sessionbridge.ticket."+br.OK("/ticket"))
		require.NotEqual(t, http.StatusOK, rep.Status, "%s: %s", path, rep.Body)
	}
	require.Equal(t, "1", br.OK("/get"), "the session is as it was")
}
