package bridge_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// A handler on a socket has checked who it is: the ticket makes it a login, whose cookie comes over HTTP.
func TestS08_LoginOverTheSocket(t *testing.T) {
	for name, open := range ticketStores {
		t.Run(name, func(t *testing.T) {
			st := open(t)
			a := ticketApp(t, st, nil)
			br := newBrowser(t, a.serve(t))
			br.ok("/inc")
			id, old := br.ok("/id"), br.another()
			ws, other := br.dial("/tickets"), br.dial("/ws")
			ticket := ws.loginTicket("ada")
			rep := br.get("/redeem", "X-Ticket", ticket)
			require.Equal(t, "in as ada", rep.body)
			require.Equal(t, bridge.CodeReconnect, ws.closed())
			require.Equal(t, bridge.CodeReconnect, other.closed())
			require.Equal(t, "ada", stored(t, st, id).UserID)
			require.WithinDuration(t, time.Now(), stored(t, st, id).LoggedIn, patience)
			require.Equal(t, http.StatusConflict, old.get("/get").status, "the token from before opens nothing")
			require.Equal(t, "2", br.dial("/ws").ask("inc"), "with the new cookie it comes back")
			require.Equal(t, http.StatusForbidden, br.get("/redeem", "X-Ticket", ticket).status, "once")
		})
	}
}

func TestS08_RotationOverTheSocket(t *testing.T) {
	a := ticketApp(t, livestore.New(), nil)
	br := newBrowser(t, a.serve(t))
	br.ok("/inc")
	br.ok("/login?user=ada")
	before := br.cookie("sid")
	ws := br.dial("/tickets")
	require.Equal(t, "in as ada", br.get("/redeem", "X-Ticket", ws.loginTicket("")).body)
	require.NotEqual(t, before, br.cookie("sid"))
	require.Len(t, ws.loginTicket("ada"), 43, "the socket stays")
}

// Whoever has stolen a ticket can't log in with it, and nobody can be logged in by a ticket that is forced upon them (login CSRF).
func TestS08_LoginTicketIsGoodInItsBrowserOnly(t *testing.T) {
	a := ticketApp(t, livestore.New(), nil)
	site := a.serve(t)
	br, thief, half, empty := newBrowser(t, site), newBrowser(t, site), newBrowser(t, site), newBrowser(t, site)
	br.ok("/inc")
	thief.ok("/inc")
	half.ok("/inc")
	half.setCookie("sid", br.cookie("sid")) // but not the client cookie
	ticket := br.dial("/tickets").loginTicket("ada")
	for who, other := range map[string]*browser{"another session": thief, "another client": half, "no session": empty} {
		cookie := other.cookie("sid")
		rep := other.get("/redeem", "X-Ticket", ticket)
		require.Equal(t, http.StatusForbidden, rep.status, who)
		require.Equal(t, cookie, other.cookie("sid"), who)
	}
	socket := br.ok("/ticket")
	require.Equal(t, http.StatusForbidden, br.get("/redeem", "X-Ticket", socket).status, "a ticket for a handshake is no login")
	require.Equal(t, "in as ada", br.get("/redeem", "X-Ticket", ticket).body, "it is still its owner's")
}

func TestS08_LoginTicketEndsWithTheNextLogin(t *testing.T) {
	a := ticketApp(t, livestore.New(), nil)
	br := newBrowser(t, a.serve(t))
	br.ok("/inc")
	ws := br.dial("/tickets")
	early := ws.loginTicket("ada")
	br.ok("/rotate")
	rotated := ws.loginTicket("ada")
	require.Equal(t, "in as ada", br.get("/redeem", "X-Ticket", rotated).body)
	require.Equal(t, http.StatusForbidden, br.get("/redeem", "X-Ticket", early).status)
	br.ok("/logout")
	br.ok("/inc")
	require.Equal(t, http.StatusForbidden, br.get("/redeem", "X-Ticket", early).status)
}

func TestS08_LoginTicketIsShortLived(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := ticketApp(t, livestore.New(), nil)
		br := newBrowser(t, a.serveInMemory(t))
		br.ok("/inc")
		ws := br.dial("/tickets")
		ticket := ws.loginTicket("ada")
		time.Sleep(30 * time.Second)
		require.Equal(t, http.StatusForbidden, br.get("/redeem", "X-Ticket", ticket).status)
		over := ws.whenClosed()
		br.ok("/logout")
		require.Equal(t, bridge.CodeDestroyed, <-over)
	})
}

func TestS08_LoginTicketNeedsASessionAndAUser(t *testing.T) {
	a := ticketApp(t, livestore.New(), nil)
	br := newBrowser(t, a.serve(t))
	require.Contains(t, br.dial("/tickets").ask("ada"), bridge.ErrSessionMissing.Error())
	br.ok("/inc")
	ws := br.dial("/tickets")
	require.Contains(t, ws.ask("a\x00b"), bridge.ErrUserID.Error())
}

// A ticket that can't be used now, for a reason that isn't its own, is still good.
func TestS08_LoginTicketOutlivesWhatItIsNotToBlameFor(t *testing.T) {
	a := ticketApp(t, livestore.New(), nil)
	a.mux.HandleFunc("/late", func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusOK)
		_, err := a.RedeemTicket(r, r.Header.Get("X-Ticket"))
		_, _ = w.Write([]byte(err.Error()))
	})
	br := newBrowser(t, a.serve(t))
	br.ok("/inc")
	old := br.another()
	ticket := br.dial("/tickets").loginTicket("ada")
	require.Equal(t, bridge.ErrHeadersSent.Error(), br.get("/late", "X-Ticket", ticket).body)
	br.ok("/rotate")
	require.Equal(t, http.StatusConflict, old.get("/redeem", "X-Ticket", ticket).status, "it has the token from before")
	require.Equal(t, "in as ada", br.get("/redeem", "X-Ticket", ticket).body)
}

// A program without cookies logs in over its socket, too.
func TestS08_LoginOverTheSocketWithoutCookies(t *testing.T) {
	st := livestore.New()
	a := ticketApp(t, st, tokens())
	n := newNative(t, a.serve(t))
	n.ok("/inc")
	ticket := n.dial("/tickets").loginTicket("ada")
	rep := n.br.get("/redeem", "Authorization", bearer(n.token), "X-Ticket", ticket)
	n.keep(rep.header)
	require.Equal(t, "in as ada", rep.body)
	require.Equal(t, "2", n.ok("/inc"))
}

// FuzzTicket: whatever is presented as a ticket, nothing of it panics, and only what was issued opens anything.
func FuzzTicket(f *testing.F) {
	a := ticketApp(f, livestore.New(), nil)
	h := a.Handler(a.mux)
	p := pocket{}
	p.get(f, h, "/inc")
	ticket := p.get(f, h, "/ticket").Body.String()
	require.Len(f, ticket, 43)
	for _, seed := range []string{"", ticket[:42], ticket + "A", ticket[:42] + "!", ticket[1:] + "A", "==", "\x00", ",", ticket[:21] + "," + ticket[21:]} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if text == ticket {
			return
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, upgradeRequest(t, "/ws", "Sec-Websocket-Protocol", "sessionbridge, sessionbridge.ticket."+text))
		require.Equal(t, http.StatusUnauthorized, w.Code)
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/redeem", nil)
		r.Header.Set("X-Ticket", text)
		require.Equal(t, http.StatusForbidden, p.send(h, r).Code)
	})
}
