package bridge_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/filestore"
	"github.com/sessionbridge/sessionbridge/internal/tickets"
	"github.com/sessionbridge/sessionbridge/livestore"
)

func TestS08_TicketOpensOneHandshakeWithoutCookies(t *testing.T) {
	for name, open := range ticketStores {
		t.Run(name, func(t *testing.T) {
			a := ticketApp(t, open(t), nil)
			br := newBrowser(t, a.serve(t))
			br.ok("/inc")
			rep := br.get("/ticket")
			require.Len(t, rep.body, 43)
			require.Equal(t, "no-store", rep.header.Get("Cache-Control"), "a ticket is a secret")
			elsewhere := br.jarless()
			ws, res, err := elsewhere.dialTicket("/ws", rep.body)
			require.NoError(t, err)
			require.Empty(t, res.Header["Set-Cookie"])
			require.Empty(t, res.Header[bridge.SessionTokenHeader])
			require.Equal(t, `"`+br.ok("/id")+`"`, ws.ask("id"))
			require.Equal(t, "2", ws.ask("inc"))
			elsewhere.refused(rep.body, "a second time")
			br.ok("/rotate")
			require.Equal(t, "3", ws.ask("inc"), "a plain rotation keeps it")
			br.ok("/login?user=ada")
			require.Equal(t, bridge.CodeReconnect, ws.closed(), "it has proved the token from before")
			ws, _, err = elsewhere.dialTicket("/ws", br.ok("/ticket"))
			require.NoError(t, err)
			br.ok("/logout")
			require.Equal(t, bridge.CodeDestroyed, ws.closed())
		})
	}
}

func TestS08_TicketThatOpensNothingIsRefused(t *testing.T) {
	a := ticketApp(t, livestore.New(), nil)
	site := a.serve(t)
	br := newBrowser(t, site)
	br.ok("/inc")
	good := br.ok("/ticket")
	other := "A" // another first character than the ticket's, whatever that is
	if good[:1] == other {
		other = "B"
	}
	for _, bad := range []string{
		"", "x", good[1:], good + "A", other + good[1:], good[:42], good[:20] + "AAAAAAAAAAAAAAAAAAAAAAA", good[:22] + "AAAAAAAAAAAAAAAAAAAAA" /* its own ID */, good + "=", good[:43] + "." + good,
	} {
		br.refused(bad, "%q: its session cookie makes up for nothing", bad)
	}
	refusedBefore := a.Stats().Refused
	require.NotZero(t, refusedBefore)

	rep := br.get("/id", "Sec-Websocket-Protocol", "sessionbridge.ticket."+good)
	require.Equal(t, http.StatusForbidden, rep.status, "it is for handshakes")
	_, res, err := br.tryDial("/ws", http.Header{"Sec-Websocket-Protocol": {"sessionbridge.ticket." + good}, "Origin": {"https://evil.test"}})
	require.Error(t, err)
	require.Equal(t, http.StatusForbidden, res.StatusCode, "the origin is checked as always")
	rep = br.get("/id", "Sec-Websocket-Protocol", "sessionbridge.ticket."+good, "Upgrade", "other", "Origin", "https://evil.test")
	require.Equal(t, http.StatusForbidden, rep.status, "whoever opens the session")
	_, _, err = br.dialTicket("/ws", good)
	require.NoError(t, err, "none of that has used it up")

	login := br.dial("/tickets").loginTicket("ada")
	br.refused(login, "a ticket to log in with")

	before := br.ok("/ticket")
	br.ok("/login?user=ada")
	br.refused(before, "a login has come between")
	ended := br.ok("/ticket")
	br.ok("/logout")
	br.refused(ended, "the session has ended")
	br.ok("/inc")
	br.refused(ended, "it falls back to no other session")
}

func TestS08_TicketIsShortLived(t *testing.T) {
	for name, open := range ticketStores {
		if name == "filestore" {
			continue // its committer is no part of a bubble
		}
		for _, lifetime := range []time.Duration{0, 5 * time.Minute} {
			t.Run(fmt.Sprint(name, lifetime), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					a := ticketApp(t, open(t), &bridge.Options{TicketLifetime: lifetime})
					h := a.Handler(a.mux)
					p := pocket{}
					p.get(t, h, "/inc")
					limit := 30 * time.Second
					if lifetime != 0 {
						limit = lifetime
					}
					for wait, want := range map[time.Duration]int{limit - time.Millisecond: http.StatusOK, limit: http.StatusUnauthorized} {
						ticket := p.get(t, h, "/ticket").Body.String()
						time.Sleep(wait)
						w := httptest.NewRecorder()
						a.upgrading().ServeHTTP(w, upgradeRequest(t, "/id", "Sec-Websocket-Protocol", "sessionbridge.ticket."+ticket))
						require.Equal(t, want, w.Code, "after %v", wait)
					}
				})
			})
		}
	}
}

// Of a hundred who redeem one ticket at once one is let in, whatever it is kept in.
func TestS08_TicketIsSingleUse(t *testing.T) {
	for name, open := range ticketStores {
		t.Run(name, func(t *testing.T) {
			a := ticketApp(t, open(t), nil)
			br := newBrowser(t, a.serve(t))
			br.ok("/inc")
			login := br.dial("/tickets").loginTicket("ada")
			h := a.Handler(a.mux)
			p := pocket{"sid": br.cookie("sid"), "sid.cid": br.cookie("sid.cid")}
			socket := br.ok("/ticket")
			require.Equal(t, 1, winners(t, 100, func() *httptest.ResponseRecorder {
				w := httptest.NewRecorder()
				a.upgrading().ServeHTTP(w, upgradeRequest(t, "/id", "Sec-Websocket-Protocol", "sessionbridge.ticket."+socket))
				return w
			}), "a handshake")
			require.Equal(t, 1, winners(t, 100, func() *httptest.ResponseRecorder {
				r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/redeem", nil)
				r.Header.Set("X-Ticket", login)
				return pocket{"sid": p["sid"], "sid.cid": p["sid.cid"]}.send(h, r)
			}), "a login")
		})
	}
}

// winners has n ask at once, and returns how many of them were served; the others must have been refused.
func winners(t *testing.T, n int, ask func() *httptest.ResponseRecorder) int {
	t.Helper()
	var served atomic.Int64
	var wg sync.WaitGroup
	start := make(chan struct{})
	for range n {
		wg.Go(func() {
			<-start
			switch w := ask(); w.Code {
			case http.StatusOK:
				served.Add(1)
			case http.StatusUnauthorized, http.StatusForbidden, http.StatusConflict: // 401: a handshake; 409: a login has replaced its token meanwhile
			default:
				t.Errorf("%d: %s", w.Code, w.Body)
			}
		})
	}
	close(start)
	wg.Wait()
	return int(served.Load())
}

func TestS08_TicketsAreSingleUseAcrossNodesAndRestarts(t *testing.T) {
	path := t.TempDir() + "/sessions.db"
	opts := &bridge.Options{Keys: [][]byte{goodKey()}}
	st, err := filestore.Open(path, nil)
	require.NoError(t, err)
	one, two := ticketApp(t, st, opts), ticketApp(t, st, opts)
	p := pocket{}
	first := one.Handler(one.mux)
	p.get(t, first, "/inc")
	id := p.get(t, first, "/id").Body.String()
	tickets := make([]string, 3)
	for i := range tickets {
		tickets[i] = p.get(t, first, "/ticket").Body.String()
	}
	open := func(h http.Handler, ticket string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, upgradeRequest(t, "/id", "Sec-Websocket-Protocol", "sessionbridge.ticket."+ticket))
		return w
	}
	require.Equal(t, id, open(two.upgrading(), tickets[0]).Body.String(), "another node")
	require.Equal(t, http.StatusUnauthorized, open(one.upgrading(), tickets[0]).Code, "it has been redeemed there")
	require.Equal(t, id, open(one.upgrading(), tickets[1]).Body.String())

	require.NoError(t, st.Close())
	st, err = filestore.Open(path, nil)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, st.Close()) })
	again := ticketApp(t, st, opts)
	h := again.upgrading()
	require.Equal(t, http.StatusUnauthorized, open(h, tickets[0]).Code)
	require.Equal(t, http.StatusUnauthorized, open(h, tickets[1]).Code)
	require.Equal(t, id, open(h, tickets[2]).Body.String(), "one that was not redeemed outlives a restart")
}

// Tickets are no sessions: no listing shows them, and a cleanup removes those that nobody has redeemed.
func TestS08_TicketsAreKeptApartAndSweptWithTheSessions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := livestore.New()
		kept := st.App("sessionbridge.tickets").(*livestore.Store)
		a := ticketApp(t, st, &bridge.Options{AutoCleanup: time.Hour})
		h := a.Handler(a.mux)
		p := pocket{}
		p.get(t, h, "/inc")
		for range 600 {
			p.get(t, h, "/ticket")
		}
		require.Equal(t, 1, storedCount(t, st))
		require.Equal(t, 600, storedCount(t, kept))
		cleaned := record[bridge.Cleanup](t, a.Bridge)
		n, err := a.Cleanup(t.Context())
		require.NoError(t, err)
		require.Zero(t, n)
		require.Equal(t, 600, storedCount(t, kept), "they are still good")
		time.Sleep(time.Minute)
		n, err = a.Cleanup(t.Context())
		require.NoError(t, err)
		require.Zero(t, n, "no session has expired")
		require.Zero(t, storedCount(t, kept))
		require.Zero(t, cleaned.next().Cleared)
		p.get(t, h, "/ticket")
		time.Sleep(time.Hour)
		synctest.Wait()
		require.Zero(t, storedCount(t, kept), "by itself, too")
	})
}

func TestS08_TicketsInMemoryAreBoundedAndForgotten(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := ticketApp(t, threeMethodStore{livestore.New()}, nil)
		h := a.Handler(a.mux)
		p := pocket{}
		p.get(t, h, "/inc")
		planned := a.Deadlines()
		first := p.get(t, h, "/ticket").Body.String()
		time.Sleep(20 * time.Second)
		a.page("/many", func(r *http.Request) (any, error) {
			for range tickets.MaxInMemory {
				if _, err := a.Ticket(r); err != nil {
					return nil, err
				}
			}
			return "many", nil
		})
		require.Equal(t, "many", p.get(t, h, "/many").Body.String())
		w := httptest.NewRecorder()
		a.upgrading().ServeHTTP(w, upgradeRequest(t, "/id", "Sec-Websocket-Protocol", "sessionbridge.ticket."+first))
		require.Equal(t, http.StatusUnauthorized, w.Code, "the oldest had to go")
		time.Sleep(time.Minute)
		synctest.Wait()
		require.Equal(t, planned, a.Deadlines(), "nothing is left to be done")
	})
}

func TestS08_TicketNeedsAStoredSession(t *testing.T) {
	a := ticketApp(t, livestore.New(), nil)
	a.page("/fresh", func(r *http.Request) (any, error) {
		s, err := a.Session(r)
		if err != nil {
			return nil, err
		}
		s.Set("n", 41)
		return a.Ticket(r)
	})
	a.page("/gone", func(r *http.Request) (any, error) {
		s, err := a.Session(r)
		if err != nil {
			return nil, err
		}
		s.Logout()
		return a.Ticket(r)
	})
	a.page("/within", func(r *http.Request) (any, error) {
		return bridge.WithSession(r.Context(), a.For(r), func(ctx context.Context, s *bridge.Session) (string, error) {
			count.Set(s, 1)
			return a.Ticket(r.WithContext(ctx))
		}, nil)
	})
	site := a.serve(t)
	require.Equal(t, http.StatusUnauthorized, newBrowser(t, site).get("/ticket").status)
	for _, path := range []string{"/fresh", "/within"} {
		br := newBrowser(t, site)
		ws, _, err := br.jarless().dialTicket("/ws", br.ok(path))
		require.NoError(t, err, path)
		require.Equal(t, `"`+br.ok("/id")+`"`, ws.ask("id"))
	}
	br := newBrowser(t, site)
	br.ok("/inc")
	require.Equal(t, http.StatusUnauthorized, br.get("/gone").status)
}

func TestS08_TicketsSessionCannotLogIn(t *testing.T) {
	a := ticketApp(t, livestore.New(), nil)
	h := a.Handler(a.mux)
	p := pocket{}
	p.get(t, h, "/inc")
	for path, want := range map[string]error{
		"/login?user=ada": bridge.ErrNoCookies, "/rotate": bridge.ErrNoCookies, "/ticket": bridge.ErrTicket, "/redeem": bridge.ErrNoCookies,
	} {
		ticket := p.get(t, h, "/ticket").Body.String()
		w := httptest.NewRecorder()
		a.upgrading().ServeHTTP(w, upgradeRequest(t, path, "Sec-Websocket-Protocol", "sessionbridge.ticket."+ticket))
		require.Contains(t, w.Body.String(), want.Error(), path)
		require.Empty(t, w.Header()["Set-Cookie"])
	}
}

// What a handshake with a ticket stores, it stores as whoever has proved the token from before: not after a login, and never in another session.
func TestS08_TicketsSessionIsNoOther(t *testing.T) {
	st := livestore.New()
	a := ticketApp(t, st, nil)
	h := a.Handler(a.mux)
	p := pocket{}
	a.session("/overtaken", func(s *bridge.Session) (any, error) {
		s.Set("n", 99)
		if code := p.get(t, h, "/login?user=ada").Code; code != http.StatusOK {
			return nil, fmt.Errorf("login: %d", code)
		}
		return "stored", nil
	})
	a.page("/again", func(r *http.Request) (any, error) {
		if err := a.WithSession(r, func(_ context.Context, s *bridge.Session) error { s.Destroy(); return nil }, nil); err != nil {
			return nil, err
		}
		return a.Session(r)
	})
	p.get(t, h, "/inc")
	for path, want := range map[string]int{"/overtaken": http.StatusConflict, "/again": http.StatusUnauthorized} {
		p.get(t, h, "/inc")
		before := p.get(t, h, "/get").Body.String()
		ticket := p.get(t, h, "/ticket").Body.String()
		w := httptest.NewRecorder()
		a.upgrading().ServeHTTP(w, upgradeRequest(t, path, "Sec-Websocket-Protocol", "sessionbridge.ticket."+ticket))
		require.Equal(t, want, w.Code, "%s: %s", path, w.Body)
		require.Empty(t, w.Header()["Set-Cookie"])
		if path == "/overtaken" {
			require.Equal(t, before, p.get(t, h, "/get").Body.String())
		} else {
			require.Zero(t, storedCount(t, st))
		}
	}
}

func TestS08_TicketsAreNotLogged(t *testing.T) {
	var log bytes.Buffer
	synctest.Test(t, func(t *testing.T) {
		opts := &bridge.Options{Logger: slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))}
		a := ticketApp(t, livestore.New(), opts)
		br := newBrowser(t, a.serveInMemory(t))
		br.ok("/inc")
		ticket, ws := br.ok("/ticket"), br.dial("/tickets")
		login := ws.loginTicket("ada")
		_, _, err := br.dialTicket("/ws", ticket)
		require.NoError(t, err)
		br.refused(ticket)
		over := ws.whenClosed()
		br.get("/redeem", "X-Ticket", login)
		require.Equal(t, bridge.CodeReconnect, <-over)
		br.get("/redeem", "X-Ticket", login)
		require.NotContains(t, log.String(), ticket)
		require.NotContains(t, log.String(), login)
	})
	require.Contains(t, log.String(), "ticket opens nothing")
}
