package bridge_test

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/livestore"
	"github.com/sessionbridge/sessionbridge/store"
)

// slowLogouts adds pages and a socket that open the session, take a second, and end it.
func slowLogouts(a *app) {
	out := func(s *bridge.Session) { time.Sleep(time.Second); s.Logout() }
	a.page("/slowout", func(r *http.Request) (any, error) {
		s, err := a.Session(r)
		if err != nil {
			return nil, err
		}
		out(s)
		return "out", nil
	})
	a.page("/slowoutwith", func(r *http.Request) (any, error) {
		return "out", a.WithSession(r, func(_ context.Context, s *bridge.Session) error { out(s); return nil }, nil)
	})
	a.mux.Handle("/wsout", a.WebSocket(func(ctx context.Context, c *bridge.Conn) error {
		if _, _, err := c.Read(ctx); err != nil {
			return err
		}
		return c.WithSession(ctx, func(_ context.Context, s *bridge.Session) error { out(s); return nil }, nil)
	}, nil))
}

// A login shuts out who only knows the token before it, also from ending the session: neither a
// request that began before nor a connection logs out who has logged in since.
func TestG6_TokenThatALoginHasReplacedEndsNothing(t *testing.T) {
	for name, nodes := range map[string]int{"one node": 1, "another node": 2} {
		for _, path := range []string{"/slowout", "/slowoutwith", "/wsout"} {
			t.Run(name+path, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					var st store.Store = livestore.New()
					opts := &bridge.Options{Keys: [][]byte{goodKey()}}
					if nodes == 2 {
						st = newHub()
					}
					a := makeApp(t, st, opts)
					sleepy(a)
					slowLogouts(a)
					h := a.Handler(a.mux)
					elsewhere := h
					if nodes == 2 {
						b := makeApp(t, st, opts)
						sleepy(b)
						elsewhere = b.Handler(b.mux)
					}
					p := pocket{}
					p.get(t, h, "/inc")
					id := p.get(t, h, "/id").Body.String()
					login := func() {
						require.Equal(t, http.StatusOK, p.get(t, elsewhere, "/login?user=ann").Code)
					}
					if path == "/wsout" {
						br := newBrowser(t, serveInMemory(t, h))
						br.setCookie("sid", p["sid"])
						br.setCookie("sid.cid", p["sid.cid"])
						br.dial(path).say("out")
						synctest.Wait()
						login()
						time.Sleep(10 * time.Second)
					} else {
						late := p.begin(t, h, path)
						login()
						w := <-late.done
						require.Equal(t, http.StatusConflict, w.Code, w.Body)
						require.Empty(t, w.Header()["Set-Cookie"])
					}
					require.Equal(t, "ann", stored(t, st, id).UserID)
					require.Equal(t, "ann", p.get(t, h, "/user").Body.String())
				})
			})
		}
	}
}

// A plain rotation shuts nobody out, and what nobody has logged in to ends as before.
func TestG6_LateLogoutEndsASessionThatWasOnlyRotated(t *testing.T) {
	for _, path := range []string{"/slowout", "/slowoutwith"} {
		for _, meanwhile := range []string{"/rotate", "/inc", "/plain"} {
			t.Run(path+meanwhile, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					st := livestore.New()
					a := makeApp(t, st, nil)
					slowLogouts(a)
					h := a.Handler(a.mux)
					p := pocket{}
					p.get(t, h, "/login?user=ann")
					late := p.begin(t, h, path)
					if path == "/slowout" || meanwhile != "/inc" { // which would wait for its turn
						p.get(t, h, meanwhile)
					}
					require.Equal(t, http.StatusOK, p.arrive(late).Code)
					require.Zero(t, storedCount(t, st))
					require.NotContains(t, p, "sid")
				})
			})
		}
	}
}
