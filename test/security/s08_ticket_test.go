package security_test

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
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/teststore"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/livestore"
)

func TestS08_TicketOpensOneHandshakeWithoutCookies(t *testing.T) {
	for name, open := range ticketStores {
		t.Run(name, func(t *testing.T) {
			a := testkit.NewTicketApp(t, open(t), nil)
			br := webclient.NewBrowser(t, a.Serve(t))
			br.OK("/inc")
			rep := br.Get("/ticket")
			require.Len(t, rep.Body, 43)
			require.Equal(t, "no-store", rep.Header.Get("Cache-Control"), "a ticket is a secret")
			elsewhere := br.WithoutJar()
			ws, res, err := elsewhere.DialTicket("/ws", rep.Body)
			require.NoError(t, err)
			require.Empty(t, res.Header["Set-Cookie"])
			require.Empty(t, res.Header[bridge.SessionTokenHeader])
			require.Equal(t, `"`+br.OK("/id")+`"`, ws.Ask("id"))
			require.Equal(t, "2", ws.Ask("inc"))
			elsewhere.RequireRefused(rep.Body, "a second time")
			br.OK("/rotate")
			require.Equal(t, "3", ws.Ask("inc"), "a plain rotation keeps it")
			br.OK("/login?user=ada")
			require.Equal(t, bridge.CodeReconnect, ws.Closed(), "it has proved the token from before")
			ws, _, err = elsewhere.DialTicket("/ws", br.OK("/ticket"))
			require.NoError(t, err)
			br.OK("/logout")
			require.Equal(t, bridge.CodeDestroyed, ws.Closed())
		})
	}
}

func TestS08_TicketThatOpensNothingIsRefused(t *testing.T) {
	a := testkit.NewTicketApp(t, livestore.New(), nil)
	site := a.Serve(t)
	br := webclient.NewBrowser(t, site)
	br.OK("/inc")
	good := br.OK("/ticket")
	other := "A" // a first character that differs from the ticket's
	if good[:1] == other {
		other = "B"
	}
	for _, bad := range []string{
		"", "x", good[1:], good + "A", other + good[1:], good[:42], good[:20] + "AAAAAAAAAAAAAAAAAAAAAAA", good[:22] + "AAAAAAAAAAAAAAAAAAAAA" /* its own ID */, good + "=", good[:43] + "." + good,
	} {
		br.RequireRefused(bad, "%q: its session cookie makes up for nothing", bad)
	}
	refusedBefore := a.Stats().Refused
	require.NotZero(t, refusedBefore)

	rep := br.Get("/id", "Sec-Websocket-Protocol", "sessionbridge.ticket."+good)
	require.Equal(t, http.StatusForbidden, rep.Status, "it is for handshakes")
	_, res, err := br.TryDial("/ws", http.Header{"Sec-Websocket-Protocol": {"sessionbridge.ticket." + good}, "Origin": {"https://evil.test"}})
	require.Error(t, err)
	require.Equal(t, http.StatusForbidden, res.StatusCode, "the origin is checked as always")
	rep = br.Get("/id", "Sec-Websocket-Protocol", "sessionbridge.ticket."+good, "Upgrade", "other", "Origin", "https://evil.test")
	require.Equal(t, http.StatusForbidden, rep.Status, "whoever opens the session")
	_, _, err = br.DialTicket("/ws", good)
	require.NoError(t, err, "none of that has used it up")

	login := br.Dial("/tickets").LoginTicket("ada")
	br.RequireRefused(login, "a ticket to log in with")

	before := br.OK("/ticket")
	br.OK("/login?user=ada")
	br.RequireRefused(before, "a login has come between")
	ended := br.OK("/ticket")
	br.OK("/logout")
	br.RequireRefused(ended, "the session has ended")
	br.OK("/inc")
	br.RequireRefused(ended, "it falls back to no other session")
}

func TestS08_TicketIsShortLived(t *testing.T) {
	for name, open := range ticketStores {
		if name == "filestore" {
			continue // its committer can't run in a bubble
		}
		for _, lifetime := range []time.Duration{0, 5 * time.Minute} {
			t.Run(fmt.Sprint(name, lifetime), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					a := testkit.NewTicketApp(t, open(t), &bridge.Options{TicketLifetime: lifetime})
					h := a.Handler(a.Mux)
					p := webclient.Pocket{}
					p.Get(t, h, "/inc")
					limit := 30 * time.Second
					if lifetime != 0 {
						limit = lifetime
					}
					for wait, want := range map[time.Duration]int{limit - time.Millisecond: http.StatusOK, limit: http.StatusUnauthorized} {
						ticket := p.Get(t, h, "/ticket").Body.String()
						time.Sleep(wait)
						w := httptest.NewRecorder()
						a.Upgrading().ServeHTTP(w, webclient.UpgradeRequest(t, "/id", "Sec-Websocket-Protocol", "sessionbridge.ticket."+ticket))
						require.Equal(t, want, w.Code, "after %v", wait)
					}
				})
			})
		}
	}
}

// Of a hundred concurrent requests with one ticket one succeeds, in every store.
func TestS08_TicketIsSingleUse(t *testing.T) {
	for name, open := range ticketStores {
		t.Run(name, func(t *testing.T) {
			a := testkit.NewTicketApp(t, open(t), nil)
			br := webclient.NewBrowser(t, a.Serve(t))
			br.OK("/inc")
			login := br.Dial("/tickets").LoginTicket("ada")
			h := a.Handler(a.Mux)
			p := webclient.Pocket{"sid": br.Cookie("sid"), "sid.cid": br.Cookie("sid.cid")}
			socket := br.OK("/ticket")
			require.Equal(t, 1, winners(t, 100, func() *httptest.ResponseRecorder {
				w := httptest.NewRecorder()
				a.Upgrading().ServeHTTP(w, webclient.UpgradeRequest(t, "/id", "Sec-Websocket-Protocol", "sessionbridge.ticket."+socket))
				return w
			}), "a handshake")
			require.Equal(t, 1, winners(t, 100, func() *httptest.ResponseRecorder {
				r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/redeem", nil)
				r.Header.Set("X-Ticket", login)
				return webclient.Pocket{"sid": p["sid"], "sid.cid": p["sid.cid"]}.Send(h, r)
			}), "a login")
		})
	}
}

// winners makes n requests at once, and returns how many were served; the others must have been
// refused.
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
	opts := &bridge.Options{Keys: [][]byte{testkit.Key()}}
	st, err := filestore.Open(path, nil)
	require.NoError(t, err)
	one, two := testkit.NewTicketApp(t, st, opts), testkit.NewTicketApp(t, st, opts)
	p := webclient.Pocket{}
	first := one.Handler(one.Mux)
	p.Get(t, first, "/inc")
	id := p.Get(t, first, "/id").Body.String()
	tickets := make([]string, 3)
	for i := range tickets {
		tickets[i] = p.Get(t, first, "/ticket").Body.String()
	}
	open := func(h http.Handler, ticket string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, webclient.UpgradeRequest(t, "/id", "Sec-Websocket-Protocol", "sessionbridge.ticket."+ticket))
		return w
	}
	require.Equal(t, id, open(two.Upgrading(), tickets[0]).Body.String(), "another node")
	require.Equal(t, http.StatusUnauthorized, open(one.Upgrading(), tickets[0]).Code, "it has been redeemed there")
	require.Equal(t, id, open(one.Upgrading(), tickets[1]).Body.String())

	require.NoError(t, st.Close())
	st, err = filestore.Open(path, nil)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, st.Close()) })
	again := testkit.NewTicketApp(t, st, opts)
	h := again.Upgrading()
	require.Equal(t, http.StatusUnauthorized, open(h, tickets[0]).Code)
	require.Equal(t, http.StatusUnauthorized, open(h, tickets[1]).Code)
	require.Equal(t, id, open(h, tickets[2]).Body.String(), "one that was not redeemed outlives a restart")
}

// Tickets are no sessions: no listing has them, and a cleanup removes those that were not redeemed.
func TestS08_TicketsAreKeptApartAndSweptWithTheSessions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := livestore.New()
		kept := st.App("sessionbridge.tickets").(*livestore.Store)
		a := testkit.NewTicketApp(t, st, &bridge.Options{AutoCleanup: time.Hour})
		h := a.Handler(a.Mux)
		p := webclient.Pocket{}
		p.Get(t, h, "/inc")
		for range 600 {
			p.Get(t, h, "/ticket")
		}
		require.Equal(t, 1, teststore.StoredCount(t, st))
		require.Equal(t, 600, teststore.StoredCount(t, kept))
		cleaned := testkit.Record[bridge.Cleanup](t, a.Bridge)
		n, err := a.Cleanup(t.Context())
		require.NoError(t, err)
		require.Zero(t, n)
		require.Equal(t, 600, teststore.StoredCount(t, kept), "they are still good")
		time.Sleep(time.Minute)
		n, err = a.Cleanup(t.Context())
		require.NoError(t, err)
		require.Zero(t, n, "no session has expired")
		require.Zero(t, teststore.StoredCount(t, kept))
		require.Zero(t, cleaned.Next().Cleared)
		p.Get(t, h, "/ticket")
		time.Sleep(time.Hour)
		synctest.Wait()
		require.Zero(t, teststore.StoredCount(t, kept), "by itself, too")
	})
}

func TestS08_TicketNeedsAStoredSession(t *testing.T) {
	a := testkit.NewTicketApp(t, livestore.New(), nil)
	a.Page("/fresh", func(r *http.Request) (any, error) {
		s, err := a.Session(r)
		if err != nil {
			return nil, err
		}
		s.Set("n", 41)
		return a.Ticket(r)
	})
	a.Page("/gone", func(r *http.Request) (any, error) {
		s, err := a.Session(r)
		if err != nil {
			return nil, err
		}
		s.Logout()
		return a.Ticket(r)
	})
	a.Page("/within", func(r *http.Request) (any, error) {
		return bridge.WithSession(r.Context(), a.For(r), func(ctx context.Context, s *bridge.Session) (string, error) {
			testkit.Count.Set(s, 1)
			return a.Ticket(r.WithContext(ctx))
		}, nil)
	})
	site := a.Serve(t)
	require.Equal(t, http.StatusUnauthorized, webclient.NewBrowser(t, site).Get("/ticket").Status)
	for _, path := range []string{"/fresh", "/within"} {
		br := webclient.NewBrowser(t, site)
		ws, _, err := br.WithoutJar().DialTicket("/ws", br.OK(path))
		require.NoError(t, err, path)
		require.Equal(t, `"`+br.OK("/id")+`"`, ws.Ask("id"))
	}
	br := webclient.NewBrowser(t, site)
	br.OK("/inc")
	require.Equal(t, http.StatusUnauthorized, br.Get("/gone").Status)
}

func TestS08_TicketsSessionCannotLogIn(t *testing.T) {
	a := testkit.NewTicketApp(t, livestore.New(), nil)
	h := a.Handler(a.Mux)
	p := webclient.Pocket{}
	p.Get(t, h, "/inc")
	for path, want := range map[string]error{
		"/login?user=ada": bridge.ErrNoCookies, "/rotate": bridge.ErrNoCookies, "/ticket": bridge.ErrTicket, "/redeem": bridge.ErrNoCookies,
	} {
		ticket := p.Get(t, h, "/ticket").Body.String()
		w := httptest.NewRecorder()
		a.Upgrading().ServeHTTP(w, webclient.UpgradeRequest(t, path, "Sec-Websocket-Protocol", "sessionbridge.ticket."+ticket))
		require.Contains(t, w.Body.String(), want.Error(), path)
		require.Empty(t, w.Header()["Set-Cookie"])
	}
}

// A connection with a ticket has the rights of the token that the ticket's issuer had proved: it
// stores nothing after a login, and never in another session.
func TestS08_TicketsSessionIsNoOther(t *testing.T) {
	st := livestore.New()
	a := testkit.NewTicketApp(t, st, nil)
	h := a.Handler(a.Mux)
	p := webclient.Pocket{}
	a.SessionPage("/overtaken", func(s *bridge.Session) (any, error) {
		s.Set("n", 99)
		if code := p.Get(t, h, "/login?user=ada").Code; code != http.StatusOK {
			return nil, fmt.Errorf("login: %d", code)
		}
		return "stored", nil
	})
	a.Page("/again", func(r *http.Request) (any, error) {
		if err := a.WithSession(r, func(_ context.Context, s *bridge.Session) error { s.Destroy(); return nil }, nil); err != nil {
			return nil, err
		}
		return a.Session(r)
	})
	p.Get(t, h, "/inc")
	for path, want := range map[string]int{"/overtaken": http.StatusConflict, "/again": http.StatusUnauthorized} {
		p.Get(t, h, "/inc")
		before := p.Get(t, h, "/get").Body.String()
		ticket := p.Get(t, h, "/ticket").Body.String()
		w := httptest.NewRecorder()
		a.Upgrading().ServeHTTP(w, webclient.UpgradeRequest(t, path, "Sec-Websocket-Protocol", "sessionbridge.ticket."+ticket))
		require.Equal(t, want, w.Code, "%s: %s", path, w.Body)
		require.Empty(t, w.Header()["Set-Cookie"])
		if path == "/overtaken" {
			require.Equal(t, before, p.Get(t, h, "/get").Body.String())
		} else {
			require.Zero(t, teststore.StoredCount(t, st))
		}
	}
}

func TestS08_TicketsAreNotLogged(t *testing.T) {
	var log bytes.Buffer
	synctest.Test(t, func(t *testing.T) {
		opts := &bridge.Options{Logger: slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))}
		a := testkit.NewTicketApp(t, livestore.New(), opts)
		br := webclient.NewBrowser(t, a.ServeInMemory(t))
		br.OK("/inc")
		ticket, ws := br.OK("/ticket"), br.Dial("/tickets")
		login := ws.LoginTicket("ada")
		_, _, err := br.DialTicket("/ws", ticket)
		require.NoError(t, err)
		br.RequireRefused(ticket)
		over := ws.WhenClosed()
		br.Get("/redeem", "X-Ticket", login)
		require.Equal(t, bridge.CodeReconnect, <-over)
		br.Get("/redeem", "X-Ticket", login)
		require.NotContains(t, log.String(), ticket)
		require.NotContains(t, log.String(), login)
	})
	require.Contains(t, log.String(), `"credential":"ticket","reason":"ticket"`)
}
