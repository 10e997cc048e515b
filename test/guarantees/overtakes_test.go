package guarantees_test

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/testhub"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/livestore"
	"github.com/sessionbridge/sessionbridge/store"
)

// A stranger has a copy of the client cookie, and an account of their own, to which they log in all
// the time.
func TestG10_CopiedClientCookieKeepsNobodyFromLoggingIn(t *testing.T) {
	for name, newStore := range map[string]func() store.Store{
		"one node": func() store.Store { return livestore.New() },
		"a node":   func() store.Store { return testhub.New() },
	} {
		for _, page := range []string{"/slow?user=ann", "/loginwith?user=ann", "/sleepyset?before=300ms"} {
			t.Run(name+page, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					a := testkit.NewApp(t, newStore(), nil)
					loginPages(a)
					slowLogins(a)
					a.Mux.HandleFunc("/sleepyset", func(w http.ResponseWriter, r *http.Request) {
						time.Sleep(300 * time.Millisecond)
						s, err := a.Session(r)
						if err != nil {
							a.WriteError(w, r, err)
							return
						}
						s.Set("k", 1)
					})
					h := a.Handler(a.Mux)
					p := webclient.Pocket{}
					p.Get(t, h, "/inc")
					p.Get(t, h, "/logout")
					stranger := webclient.Pocket{"sid.cid": p["sid.cid"]}
					over := make(chan struct{})
					done := make(chan struct{})
					go func() {
						defer close(done)
						for {
							select {
							case <-over:
								return
							case <-time.After(50 * time.Millisecond):
								mine := webclient.Pocket{"sid.cid": stranger["sid.cid"]}
								mine.Get(t, h, "/login?user=eve")
							}
						}
					}()
					defer func() { close(over); <-done }()
					refused := 0
					for p.Get(t, h, page).Code != http.StatusOK {
						refused++
						require.Less(t, refused, 20)
						time.Sleep(time.Second)
					}
					require.NotEmpty(t, p["sid"])
				})
			})
		}
	}
}

// However many requests one login overtakes, none of them replaces its cookie.
func TestG6_OneLoginOvertakesAnyNumberOfRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := testkit.NewApp(t, livestore.New(), nil)
		testkit.SleepyPages(a)
		h := a.Handler(a.Mux)
		p := webclient.Pocket{}
		p.Get(t, h, "/inc")
		p.Get(t, h, "/logout")
		var late []webclient.InFlight
		for range 100 {
			late = append(late, p.Begin(t, h, "/sleepyset?before=1s"))
		}
		time.Sleep(time.Millisecond)
		require.Equal(t, http.StatusOK, p.Get(t, h, "/login?user=ann").Code)
		for _, f := range late {
			require.Equal(t, http.StatusConflict, p.Arrive(f).Code)
		}
		require.Equal(t, "ann", p.Get(t, h, "/user").Body.String())
	})
}
