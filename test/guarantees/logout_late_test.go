package guarantees_test

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/testhub"
	"github.com/sessionbridge/sessionbridge/internal/testkit/teststore"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/livestore"
	"github.com/sessionbridge/sessionbridge/store"
)

// slowLogouts adds pages and a socket that open the session, take a second, and end it.
func slowLogouts(a *testkit.App) {
	out := func(s *bridge.Session) { time.Sleep(time.Second); s.Logout() }
	a.Page("/slowout", func(r *http.Request) (any, error) {
		s, err := a.Session(r)
		if err != nil {
			return nil, err
		}
		out(s)
		return "out", nil
	})
	a.Page("/slowoutwith", func(r *http.Request) (any, error) {
		return "out", a.WithSession(r, func(_ context.Context, s *bridge.Session) error { out(s); return nil }, nil)
	})
	a.Mux.Handle("/wsout", a.WebSocket(func(ctx context.Context, c *bridge.Conn) error {
		if _, _, err := c.Read(ctx); err != nil {
			return err
		}
		return c.WithSession(ctx, func(_ context.Context, s *bridge.Session) error { out(s); return nil }, nil)
	}, nil))
}

// A login shuts out the holders of the token before it, even from ending the session: neither an
// earlier request nor a connection logs out the user who has logged in since.
func TestG6_TokenThatALoginHasReplacedEndsNothing(t *testing.T) {
	for name, nodes := range map[string]int{"one node": 1, "another node": 2} {
		for _, path := range []string{"/slowout", "/slowoutwith", "/wsout"} {
			t.Run(name+path, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					var st store.Store = livestore.New()
					opts := &bridge.Options{Keys: [][]byte{testkit.Key()}}
					if nodes == 2 {
						st = testhub.New()
					}
					a := testkit.NewApp(t, st, opts)
					testkit.SleepyPages(a)
					slowLogouts(a)
					h := a.Handler(a.Mux)
					elsewhere := h
					if nodes == 2 {
						b := testkit.NewApp(t, st, opts)
						testkit.SleepyPages(b)
						elsewhere = b.Handler(b.Mux)
					}
					p := webclient.Pocket{}
					p.Get(t, h, "/inc")
					id := p.Get(t, h, "/id").Body.String()
					login := func() {
						require.Equal(t, http.StatusOK, p.Get(t, elsewhere, "/login?user=ann").Code)
					}
					if path == "/wsout" {
						br := webclient.NewBrowser(t, webclient.ServeInMemory(t, h))
						br.SetCookie("sid", p["sid"])
						br.SetCookie("sid.cid", p["sid.cid"])
						br.Dial(path).Say("out")
						synctest.Wait()
						login()
						time.Sleep(10 * time.Second)
					} else {
						late := p.Begin(t, h, path)
						login()
						w := <-late.Done
						require.Equal(t, http.StatusConflict, w.Code, w.Body)
						require.Empty(t, w.Header()["Set-Cookie"])
					}
					require.Equal(t, "ann", teststore.Stored(t, st, id).UserID)
					require.Equal(t, "ann", p.Get(t, h, "/user").Body.String())
				})
			})
		}
	}
}

// A plain rotation shuts out no holder of the previous token: its logout still ends the session.
func TestG6_LateLogoutEndsASessionThatWasOnlyRotated(t *testing.T) {
	for _, path := range []string{"/slowout", "/slowoutwith"} {
		for _, meanwhile := range []string{"/rotate", "/inc", "/plain"} {
			t.Run(path+meanwhile, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					st := livestore.New()
					a := testkit.NewApp(t, st, nil)
					slowLogouts(a)
					h := a.Handler(a.Mux)
					p := webclient.Pocket{}
					p.Get(t, h, "/login?user=ann")
					late := p.Begin(t, h, path)
					if path == "/slowout" || meanwhile != "/inc" { // otherwise it would wait for the lock
						p.Get(t, h, meanwhile)
					}
					require.Equal(t, http.StatusOK, p.Arrive(late).Code)
					require.Zero(t, teststore.StoredCount(t, st))
					require.NotContains(t, p, "sid")
				})
			})
		}
	}
}
