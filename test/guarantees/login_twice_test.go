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
	"github.com/sessionbridge/sessionbridge/internal/testkit/teststore"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// slowLogins adds pages that open the session, take 300 ms for the password, and log in.
func slowLogins(a *testkit.App) {
	hash := func() { time.Sleep(300 * time.Millisecond) }
	a.Page("/slow", func(r *http.Request) (any, error) {
		s, err := a.Session(r)
		if err != nil {
			return nil, err
		}
		hash()
		return "in", s.Login(r.FormValue("user"))
	})
	a.Page("/slowwith", func(r *http.Request) (any, error) {
		err := a.WithSession(r, func(_ context.Context, s *bridge.Session) error {
			hash()
			s.Set("page", "login")
			return s.Login(r.FormValue("user"))
		}, nil)
		return "in", err
	})
	a.Page("/slowafter", func(r *http.Request) (any, error) { // Session and WithSession in one handler
		s, err := a.Session(r)
		if err != nil {
			return nil, err
		}
		hash()
		if err := s.Login(r.FormValue("user")); err != nil {
			return nil, err
		}
		return "in", a.WithSession(r, increment2, nil)
	})
}

func increment2(ctx context.Context, s *bridge.Session) error {
	_, err := testkit.Increment(ctx, s)
	return err
}

// A user clicks "log in" twice, and a proxy doesn't forward that the browser has cancelled the
// first request. Both requests have opened the session when the first logs in.
func TestG6_TwoLoginsOfOneUserAtOnceBothSucceed(t *testing.T) {
	for _, first := range []string{"/slow", "/slowwith", "/slowafter"} {
		for _, second := range []string{"/slow", "/slowwith", "/slowafter"} {
			t.Run(first+second, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					st := livestore.New()
					a := testkit.NewApp(t, st, nil)
					loginPages(a)
					slowLogins(a)
					h := a.Handler(a.Mux)
					p := webclient.Pocket{}
					p.Get(t, h, "/inc")
					id := p.Get(t, h, "/id").Body.String()
					lost := p.Begin(t, h, first+"?user=ann")
					time.Sleep(150 * time.Millisecond)
					shown := p.Begin(t, h, second+"?user=ann")
					require.Equal(t, http.StatusOK, (<-lost.Done).Code)
					w := p.Arrive(shown)
					require.Equal(t, http.StatusOK, w.Code, w.Body)
					require.Equal(t, "ann", p.Get(t, h, "/user").Body.String())
					require.Equal(t, id, p.Get(t, h, "/id").Body.String())
					require.NotEqual(t, "0", p.Get(t, h, "/get").Body.String(), "with the basket")
					require.Equal(t, 1, teststore.StoredCount(t, st))
				})
			})
		}
	}
}

// A request that logs in another user, or none, fails.
func TestG6_OfTwoUsersWhoLogInAtOnceOneSucceeds(t *testing.T) {
	for _, second := range []string{"/slow?user=bob", "/slowwith?user=bob", "/slowafter?user=bob", "/sleepyset?before=0s&after=300ms", "/loginfails?user=ann"} {
		t.Run(second, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				st := livestore.New()
				a := testkit.NewApp(t, st, nil)
				loginPages(a)
				slowLogins(a)
				a.Page("/sleepyset", func(r *http.Request) (any, error) {
					s, err := a.Session(r)
					if err != nil {
						return nil, err
					}
					time.Sleep(300 * time.Millisecond)
					s.Set("late", true)
					return nil, nil
				})
				h := a.Handler(a.Mux)
				p := webclient.Pocket{}
				p.Get(t, h, "/inc")
				id := p.Get(t, h, "/id").Body.String()
				winner := p.Begin(t, h, "/slowwith?user=ann")
				time.Sleep(150 * time.Millisecond)
				loser := p.Begin(t, h, second)
				w := <-loser.Done
				require.Equal(t, http.StatusConflict, w.Code, w.Body)
				require.Empty(t, w.Header()["Set-Cookie"])
				require.Equal(t, http.StatusOK, p.Arrive(winner).Code)
				require.Equal(t, "ann", p.Get(t, h, "/user").Body.String())
				require.NotContains(t, string(teststore.Stored(t, st, id).Data), "late")
			})
		})
	}
}
