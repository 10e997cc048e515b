package guarantees_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strconv"
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
)

// Whatever a request from before a login does, and whenever it is answered, the browser stays
// logged in.
func TestG6_LateResponseTakesNobodysLogin(t *testing.T) {
	for name, c := range map[string]struct {
		path     string
		loggedIn bool // the browser, when the request begins
		status   int
	}{
		"has opened the session, reads":   {"/sleepy?after=20s", true, http.StatusOK},
		"has opened the session, changes": {"/sleepyset?after=20s", true, 0},
		"opens it after its end":          {"/sleepy?before=20s", true, http.StatusUnauthorized},
		"changes it after its end":        {"/sleepyset?before=20s", true, http.StatusUnauthorized},
		"waits for its turn":              {"/sleepywith?before=20s", true, http.StatusUnauthorized},
		"has changed it before its end":   {"/sleepywith?after=20s", true, http.StatusOK},
		"logs out what has ended":         {"/sleepylogout?before=20s", true, http.StatusUnauthorized},
		"has logged out itself":           {"/sleepylogout?after=20s", true, http.StatusOK},
		"has changed its lifetime":        {"/sleepyextend?after=20s", true, http.StatusOK},
		"creates one, having had none":    {"/sleepyset?before=20s", false, http.StatusConflict},
		"has created one before":          {"/sleepywith?after=20s", false, http.StatusOK},
		"creates one within WithSession":  {"/sleepywith?before=20s", false, http.StatusConflict},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := testkit.NewApp(t, livestore.New(), nil)
				testkit.SleepyPages(a)
				h := a.Handler(a.Mux)
				p := webclient.Pocket{}
				require.Equal(t, http.StatusOK, p.Get(t, h, "/login?user=ann").Code)
				if !c.loggedIn {
					p.Get(t, h, "/logout")
				}
				late := p.Begin(t, h, c.path)
				time.Sleep(time.Second)
				p.Get(t, h, "/logout")
				require.Equal(t, http.StatusOK, p.Get(t, h, "/login?user=bob").Code)
				time.Sleep(20 * time.Second)
				w := p.Arrive(late)
				if c.status != 0 {
					require.Equal(t, c.status, w.Code, w.Body)
				} else {
					require.GreaterOrEqual(t, w.Code, http.StatusBadRequest)
				}
				require.Empty(t, w.Header()["Set-Cookie"])
				require.Equal(t, "bob", p.Get(t, h, "/user").Body.String())
			})
		})
	}
}

// The same when the browser has logged in at another node.
func TestG6_LateResponseTakesNobodysLoginAtAnotherNode(t *testing.T) {
	for _, path := range []string{"/sleepyset?before=20s", "/sleepywith?before=20s", "/sleepywith?after=20s"} {
		t.Run(path, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				nodes := testhub.New()
				opts := &bridge.Options{Keys: [][]byte{testkit.Key()}}
				here, there := testkit.NewApp(t, nodes, opts), testkit.NewApp(t, nodes, opts)
				testkit.SleepyPages(here)
				testkit.SleepyPages(there)
				h, elsewhere := here.Handler(here.Mux), there.Handler(there.Mux)
				p := webclient.Pocket{}
				p.Get(t, elsewhere, "/inc")
				p.Get(t, elsewhere, "/logout")
				late := p.Begin(t, h, path)
				time.Sleep(time.Second)
				require.Equal(t, http.StatusOK, p.Get(t, elsewhere, "/login?user=bob").Code)
				time.Sleep(20 * time.Second)
				require.Empty(t, p.Arrive(late).Header()["Set-Cookie"])
				require.Equal(t, "bob", p.Get(t, h, "/user").Body.String())
			})
		})
	}
}

// A cookie that opens nothing clears nothing, and leads to a new session as if it were absent.
func TestS02_DeadCookieIsLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := testkit.NewApp(t, livestore.New(), nil)
		h := a.Handler(a.Mux)
		p := webclient.Pocket{}
		p.Get(t, h, "/inc")
		id := p.Get(t, h, "/id").Body.String()
		_, err := a.DestroyByID(t.Context(), id)
		require.NoError(t, err)
		time.Sleep(time.Millisecond)
		for _, path := range []string{"/get", "/logout", "/plain"} {
			w := p.Get(t, h, path)
			require.Equal(t, http.StatusOK, w.Code, path)
			require.Empty(t, w.Header()["Set-Cookie"], path)
		}
		require.Equal(t, "1", p.Get(t, h, "/inc").Body.String())
		require.Equal(t, "2", p.Get(t, h, "/inc").Body.String())

		time.Sleep(25 * time.Hour)
		require.Equal(t, "0", p.Get(t, h, "/get").Body.String(), "and so does one whose session has expired")
		require.Equal(t, "1", p.Get(t, h, "/inc").Body.String())
	})
}

// An upload takes longer than RotateGrace. The token that was current when it began is still valid
// for it.
func TestG6_AgeIsJudgedByWhenTheRequestBegan(t *testing.T) {
	upload := func(t *testing.T, meanwhile func(p webclient.Pocket, h http.Handler), opts *bridge.Options) (w *httptest.ResponseRecorder, after string) {
		a := testkit.NewApp(t, livestore.New(), opts)
		testkit.SleepyPages(a)
		h := a.Handler(a.Mux)
		p := webclient.Pocket{}
		p.Get(t, h, "/inc")
		late := p.Begin(t, h, "/sleepyset?before=1m")
		time.Sleep(time.Second)
		meanwhile(p, h)
		time.Sleep(time.Minute)
		w = p.Arrive(late)
		return w, p.Get(t, h, "/get").Body.String()
	}
	visit := func(t *testing.T, p webclient.Pocket, h http.Handler, paths ...string) {
		for _, path := range paths {
			require.Equal(t, http.StatusOK, p.Get(t, h, path).Code, path)
			time.Sleep(10 * time.Millisecond)
		}
	}
	for name, c := range map[string]struct {
		opts   *bridge.Options
		paths  []string
		status int
	}{
		"a login":                          {nil, []string{"/login?user=ann"}, http.StatusConflict},
		"a login, then a rotation":         {nil, []string{"/login?user=ann", "/rotate", "/get"}, http.StatusConflict},
		"two logins":                       {nil, []string{"/login?user=ann", "/login?user=ann"}, http.StatusConflict},
		"a rotation":                       {nil, []string{"/rotate"}, http.StatusOK},
		"a rotation, presented":            {nil, []string{"/rotate", "/get"}, http.StatusOK},
		"a rotation, presented and used":   {nil, []string{"/rotate", "/get", "/inc", "/get"}, http.StatusOK},
		"two rotations":                    {nil, []string{"/rotate", "/get", "/rotate", "/get"}, http.StatusConflict},
		"a rotation without a grace":       {&bridge.Options{RotateGrace: bridge.Off}, []string{"/rotate", "/get"}, http.StatusOK},
		"a login without a grace":          {&bridge.Options{RotateGrace: bridge.Off}, []string{"/login?user=ann"}, http.StatusConflict},
		"a renewal, presented":             {&bridge.Options{RenewEvery: time.Second}, []string{"/get", "/get"}, http.StatusOK},
		"a rotation at the end of a grace": {&bridge.Options{RotateGrace: 15 * time.Millisecond}, []string{"/rotate", "/plain", "/plain", "/get"}, http.StatusOK},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, after := upload(t, func(p webclient.Pocket, h http.Handler) { visit(t, p, h, c.paths...) }, c.opts)
				require.Equal(t, c.status, w.Code, w.Body)
				require.Empty(t, w.Header()["Set-Cookie"])
				require.NotEqual(t, "0", after, "the session is alive")
			})
		})
	}
}

// The token of a request that begins after the new one was presented is refused as before.
func TestG6_PreviousTokenEndsWhenTheNextIsPresented(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		before, after, h := testkit.Rotated(t, "/rotate", &bridge.Options{RotateGrace: time.Hour})
		time.Sleep(time.Minute)
		require.Equal(t, "1", before.Get(t, h, "/get").Body.String())
		after.Get(t, h, "/get")
		time.Sleep(time.Millisecond)
		require.Equal(t, "0", before.Get(t, h, "/get").Body.String())
		after.Get(t, h, "/rotate")
		time.Sleep(time.Millisecond)
		require.Equal(t, "0", before.Get(t, h, "/get").Body.String(), "nor does another rotation bring it back")
		require.Equal(t, "1", after.Get(t, h, "/get").Body.String())
	})
}

// If the response of a renewal arrives late, its cookie is valid, in whatever order the responses
// arrive.
func TestS04_RenewalThatArrivesLate(t *testing.T) {
	for _, delay := range []time.Duration{0, 12 * time.Second, 2 * time.Minute} {
		for _, every := range []time.Duration{time.Minute, 15 * time.Minute} {
			for _, lateFirst := range []bool{true, false} {
				t.Run(strconv.FormatBool(lateFirst)+" "+delay.String()+" of "+every.String(), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						a := testkit.NewApp(t, livestore.New(), &bridge.Options{RenewEvery: every})
						h := a.Handler(a.Mux)
						p := webclient.Pocket{}
						p.Get(t, h, "/inc")
						time.Sleep(every)
						late := p.Begin(t, h, "/get")
						for range delay / (5 * time.Second) {
							time.Sleep(5 * time.Second)
							require.Equal(t, "1", p.Get(t, h, "/get").Body.String(), "with the cookie that it has")
						}
						time.Sleep(delay % (5 * time.Second))
						if lateFirst {
							p.Arrive(late)
						} else {
							p.Get(t, h, "/get")
							p.Arrive(late)
						}
						for range 10 {
							require.Equal(t, "1", p.Get(t, h, "/get").Body.String(), "with the cookie that came late")
							time.Sleep(every / 4)
						}
					})
				})
			}
		}
	}
}

// A handler that takes longer than its http.TimeoutHandler doesn't renew the token: the browser
// wouldn't receive it.
func TestS04_RenewalBehindATimeoutHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := testkit.NewApp(t, livestore.New(), &bridge.Options{RenewEvery: time.Hour})
		testkit.SleepyPages(a)
		for name, h := range map[string]http.Handler{
			"outside": http.TimeoutHandler(a.Handler(a.Mux), 5*time.Second, "too late"),
			"inside":  a.Handler(http.TimeoutHandler(a.Mux, 5*time.Second, "too late")),
		} {
			p := webclient.Pocket{}
			p.Get(t, h, "/inc")
			time.Sleep(time.Hour)
			for range 5 {
				require.Equal(t, http.StatusServiceUnavailable, p.Get(t, h, "/sleepy?after=6s").Code, name)
				time.Sleep(20 * time.Second)
			}
			require.Equal(t, "1", p.Get(t, h, "/get").Body.String(), name)
		}
	})
}

// The store takes a new token and its reply is lost.
func TestG9_LostReplyToANewTokenCostsNobodyTheSession(t *testing.T) {
	for _, path := range []string{"/rotate", "/login?user=ann"} {
		for name, f := range map[string]teststore.Fault{
			"reset":   teststore.LoseReply(errors.New("connection reset")),
			"timeout": func(ctx context.Context, call func() error) error { defer func() { <-ctx.Done() }(); return call() },
			"refused": teststore.Refuse(errors.New("disk full")),
		} {
			t.Run(path+" "+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					st := teststore.NewFaulty()
					a := testkit.NewApp(t, st, nil)
					h := a.Handler(a.Mux)
					p := webclient.Pocket{}
					p.Get(t, h, "/inc")
					st.Next(1, "Set", f)
					p.Get(t, h, path)
					time.Sleep(time.Minute)
					require.Equal(t, "1", p.Get(t, h, "/get").Body.String())
					require.Equal(t, http.StatusOK, p.Get(t, h, path).Code, "and it can be done again")
					require.Equal(t, "1", p.Get(t, h, "/get").Body.String())
				})
			})
		}
	}
}
