package guarantees_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
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

var errPassword = errors.New("wrong password")

// loginPages adds pages that log in in other ways than /login of testkit.
func loginPages(a *testkit.App) {
	a.Page("/loginwith", func(r *http.Request) (any, error) {
		return bridge.WithSession(r.Context(), a.For(r), func(_ context.Context, s *bridge.Session) (any, error) {
			s.Set("page", "login")
			if err := s.Login(r.FormValue("user")); err != nil {
				return nil, err
			}
			return "in", nil
		}, nil)
	})
	a.Page("/loginbasket", func(r *http.Request) (any, error) {
		s, err := a.Session(r)
		if err != nil {
			return nil, err
		}
		before, _ := testkit.Count.Get(s)
		if err := s.Login(r.FormValue("user")); err != nil {
			return nil, err
		}
		after, _ := testkit.Count.Get(s)
		return fmt.Sprint(before, " ", after), nil
	})
	a.Page("/loginfails", func(r *http.Request) (any, error) {
		err := a.WithSession(r, func(_ context.Context, s *bridge.Session) error {
			if err := s.Login(r.FormValue("user")); err != nil {
				return err
			}
			return errPassword
		}, nil)
		s, openErr := a.Session(r)
		if openErr != nil {
			return nil, openErr
		}
		n, _ := testkit.Count.Get(s)
		return fmt.Sprint(err, " ", n, " ", s.UserID()), nil
	})
	a.Page("/user", func(r *http.Request) (any, error) {
		s, err := a.Session(r)
		if err != nil {
			return nil, err
		}
		return s.UserID(), nil
	})
	a.Page("/ticket", func(r *http.Request) (any, error) { return a.Ticket(r) })
	a.Page("/attach", func(r *http.Request) (any, error) {
		l, err := a.Attach(r, func(int, string) {})
		if err == nil {
			l.Detach()
		}
		return "attached", err
	})
}

// lostLogin returns a browser whose login was stored, but which has not received the answer.
func lostLogin(t *testing.T, st store.Store, opts *bridge.Options) (a *testkit.App, h http.Handler, p, lost webclient.Pocket, id string) {
	a = testkit.NewApp(t, st, opts)
	loginPages(a)
	h = a.Handler(a.Mux)
	p = webclient.Pocket{}
	p.Get(t, h, "/inc")
	id = p.Get(t, h, "/id").Body.String()
	lost = maps.Clone(p)
	require.Equal(t, http.StatusOK, lost.Get(t, h, "/login?user=ann").Code)
	time.Sleep(time.Second)
	return a, h, p, lost, id
}

func TestG6_LoginWhoseAnswerWasLostCanBeMadeAgain(t *testing.T) {
	for _, path := range []string{"/login?user=ann", "/loginwith?user=ann", "/loginbasket?user=ann"} {
		for _, strict := range []bool{false, true} {
			t.Run(fmt.Sprint(path, strict), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					st := livestore.New()
					_, h, p, lost, id := lostLogin(t, st, &bridge.Options{StrictBinding: strict})
					for range 2 { // a third click
						again := maps.Clone(p)
						w := again.Get(t, h, path)
						require.Equal(t, http.StatusOK, w.Code, w.Body)
						require.Equal(t, "1", again.Get(t, h, "/get").Body.String(), "with the basket")
						require.Equal(t, id, again.Get(t, h, "/id").Body.String())
						require.Equal(t, "ann", again.Get(t, h, "/user").Body.String())
						require.Equal(t, 1, teststore.StoredCount(t, st))
						require.Equal(t, "1", lost.Get(t, h, "/get").Body.String(), "the first answer may still arrive")
					}
				})
			})
		}
	}
}

// The request gets the session's values only after the login.
func TestG6_ReplacedTokenAloneOpensNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := livestore.New()
		a, h, p, lost, id := lostLogin(t, st, nil)
		before := teststore.Stored(t, st, id)
		var seen []any
		a.Page("/peek", func(r *http.Request) (any, error) {
			s, err := a.Session(r)
			if err != nil {
				return nil, err
			}
			n, there := testkit.Count.Get(s)
			seen = append(seen, n, there, s.UserID(), s.LoggedIn().IsZero(), s.Err())
			for key := range s.Keys() {
				seen = append(seen, key)
			}
			s.Set("mine", true)
			s.AddFlash("mine")
			return nil, s.RequireAuthAge(time.Hour)
		})
		for _, path := range []string{
			"/peek", "/get", "/inc", "/id", "/user", "/logout", "/rotate", "/ticket", "/attach",
			"/login?user=eve", "/loginwith?user=eve", "/login?user=", "/loginfails?user=eve",
		} {
			w := maps.Clone(p).Get(t, h, path)
			require.Contains(t, []int{http.StatusConflict, http.StatusBadRequest}, w.Code, path)
			require.Empty(t, w.Header()["Set-Cookie"], path)
			require.NotContains(t, w.Body.String(), id)
		}
		require.Equal(t, []any{0, false, "", true, bridge.ErrTokenRotated}, seen)
		require.Equal(t, before, teststore.Stored(t, st, id), "nothing has been stored")
		require.Equal(t, "1", lost.Get(t, h, "/get").Body.String())

		thief := webclient.Pocket{"sid": p["sid"]}
		require.Equal(t, http.StatusConflict, thief.Get(t, h, "/login?user=ann").Code, "without the browser's client cookie")
		other := webclient.Pocket{}
		other.Get(t, h, "/inc")
		other["sid"] = p["sid"]
		require.Equal(t, http.StatusConflict, other.Get(t, h, "/login?user=ann").Code, "with another browser's")

		w := maps.Clone(p).Get(t, h, "/loginfails?user=ann")
		require.Equal(t, http.StatusConflict, w.Code, "a login that is undone opens nothing")
		require.NotContains(t, w.Body.String(), "ann")
		require.Equal(t, before, teststore.Stored(t, st, id))

		time.Sleep(10 * time.Second)
		w = maps.Clone(p).Get(t, h, "/loginbasket?user=ann")
		require.Equal(t, "0 0", w.Body.String(), "after the grace the old token is stale")
	})
}

func TestG6_LoginMadeAgainHasTheBasketInItsHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, h, p, _, _ := lostLogin(t, livestore.New(), nil)
		require.Equal(t, "0 1", p.Get(t, h, "/loginbasket?user=ann").Body.String())
	})
}

// Both answers arrive, in either order, even if the second login is made at another node, or with
// another first key.
func TestG6_AnswersOfTwoLoginsInAnyOrder(t *testing.T) {
	for name, keys := range map[string][][]byte{
		"the same keys": {testkit.Key()},
		"a new key":     {[]byte("another key of thirty-two bytes!"), testkit.Key()},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				nodes := testhub.New()
				_, h, p, first, _ := lostLogin(t, nodes, &bridge.Options{Keys: [][]byte{testkit.Key()}})
				other := testkit.NewApp(t, nodes, &bridge.Options{Keys: keys})
				loginPages(other)
				second := maps.Clone(p)
				require.Equal(t, http.StatusOK, second.Get(t, other.Handler(other.Mux), "/login?user=ann").Code)
				for i, answers := range [][]webclient.Pocket{{first, second}, {second, first}} {
					p = maps.Clone(answers[0])
					require.Equal(t, "1", p.Get(t, other.Handler(other.Mux), "/get").Body.String(), i)
					maps.Copy(p, answers[1])
					require.Equal(t, "1", p.Get(t, other.Handler(other.Mux), "/get").Body.String(), i)
				}
				if name == "the same keys" {
					require.Equal(t, "1", first.Get(t, h, "/get").Body.String())
				}
			})
		})
	}
}

// The user clicks twice, and the browser cancels the first request while the password is being
// hashed.
func TestG6_LoginOfARequestThatHasEndedCommitsNothing(t *testing.T) {
	for _, path := range []string{"/login?user=ann", "/loginwith?user=ann", "/rotate"} {
		t.Run(path, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				st := livestore.New()
				a := testkit.NewApp(t, st, nil)
				loginPages(a)
				slow := a.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					time.Sleep(300 * time.Millisecond)
					a.Mux.ServeHTTP(w, r)
				}))
				h := a.Handler(a.Mux)
				p := webclient.Pocket{}
				p.Get(t, h, "/inc")
				id := p.Get(t, h, "/id").Body.String()
				before := teststore.Stored(t, st, id)
				ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
				defer cancel()
				w := maps.Clone(p).Send(slow, httptest.NewRequestWithContext(ctx, http.MethodPost, path, nil))
				require.GreaterOrEqual(t, w.Code, http.StatusBadRequest)
				require.Empty(t, w.Header()["Set-Cookie"])
				after := teststore.Stored(t, st, id)
				require.Equal(t, before.TokenHash, after.TokenHash)
				require.Equal(t, before.UserID, after.UserID)
				require.Equal(t, "1", p.Get(t, h, "/get").Body.String(), "the browser goes on")
				require.Equal(t, http.StatusOK, p.Get(t, h, path).Code, "the second click")
				require.Equal(t, "1", p.Get(t, h, "/get").Body.String())
			})
		})
	}
}

// A second login disturbs no connection that was opened after the first one.
func TestG6_LoginMadeAgainKeepsSocketsOfTheFirst(t *testing.T) {
	a := testkit.NewApp(t, livestore.New(), nil)
	br := webclient.NewBrowser(t, a.Serve(t))
	br.OK("/inc")
	old := br.Another()
	br.OK("/login?user=ann")
	ws := br.Dial("/ws")
	require.Equal(t, "2", ws.Ask("inc"))
	require.Equal(t, "in", old.OK("/login?user=ann"))
	require.Equal(t, "3", ws.Ask("inc"))
	require.Equal(t, "4", old.Dial("/ws").Ask("inc"))
}

// Others change the session between the moment at which the second login is looked up and its
// commit.
func TestG6_LoginMadeAgainMergesWithWhatOthersStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := livestore.New()
		a, h, p, _, id := lostLogin(t, st, nil)
		another := testkit.NewBridge(t, st, nil)
		for _, within := range []bool{false, true} {
			path := fmt.Sprint("/racy", within)
			n := 0
			login := func(s *bridge.Session) error {
				if n++; n == 1 {
					require.NoError(t, testkit.Merge(context.WithoutCancel(t.Context()), another, id, map[string]any{path: true}))
				}
				s.Set("from"+path, true)
				return s.Login("ann")
			}
			a.Page(path, func(r *http.Request) (any, error) {
				if within {
					return nil, a.WithSession(r, func(_ context.Context, s *bridge.Session) error { return login(s) }, nil)
				}
				s, err := a.Session(r)
				if err != nil {
					return nil, err
				}
				return nil, login(s)
			})
			w := maps.Clone(p).Get(t, h, path)
			require.Equal(t, http.StatusOK, w.Code, w.Body)
			data := string(teststore.Stored(t, st, id).Data)
			require.Contains(t, data, `"`+path+`"`)
			require.Contains(t, data, `"from`+path+`"`)
			require.Contains(t, data, `"n":1`)
		}
	})
}

// A browser without a session, but with a client cookie, sends its login twice at once: both
// answers show that the user is logged in.
func TestG6_TwoFirstLoginsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := testkit.NewApp(t, livestore.New(), nil)
		loginPages(a)
		slow := a.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(300 * time.Millisecond) // hashing the password
			a.Mux.ServeHTTP(w, r)
		}))
		p := webclient.Pocket{}
		p.Get(t, slow, "/inc")
		p.Get(t, slow, "/logout") // the client cookie stays
		first := p.Begin(t, slow, "/login?user=ann")
		time.Sleep(100 * time.Millisecond)
		second := p.Begin(t, slow, "/login?user=ann")
		require.Equal(t, http.StatusOK, p.Arrive(first).Code)
		require.Equal(t, http.StatusOK, p.Arrive(second).Code)
		require.Equal(t, "ann", p.Get(t, slow, "/user").Body.String())
	})
}
