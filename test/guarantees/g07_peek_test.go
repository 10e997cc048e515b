package guarantees_test

import (
	"errors"
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
	"github.com/sessionbridge/sessionbridge/store"
)

// peekPage is a page that shows the time left of the request's session.
func peekPage(a *testkit.App) {
	a.Page("/left", func(r *http.Request) (any, error) {
		s, err := a.Peek(r)
		if err != nil {
			return nil, err
		}
		return time.Until(s.Expires()), nil
	})
}

func TestG7_ExpiryIsOnTime_PeekIsNoActivity(t *testing.T) {
	for name, reduce := range map[string]func(store.Store) store.Store{
		"every capability": func(st store.Store) store.Store { return st },
		"three methods":    func(st store.Store) store.Store { return teststore.Minimal{Store: st} },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				st := teststore.NewFaulty()
				opts := testkit.Expiring(0)
				opts.RenewEvery = 2 * time.Minute
				a := testkit.NewApp(t, reduce(st), opts)
				peekPage(a)
				h := a.Handler(a.Mux)
				p := webclient.Pocket{}
				p.Get(t, h, "/inc")
				began := time.Now()
				writes := st.Count("Set") + st.Count("Touch")
				for time.Since(began) < testkit.Idle+testkit.Touch-time.Minute {
					time.Sleep(time.Minute)
					w := p.Get(t, h, "/left")
					require.Equal(t, (testkit.Idle + testkit.Touch - time.Since(began)).String(), w.Body.String())
					require.Empty(t, w.Header()["Set-Cookie"], "it renews no token")
					require.Equal(t, []string{"Cookie"}, w.Header()["Vary"])
				}
				require.Equal(t, writes, st.Count("Set")+st.Count("Touch"))
				time.Sleep(time.Minute)
				require.Equal(t, http.StatusUnauthorized, p.Get(t, h, "/left").Code)
			})
		})
	}
}

func TestPeekIsSealedAndMakesNothing(t *testing.T) {
	a := testkit.NewApp(t, livestore.New(), nil)
	sets := testkit.Record[bridge.SessionSet](t, a.Bridge)
	a.Page("/peek", func(r *http.Request) (any, error) {
		s, err := a.Peek(r)
		if err != nil {
			return nil, err
		}
		n, _ := testkit.Count.Get(s)
		return n, errors.Join(s.Login("ada"), s.Encode(map[string]any{"n": 5}))
	})
	a.Page("/both", func(r *http.Request) (any, error) {
		s, err := a.Session(r)
		if err != nil {
			return nil, err
		}
		testkit.Count.Set(s, 7)
		stored, err := a.Peek(r)
		if err != nil {
			return nil, err
		}
		n, _ := testkit.Count.Get(stored)
		return n, nil
	})
	h := a.Handler(a.Mux)
	p := webclient.Pocket{}
	w := p.Get(t, h, "/peek")
	require.Equal(t, http.StatusUnauthorized, w.Code)
	require.Empty(t, w.Header()["Set-Cookie"])

	p = webclient.Pocket{}
	p.Get(t, h, "/inc")
	sets.Next()
	w = p.Get(t, h, "/peek")
	require.Contains(t, w.Body.String(), bridge.ErrSessionClosed.Error())
	require.Equal(t, "1", p.Get(t, h, "/get").Body.String())
	require.Empty(t, sets.Rest())
	require.Equal(t, "1", p.Get(t, h, "/both").Body.String(), "as it is stored")
	require.Equal(t, "7", p.Get(t, h, "/get").Body.String())

	w = webclient.Pocket{}.Get(t, h, "/both")
	require.Equal(t, http.StatusUnauthorized, w.Code, "the new session wasn't stored yet")

	_, err := a.Peek(webclient.Request(t, "/"))
	require.ErrorIs(t, err, bridge.ErrNoMiddleware)
}

func TestG9_FailClosed_PeekDuringAnOutage(t *testing.T) {
	st := teststore.NewFaulty()
	a := testkit.NewApp(t, st, nil)
	peekPage(a)
	h := a.Handler(a.Mux)
	p := webclient.Pocket{}
	p.Get(t, h, "/inc")
	st.Always(teststore.Refuse(errors.New("down")), "Get")
	require.Equal(t, http.StatusServiceUnavailable, p.Get(t, h, "/left").Code)
}
