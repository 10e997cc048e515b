package security_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/await"
	"github.com/sessionbridge/sessionbridge/internal/testkit/teststore"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// A socket's handler has authenticated the user: with a ticket this becomes a login, whose cookie
// is set over HTTP.
func TestS08_LoginOverTheSocket(t *testing.T) {
	for name, open := range ticketStores {
		t.Run(name, func(t *testing.T) {
			st := open(t)
			a := testkit.NewTicketApp(t, st, nil)
			br := webclient.NewBrowser(t, a.Serve(t))
			br.OK("/inc")
			id, old := br.OK("/id"), br.Another()
			ws, other := br.Dial("/tickets"), br.Dial("/ws")
			ticket := ws.LoginTicket("ada")
			rep := br.Get("/redeem", "X-Ticket", ticket)
			require.Equal(t, "in as ada", rep.Body)
			require.Equal(t, bridge.CodeReconnect, ws.Closed())
			require.Equal(t, bridge.CodeReconnect, other.Closed())
			require.Equal(t, "ada", teststore.Stored(t, st, id).UserID)
			require.WithinDuration(t, time.Now(), teststore.Stored(t, st, id).LoggedIn, await.Limit)
			require.Equal(t, http.StatusConflict, old.Get("/get").Status, "the token from before opens nothing")
			require.Equal(t, "2", br.Dial("/ws").Ask("inc"), "with the new cookie it comes back")
			require.Equal(t, http.StatusForbidden, br.Get("/redeem", "X-Ticket", ticket).Status, "once")
		})
	}
}

func TestS08_RotationOverTheSocket(t *testing.T) {
	a := testkit.NewTicketApp(t, livestore.New(), nil)
	br := webclient.NewBrowser(t, a.Serve(t))
	br.OK("/inc")
	br.OK("/login?user=ada")
	before := br.Cookie("sid")
	ws := br.Dial("/tickets")
	require.Equal(t, "in as ada", br.Get("/redeem", "X-Ticket", ws.LoginTicket("")).Body)
	require.NotEqual(t, before, br.Cookie("sid"))
	require.Len(t, ws.LoginTicket("ada"), 43, "the socket stays")
}

// A thief can't log in with a stolen ticket, and an attacker can't log another user in with a
// ticket of their own (login CSRF).
func TestS08_LoginTicketIsGoodInItsBrowserOnly(t *testing.T) {
	a := testkit.NewTicketApp(t, livestore.New(), nil)
	site := a.Serve(t)
	br, thief, half, empty := webclient.NewBrowser(t, site), webclient.NewBrowser(t, site), webclient.NewBrowser(t, site), webclient.NewBrowser(t, site)
	br.OK("/inc")
	thief.OK("/inc")
	half.OK("/inc")
	half.SetCookie("sid", br.Cookie("sid")) // but not the client cookie
	ticket := br.Dial("/tickets").LoginTicket("ada")
	for who, other := range map[string]*webclient.Browser{"another session": thief, "another client": half, "no session": empty} {
		cookie := other.Cookie("sid")
		rep := other.Get("/redeem", "X-Ticket", ticket)
		require.Equal(t, http.StatusForbidden, rep.Status, who)
		require.Equal(t, cookie, other.Cookie("sid"), who)
	}
	socket := br.OK("/ticket")
	require.Equal(t, http.StatusForbidden, br.Get("/redeem", "X-Ticket", socket).Status, "a ticket for a handshake is no login")
	require.Equal(t, "in as ada", br.Get("/redeem", "X-Ticket", ticket).Body, "it is still its owner's")
}

func TestS08_LoginTicketEndsWithTheNextLogin(t *testing.T) {
	a := testkit.NewTicketApp(t, livestore.New(), nil)
	br := webclient.NewBrowser(t, a.Serve(t))
	br.OK("/inc")
	ws := br.Dial("/tickets")
	early := ws.LoginTicket("ada")
	br.OK("/rotate")
	rotated := ws.LoginTicket("ada")
	require.Equal(t, "in as ada", br.Get("/redeem", "X-Ticket", rotated).Body)
	require.Equal(t, http.StatusForbidden, br.Get("/redeem", "X-Ticket", early).Status)
	br.OK("/logout")
	br.OK("/inc")
	require.Equal(t, http.StatusForbidden, br.Get("/redeem", "X-Ticket", early).Status)
}

func TestS08_LoginTicketIsShortLived(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := testkit.NewTicketApp(t, livestore.New(), nil)
		br := webclient.NewBrowser(t, a.ServeInMemory(t))
		br.OK("/inc")
		ws := br.Dial("/tickets")
		ticket := ws.LoginTicket("ada")
		time.Sleep(30 * time.Second)
		require.Equal(t, http.StatusForbidden, br.Get("/redeem", "X-Ticket", ticket).Status)
		over := ws.WhenClosed()
		br.OK("/logout")
		require.Equal(t, bridge.CodeDestroyed, <-over)
	})
}

func TestS08_LoginTicketNeedsASessionAndAUser(t *testing.T) {
	a := testkit.NewTicketApp(t, livestore.New(), nil)
	a.Mux.Handle("/nameless", a.WebSocket(func(ctx context.Context, c *bridge.Conn) error {
		ticket, err := c.LoginTicket(ctx, "")
		return c.WriteJSON(ctx, []any{ticket, errors.Is(err, bridge.ErrUserID)})
	}, nil))
	br := webclient.NewBrowser(t, a.Serve(t))
	for _, user := range []string{"ada", ""} {
		require.Contains(t, br.Dial("/tickets").Ask(user), bridge.ErrSessionMissing.Error())
	}
	br.OK("/inc")
	ws := br.Dial("/tickets")
	require.Contains(t, ws.Ask("a\x00b"), bridge.ErrUserID.Error())
	require.Equal(t, `["",true]`, br.Dial("/nameless").Hear(), "an empty user is refused: RotateTicket rotates")
}

// A ticket that can't be used now for an unrelated reason stays valid.
func TestS08_LoginTicketOutlivesWhatItIsNotToBlameFor(t *testing.T) {
	a := testkit.NewTicketApp(t, livestore.New(), nil)
	a.Mux.HandleFunc("/late", func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusOK)
		_, err := a.RedeemTicket(r, r.Header.Get("X-Ticket"))
		_, _ = w.Write([]byte(err.Error()))
	})
	br := webclient.NewBrowser(t, a.Serve(t))
	br.OK("/inc")
	old := br.Another()
	ticket := br.Dial("/tickets").LoginTicket("ada")
	require.Equal(t, bridge.ErrHeadersSent.Error(), br.Get("/late", "X-Ticket", ticket).Body)
	br.OK("/rotate")
	require.Equal(t, http.StatusConflict, old.Get("/redeem", "X-Ticket", ticket).Status, "it has the token from before")
	require.Equal(t, "in as ada", br.Get("/redeem", "X-Ticket", ticket).Body)
}

// A program without cookies logs in over its socket, too.
func TestS08_LoginOverTheSocketWithoutCookies(t *testing.T) {
	st := livestore.New()
	a := testkit.NewTicketApp(t, st, tokens())
	n := newNative(t, a.Serve(t))
	n.ok("/inc")
	ticket := n.dial("/tickets").LoginTicket("ada")
	rep := n.br.Get("/redeem", "Authorization", bearer(n.token), "X-Ticket", ticket)
	n.keep(rep.Header)
	require.Equal(t, "in as ada", rep.Body)
	require.Equal(t, "2", n.ok("/inc"))
}

// FuzzTicket: no text that is presented as a ticket panics, and only an issued ticket opens a
// session.
func FuzzTicket(f *testing.F) {
	a := testkit.NewTicketApp(f, livestore.New(), nil)
	h := a.Handler(a.Mux)
	p := webclient.Pocket{}
	p.Get(f, h, "/inc")
	ticket := p.Get(f, h, "/ticket").Body.String()
	require.Len(f, ticket, 43)
	for _, seed := range []string{"", ticket[:42], ticket + "A", ticket[:42] + "!", ticket[1:] + "A", "==", "\x00", ",", ticket[:21] + "," + ticket[21:]} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if text == ticket {
			return
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, webclient.UpgradeRequest(t, "/ws", "Sec-Websocket-Protocol", "sessionbridge, sessionbridge.ticket."+text))
		require.Equal(t, http.StatusUnauthorized, w.Code)
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/redeem", nil)
		r.Header.Set("X-Ticket", text)
		require.Equal(t, http.StatusForbidden, p.Send(h, r).Code)
	})
}
